// SPDX-License-Identifier: Apache-2.0

package page

import (
	"perennial.dev/perennial/internal/timeline"
)

// upgrade is the way of an upgrade, hop by hop.
type upgrade struct {
	From, FromBy string
	To           string
	Hops         []hop
	Notes        []string
}

// hop is one minor on the way.
type hop struct {
	To    string
	State state
	Says  string // what is on it, in a word
	First bool   // that breaks
	Parts []part
	Bars  []bar
}

// part is how much of a kind is on a hop.
type part struct{ Kind, Text string }

// bar is a part of the strip that shows how the parts compare.
type bar struct {
	Kind     string
	X, Width string
}

func newUpgrade(t timeline.Timeline) *upgrade {
	if t.Upgrade == nil {
		return nil
	}
	u := &upgrade{From: short(t.Upgrade.From), FromBy: short(t.Upgrade.FromBy), To: short(t.Upgrade.To)}
	for _, n := range t.Upgrade.Notes {
		u.Notes = append(u.Notes, short(n))
	}
	most := 1
	for _, h := range t.Upgrade.Hops {
		most = max(most, h.Blocks+h.Breaks+h.Changes+h.Notices)
	}
	for _, h := range t.Upgrade.Hops {
		u.Hops = append(u.Hops, newHop(h, most, h.To == t.Upgrade.FirstBreak))
	}
	return u
}

// strip is the length of the longest strip, in units of its drawing.
const strip = 120

func newHop(h timeline.Hop, most int, first bool) hop {
	v := hop{To: short(h.To), First: first, State: "ok", Says: "clear"}
	switch {
	case h.Blocks > 0:
		v.State, v.Says = "overdue", "blocked"
	case h.Breaks > 0:
		v.State, v.Says = "overdue", "breaks"
	case h.Changes > 0:
		v.State, v.Says = "due", "changes"
	}
	x := 0.0
	for _, p := range []struct {
		n              int
		kind, one, all string
	}{{h.Blocks, "blocks", "blocks", "block"}, {h.Breaks, "breaks", "breaks", "break"}, {h.Changes, "changes", "changes", "change"}, {h.Notices, "notices", "notice", "notices"}} {
		if p.n == 0 {
			continue
		}
		v.Parts = append(v.Parts, part{p.kind, count(p.n, p.one, p.all)})
		width := max(3, float64(p.n)/float64(most)*strip)
		v.Bars = append(v.Bars, bar{p.kind, px(x), px(width)})
		x += width
	}
	return v
}
