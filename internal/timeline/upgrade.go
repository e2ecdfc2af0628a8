// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// Way is the upgrade that is asked about.
type Way struct {
	rules.Way
	FromBy string   // what says where it starts, such as "--from"
	Notes  []string // sentences about the way itself, such as that nobody says where it starts
	// Calendar gives version ends their estimated dates; nil for none.
	Calendar *release.Calendar
}

// Upgrade is what an upgrade runs into, hop by hop.
type Upgrade struct {
	From string `json:"from,omitempty"` // a minor
	// FromMissing says that nobody knows where the upgrade starts: then all that
	// To lacks counts.
	FromMissing bool     `json:"fromMissing,omitempty"`
	FromBy      string   `json:"fromBy,omitempty"` // what says where it starts
	To          string   `json:"to"`
	Hops        []Hop    `json:"hops"`                 // in the order of the way; without From those with something on them, and To
	FirstBreak  string   `json:"firstBreak,omitempty"` // the first hop with a block or a break
	Notes       []string `json:"notes"`
}

// Hop counts what one minor does to what was looked at; what is accepted is
// left out.
type Hop struct {
	To      string `json:"to"`
	Blocks  int    `json:"blocks"`
	Breaks  int    `json:"breaks"`
	Changes int    `json:"changes"`
	Notices int    `json:"notices"`
}

// Bad says that an upgrade cannot go this hop without losing something.
func (h Hop) Bad() bool { return h.Blocks+h.Breaks > 0 }

// dated gives the findings that end with a version an estimated date: the end of
// the support of the last minor that still works.
func (w *Way) dated(fs []finding.Finding) []finding.Finding {
	if w.Calendar == nil {
		return fs
	}
	out := slices.Clone(fs)
	for n := range out {
		end := &out[n].End
		if end.Version == "" || !end.Date.IsZero() {
			continue
		}
		if day, ok := w.lastDay(end.Version); ok {
			end.Date, end.Basis = day, finding.Estimated
		}
	}
	return out
}

// lastDay is the last moment of the support of the minor before a version.
func (w *Way) lastDay(version string) (time.Time, bool) {
	m, err := release.ParseMinor(version)
	if err != nil || m < 1 {
		return time.Time{}, false
	}
	day, _, ok := w.Calendar.SupportEnd(m - 1)
	return day.AddDate(0, 0, 1).Add(-time.Second), ok
}

// summary counts the items of a way.
func (w *Way) summary(items []Item) *Upgrade {
	u := &Upgrade{FromMissing: w.From == 0, FromBy: w.FromBy, To: w.To.String(), Notes: append([]string{}, w.Notes...)}
	if w.From > 0 {
		u.From = w.From.String()
	}
	minors := w.Hops()
	if w.From == 0 {
		minors = reached(items, w.To)
	}
	u.Hops = make([]Hop, 0, len(minors))
	for _, m := range minors {
		u.Hops = append(u.Hops, Hop{To: m.String()})
	}
	for _, i := range items {
		if n := u.hop(i); n >= 0 && i.Accepted == nil {
			u.Hops[n].add(i.Impact)
		}
	}
	if n := slices.IndexFunc(u.Hops, Hop.Bad); n >= 0 {
		u.FirstBreak = u.Hops[n].To
	}
	return u
}

func (h *Hop) add(impact finding.Impact) {
	switch impact {
	case finding.Blocks:
		h.Blocks++
	case finding.Breaks:
		h.Breaks++
	case finding.Changes:
		h.Changes++
	default:
		h.Notices++
	}
}

// reached are the minors up to a last one with which something ends, and the
// last one.
func reached(items []Item, to release.Minor) []release.Minor {
	minors := []release.Minor{to}
	for _, i := range items {
		if m, err := release.ParseMinor(i.End.Version); err == nil && m < to {
			minors = append(minors, m)
		}
	}
	slices.Sort(minors)
	return slices.Compact(minors)
}

// HopOf is the hop on which an item ends; empty where it is none of the
// upgrade's matters, broken already, or beyond its end.
func (u *Upgrade) HopOf(i Item) string {
	if n := u.hop(i); n >= 0 {
		return u.Hops[n].To
	}
	return ""
}

// hop finds the first hop that reaches the end of an item, or -1. What ended
// before the way begins belongs to the first one.
func (u *Upgrade) hop(i Item) int {
	ends, err := release.ParseMinor(i.End.Version)
	if err != nil {
		return -1
	}
	return slices.IndexFunc(u.Hops, func(h Hop) bool {
		m, err := release.ParseMinor(h.To)
		return err == nil && ends <= m
	})
}

// onTheWay is the headline's sentence about the upgrade.
func (t Timeline) onTheWay() string {
	u := t.Upgrade
	way := "the way to " + u.To
	if u.From != "" {
		way = "the way from " + u.From + " to " + u.To
	}
	if len(u.Hops) == 0 {
		return u.From + " runs: the way to " + u.To + " is done."
	}
	if u.FirstBreak == "" {
		text := "Nothing that was looked at blocks or breaks on " + way
		if len(t.Unseen) > 0 {
			text = "Nothing was found that blocks or breaks on " + way + ", in what could be looked at"
		}
		return text + u.changed() + "."
	}
	n := slices.IndexFunc(u.Hops, Hop.Bad)
	first := u.Hops[n]
	text := fmt.Sprintf("On %s, %s is the first hop that breaks: %s, first %s.", way, first.To, first.does(), u.worst(t.Items, n).Title)
	if len(u.Hops) == 1 {
		text = fmt.Sprintf("The upgrade%s breaks: %s, first %s.", strings.TrimPrefix(way, "the way"), first.does(), u.worst(t.Items, n).Title)
	}
	later := 0
	for _, h := range u.Hops[n+1:] {
		later += h.Blocks + h.Breaks
	}
	switch later {
	case 0:
		return text
	case 1:
		return text + " After that, 1 more blocks or breaks."
	}
	return text + fmt.Sprintf(" After that, %d more block or break.", later)
}

// does says how much blocks and breaks: "3 things block it and 1 thing breaks".
func (h Hop) does() string {
	var parts []string
	if h.Blocks > 0 {
		parts = append(parts, things(h.Blocks, "block")+" it")
	}
	if h.Breaks > 0 {
		parts = append(parts, things(h.Breaks, "break"))
	}
	return strings.Join(parts, " and ")
}

func things(n int, verb string) string {
	if n == 1 {
		return "1 thing " + verb + "s"
	}
	return fmt.Sprintf("%d things %s", n, verb)
}

func (u *Upgrade) changed() string {
	n := 0
	for _, h := range u.Hops {
		n += h.Changes
	}
	if n == 0 {
		return ""
	}
	return "; " + things(n, "change")
}

// worst is the first item of a hop that blocks, else that breaks. A way with a
// bad hop has one.
func (u *Upgrade) worst(items []Item, hop int) (found Item) {
	for _, i := range items {
		switch {
		case i.Accepted != nil || u.hop(i) != hop:
		case i.Impact == finding.Blocks:
			return i
		case i.Impact == finding.Breaks && found.Code == "":
			found = i
		}
	}
	return found
}

// OfUpgrade says that an item is about an upgrade.
func (i Item) OfUpgrade() bool { return i.Impact != "" || i.End.Version != "" }
