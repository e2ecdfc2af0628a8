// SPDX-License-Identifier: Apache-2.0

package page

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/timeline"
)

// view is the page as its template wants it: all texts safe to show.
type view struct {
	Policy   string
	Style    template.CSS
	Script   template.JS
	Title    string
	Icon     template.URL
	Who      string // what the page is about, in the top line
	Seen     time.Time
	Tool     string
	Headline []piece // over several sections
	Sections []section
	Live     *liveView
}

// section is one timeline.
type section struct {
	ID, Name    string
	Alone       bool // on its page: then its headline is the page's
	State       state
	First, Rest []piece // of the headline
	Long        bool    // the first is
	Note        string
	Looked      string
	Seen        time.Time
	Judged      string // when, where that is another day than the look's
	Counts      []countOf
	Pictures    []picture // one for wide screens, one for narrow ones
	Words       []string  // the picture in words
	Upgrade     *upgrade
	Rows        []row
	Unseen      []string
}

// countOf is how many items are in a state.
type countOf struct {
	State state
	Count int
}

// state is how an item stands, as a word and as a class of the style.
type state string

// states are in the order in which they are shown.
var states = []state{"overdue", "unknown", "due", "ok", "accepted", "notice"}

func stateOf(i timeline.Item) state {
	if s := state(i.State()); slices.Contains(states, s) {
		return s
	}
	return "unknown"
}

func (s state) rank() int { return slices.Index(states, s) }

// verdictOf is the state of a whole timeline.
func verdictOf(t timeline.Timeline) state {
	if s := state(t.Verdict); slices.Contains(states, s) {
		return s
	}
	return "unknown"
}

func newView(all []timeline.Timeline, o Options) view {
	v := view{Policy: Policy(o.Live != nil), Style: template.CSS(style), Script: template.JS(script)}
	worst := state("ok")
	var names []string
	for n, t := range all {
		s := newSection(t, o)
		s.ID, s.Alone = fmt.Sprintf("t%d", n+1), len(all) == 1
		for i := range s.Rows {
			s.Rows[i].Key = s.ID + "-" + s.Rows[i].Key
		}
		if s.State.rank() < worst.rank() {
			worst = s.State
		}
		if v.Seen.IsZero() || !s.Seen.IsZero() && s.Seen.Before(v.Seen) {
			v.Seen = s.Seen
		}
		v.Tool = cmp.Or(v.Tool, short(t.Tool))
		v.Sections = append(v.Sections, s)
		names = append(names, s.Name)
	}
	v.Who = clip(strings.Join(names, ", "), 120)
	if len(all) != 1 {
		v.Headline = pieces(several(v.Sections))
		v.Who = count(len(all), "cluster", "clusters")
	}
	v.Title = fmt.Sprintf("%s: %s – Perennial", worst, v.Who)
	v.Icon = icon(worst)
	if o.Live != nil {
		v.Live = newLive(*o.Live)
	}
	return v
}

// several is the headline over several timelines.
func several(all []section) string {
	if len(all) == 0 {
		return "Nothing was looked at."
	}
	by := map[state]int{}
	for _, s := range all {
		by[s.State]++
	}
	var parts []string
	for _, s := range states {
		if n := by[s]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	return fmt.Sprintf("Of %s, %s.", count(len(all), "cluster", "clusters"), strings.Join(parts, ", "))
}

func newSection(t timeline.Timeline, o Options) section {
	now := o.Now
	if now.IsZero() {
		now = t.At
	}
	s := section{Name: nameOf(t), State: verdictOf(t), Note: short(t.Note), Looked: short(t.Looked()), Seen: t.ObservedAt, Upgrade: newUpgrade(t)}
	s.First, s.Rest = sentences(t.Headline)
	s.Long = lengthOf(s.First) > longHeadline
	if !t.ObservedAt.IsZero() && day(t.ObservedAt) != day(t.At) {
		s.Judged = minute(t.At)
	}
	by := map[state]int{}
	for _, i := range t.Items {
		by[stateOf(i)]++
	}
	for _, st := range states {
		if by[st] > 0 {
			s.Counts = append(s.Counts, countOf{st, by[st]})
		}
	}
	d := newDrawing(t.Items, now)
	s.Words = d.words()
	s.Pictures = []picture{d.picture(wide), d.picture(narrow)}
	s.Rows = make([]row, len(t.Items))
	for n, i := range t.Items {
		s.Rows[n] = newRow(i, t, now)
	}
	for _, u := range t.Unseen {
		s.Unseen = append(s.Unseen, unseenText(u))
	}
	return s
}

// nameOf is what a timeline is about, in a few words.
func nameOf(t timeline.Timeline) string {
	s := t.Scope
	name := cmp.Or(plain(t.Cluster), plain(s.Node), plain(s.Server), plain(strings.Join(s.Endpoints, ", ")), plain(strings.Join(s.Documents, ", ")), "this cluster")
	return elide(name, 60)
}

func unseenText(u fact.Unseen) string {
	text := short(u.What)
	if u.Detail != "" {
		text += ": " + short(u.Detail)
	}
	text += " (" + short(u.Why) + ")"
	if u.Hint != "" {
		text += "; " + short(u.Hint)
	}
	return text
}

// icon is a small picture for the browser's tab: the mark of a state.
func icon(s state) template.URL {
	colour := map[state]string{"overdue": "#c62828", "due": "#b26a00", "unknown": "#7b4fb5", "ok": "#2e7d4f"}[s]
	svg := `<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -8 16 16"><path fill="` + colour + `" d="` + shapes[s] + `"/></svg>`
	return template.URL("data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(svg)))
}
