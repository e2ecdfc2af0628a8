// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/timeline"
)

// row is one item.
type row struct {
	Key     string // the same for the same item of a timeline on every page
	State   state
	Title   string
	ID      string
	Place   []string // the ID in the parts between which it may be wrapped
	Code    string
	Hop     string // of an upgrade
	At      string // the end as an instant, where it is one
	Ends    string
	Left    string
	Sort    int64 // seconds since 1970 of the end; what is broken now comes first, what has no end last
	Hollow  bool  // the end is not measured
	Fix     string
	Details []timeline.Detail
}

// never is the end of what has none, for sorting: beyond the year 9999.
const never = 1 << 40

func newRow(i timeline.Item, t timeline.Timeline, now time.Time) row {
	r := row{Key: keyOf(i), State: stateOf(i), Title: short(i.Title), ID: short(i.ID), Code: short(i.Code), Fix: fixText(i.Fix),
		Hollow: !i.End.Date.IsZero() && i.End.Basis != finding.Measured}
	r.Place = places(r.ID)
	if u := t.Upgrade; u != nil && i.OfUpgrade() {
		r.Hop = short(u.HopOf(i))
	}
	r.ends(i.End, now)
	r.details(i)
	return r
}

// oneLine is how long an ID may be to fit into its column, in bytes.
const oneLine = 30

// places cuts a long ID behind its slashes.
func places(id string) []string {
	if len(id) <= oneLine {
		return []string{id}
	}
	return strings.SplitAfter(id, "/")
}

func keyOf(i timeline.Item) string {
	h := fnv.New64a()
	fmt.Fprintf(h, "%q %q %q %d", string(i.ID), string(i.Code), i.File, i.Line)
	return fmt.Sprintf("f%016x", h.Sum64())
}

func (r *row) ends(e timeline.End, now time.Time) {
	r.Sort = never
	switch {
	case e.Now:
		r.Ends, r.Sort = "now", -never
	case e.Version != "" && !e.Date.IsZero():
		r.Ends, r.Left = "with "+short(e.Version), "about "+day(e.Date)
	case e.Version != "":
		r.Ends = "with " + short(e.Version)
	case !e.Date.IsZero():
		r.Ends, r.Left = day(e.Date), timeline.Left(e.Date, now)
	default:
		r.Ends = "no date"
	}
	if !e.Now && !e.Date.IsZero() {
		r.At, r.Sort = stamp(e.Date), e.Date.Unix()
	}
}

func (r *row) details(i timeline.Item) {
	add := func(name, text string) {
		if text != "" {
			r.Details = append(r.Details, timeline.Detail{Name: name, Text: short(text)})
		}
	}
	if i.End.Basis != "" && !i.End.Now && !i.End.None() {
		text := plain(i.End.Basis)
		if !i.End.Date.IsZero() {
			text = minute(i.End.Date) + ", " + text
		}
		add("Ends", text)
	}
	for _, d := range i.Details() {
		d.Text = short(d.Text)
		r.Details = append(r.Details, d)
	}
	if i.File != "" {
		text := plain(i.File)
		if i.Line > 0 {
			text += fmt.Sprintf(":%d", i.Line)
		}
		add("Document", text)
	}
	add("Impact", plain(i.Impact))
	if i.Rule != nil && i.Rule.Citation != "" {
		add("Rule", plain(i.Rule.Origin)+", "+plain(i.Rule.Citation))
	}
	if info, ok := finding.Explain(i.Code); ok {
		add("Cause", info.Cause)
	}
}

// longestFix is how long a command may be, in bytes. A longer one is left out: half
// a command is worse than none.
const longestFix = 16 << 10

func fixText(fix string) string {
	if len(fix) > longestFix {
		return fmt.Sprintf("(%d bytes are too long to show here: they are in the report as JSON)", len(fix))
	}
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(fix), "\n") {
		lines = append(lines, plain(strings.TrimRight(line, "\r")))
	}
	return strings.Join(lines, "\n")
}
