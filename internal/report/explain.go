// SPDX-License-Identifier: Apache-2.0

package report

import (
	"io"
	"strings"
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/timeline"
)

// Explain writes what a code means, why it comes to be and how it is mended,
// and for each item the judgement and the evidence.
func Explain(w io.Writer, info finding.Info, items []timeline.Item, o Options) error {
	p := &page{width: o.Width, color: o.Color}
	p.text(bold, string(info.Code)+": "+info.Title, 2)
	p.gap()
	p.paragraph("Means", info.Means)
	p.paragraph("Cause", info.Cause)
	p.paragraph("Cure", info.Cure)
	p.byHand(info.Code, len(items) == 0)
	for _, i := range items {
		p.gap()
		p.item(i, o)
	}
	return write(w, []byte(p.finished()))
}

// byHand names the page about a code, and where it is only about the code also the
// lines for a shell. They are there to be copied, and left in one piece.
func (p *page) byHand(code finding.Code, whole bool) {
	hand, ok := finding.ByHand(code)
	if !ok {
		return
	}
	if whole {
		for _, part := range []struct{ name, lines string }{{"See it", hand.See}, {"Perennial", hand.Help}, {"By hand", hand.Do}} {
			lead := pad(part.name, label)
			for line := range strings.Lines(part.lines) {
				p.line(lead + strings.TrimRight(line, "\n"))
				lead = strings.Repeat(" ", label)
			}
		}
	}
	p.line(pad("Page", label) + finding.Runbook(code))
}

// label is the width of the labels' column.
const label = 12

func (p *page) paragraph(name, text string) {
	if text == "" {
		return
	}
	lead := pad(name, label)
	for _, l := range wrap(plain(text), p.room(label)) {
		p.line(lead + l)
		lead = strings.Repeat(" ", label)
	}
}

func (p *page) item(i timeline.Item, o Options) {
	word, style := state(i)
	p.line(p.styled(bold, plain(i.ID)) + "  " + p.styled(style, word))
	p.paragraph("What", plain(i.Title)+" ("+plain(i.Code)+")")
	p.paragraph("Ends", endText(i, o.Now))
	for _, d := range i.Details() {
		if d.Whole {
			p.line(pad(d.Name, label) + d.Text)
			continue
		}
		p.paragraph(d.Name, d.Text)
	}
	if i.Fix != "" {
		p.line(pad("Fix", label) + plain(i.Fix))
	}
}

func endText(i timeline.Item, now time.Time) string {
	switch {
	case i.End.Now:
		return "now"
	case i.End.None():
		return ""
	}
	var parts []string
	if i.End.Version != "" {
		parts = append(parts, "with "+plain(i.End.Version))
	}
	if !i.End.Date.IsZero() {
		text := i.End.Date.UTC().Format(time.RFC3339)
		if !now.IsZero() {
			text += ", " + Residual(i.End.Date, now)
			if !now.After(i.End.Date) {
				text += " left"
			}
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ") + " (" + plain(i.End.Basis) + ")"
}
