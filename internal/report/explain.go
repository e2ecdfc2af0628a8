// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
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
	for _, i := range items {
		p.gap()
		p.item(i, o)
	}
	return write(w, []byte(p.finished()))
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
	p.paragraph("Judged", plain(i.Because))
	if !i.DueFrom.IsZero() {
		p.paragraph("Due from", minute(i.DueFrom))
	}
	if a := i.Accepted; a != nil {
		p.paragraph("Accepted", "until "+minute(a.Until)+": "+plain(a.Reason))
	}
	p.paragraph("Effect", i.Effect)
	p.paragraph("Reason", i.Reason)
	p.paragraph("Kept by", keptBy(i.Keeper))
	for _, e := range i.Evidence {
		p.evidence(e)
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

func (p *page) evidence(e finding.Evidence) {
	if e.Path != "" {
		text := plain(e.Path)
		if e.Slot != "" {
			text += ", " + plain(e.Slot)
		}
		if e.Mode != "" {
			text += ", mode " + plain(e.Mode) + ", owner " + plain(e.Owner)
		}
		p.paragraph("File", text)
	}
	p.paragraph("Endpoint", e.Endpoint)
	if e.Key != nil {
		p.paragraph("Key", plain(e.Key.Key)+", "+plain(e.Key.Fingerprint))
	}
	if e.Certificate != nil {
		p.certificate(*e.Certificate)
	}
	p.paragraph("Issuer ID", string(e.IssuerID))
	for _, s := range e.Served {
		p.paragraph("Served", servedText(s, e.Path != ""))
	}
	for _, id := range e.Identity {
		p.paragraph("Used by", identityText(id))
	}
	p.paragraph("Consumers", strings.Join(e.Consumers, ", "))
	p.paragraph("Version", string(e.Version))
	if u := e.Upgrade; u != nil {
		p.paragraph("Upgrade", "renews it "+plain(u.Renews)+": "+plain(u.Because)+citation(u.Source))
	}
	for _, n := range e.Notes {
		p.paragraph("Note", string(n))
	}
}

func (p *page) certificate(c finding.Certificate) {
	p.paragraph("Subject", string(c.Subject))
	p.paragraph("Issuer", string(c.Issuer))
	if len(c.SANs) > 0 {
		text := joined(c.SANs)
		if c.SANsOmitted > 0 {
			text += fmt.Sprintf(" and %d more", c.SANsOmitted)
		}
		p.paragraph("Names", text)
	}
	p.paragraph("Valid", c.NotBefore.UTC().Format(time.RFC3339)+" to "+c.NotAfter.UTC().Format(time.RFC3339))
	kind := "key " + c.Key
	if c.CA {
		kind = "CA, " + kind
	}
	p.paragraph("Kind", strings.Join(append([]string{kind}, c.Usages...), ", "))
	p.paragraph("Serial", c.Serial)
	// In one piece: it is there to be copied and compared.
	p.line(pad("Fingerprint", label) + plain(c.Fingerprint))
}

func joined(all []fact.Text) string {
	words := make([]string, len(all))
	for i, t := range all {
		words[i] = plain(t)
	}
	return strings.Join(words, ", ")
}

func servedText(s finding.Served, onDisk bool) string {
	text := "at " + plain(s.Endpoint)
	if s.SNI != "" {
		text += " for " + plain(s.SNI)
	}
	switch {
	case !onDisk:
		return text
	case s.Matches:
		return text + ": the one on disk"
	}
	return text + ": another one, " + plain(s.Fingerprint) + ", until " + s.NotAfter.UTC().Format(time.RFC3339)
}

func identityText(id finding.Identity) string {
	text := plain(id.Component)
	if id.PID != 0 {
		text += fmt.Sprintf(" (process %d)", id.PID)
	}
	if id.Current {
		text += ": uses what is on disk"
	} else {
		text += ": does not use what is on disk"
	}
	text += ", " + strings.ReplaceAll(plain(id.Grade), "-", " ")
	if !id.By.IsZero() {
		text += ", at the latest from " + id.By.UTC().Format(time.RFC3339)
	}
	if id.Because != "" {
		text += ": " + plain(id.Because)
	}
	return text
}

func citation(where string) string {
	if where == "" {
		return ""
	}
	return " (" + plain(where) + ")"
}
