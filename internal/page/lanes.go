// SPDX-License-Identifier: Apache-2.0

package page

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/timeline"
)

// drawing is what the picture of time shows, without where it stands on it.
type drawing struct {
	now   time.Time
	lead  time.Duration // of the due zone: how long before its end what somebody renews is due
	lanes []*lane
}

// lane is what ends for one node, for the cluster, or for releases.
type lane struct {
	name     string
	kind     int // the order of lanes: nodes, the cluster, documents, releases
	dots     []dot
	brackets []bracket
}

// The kinds of lanes, in their order.
const (
	ofNode = iota
	ofCluster
	ofDocuments
	ofPlace
	ofRelease
	ofOthers
)

// dot is an item that has an instant.
type dot struct {
	at, from time.Time // its end, and from when it is due
	state    state
	hollow   bool // planned or estimated, not measured
	label    string
	title    string
}

// bracket joins the ends that a file and what is in use have, where they differ.
type bracket struct {
	a, b         time.Time
	label, title string
}

// lanesShown bounds the picture: the others share one lane.
const lanesShown = 16

func newDrawing(items []timeline.Item, now time.Time) *drawing {
	d := &drawing{now: now}
	byName := map[string]*lane{}
	for _, i := range items {
		kind, name := laneOf(i)
		l := byName[name]
		if l == nil {
			l = &lane{name: name, kind: kind}
			byName[name], d.lanes = l, append(d.lanes, l)
		}
		l.add(i, now)
		if lead := i.End.Date.Sub(i.DueFrom); i.Class == finding.Renewed && !i.DueFrom.IsZero() && !i.End.Date.IsZero() {
			d.lead = max(d.lead, min(lead, yearLong))
		}
	}
	d.lanes = slices.DeleteFunc(d.lanes, func(l *lane) bool { return len(l.dots) == 0 })
	// Items come worst first, and so do the lanes: the last ones are folded.
	d.fold()
	slices.SortStableFunc(d.lanes, func(a, b *lane) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(len(a.name), len(b.name)), strings.Compare(a.name, b.name)) // cp2 before cp10
	})
	return d
}

// fold joins the last lanes where there are too many.
func (d *drawing) fold() {
	if len(d.lanes) <= lanesShown {
		return
	}
	rest := d.lanes[lanesShown-1:]
	all := &lane{name: fmt.Sprintf("%d more", len(rest)), kind: ofOthers}
	for _, l := range rest {
		all.dots = append(all.dots, l.dots...)
	}
	d.lanes = append(d.lanes[:lanesShown-1:lanesShown-1], all)
}

// laneOf says in which lane an item stands.
func laneOf(i timeline.Item) (kind int, name string) {
	if i.Code == finding.SupportEnds || i.Code == finding.CalendarStale {
		return ofRelease, "releases"
	}
	switch node := i.ID.Node(); node {
	case "cluster":
		return ofCluster, "cluster"
	case "manifest":
		return ofDocuments, "documents"
	case "perennial":
		return ofPlace, "this machine"
	default:
		return ofNode, short(node)
	}
}

func (l *lane) add(i timeline.Item, now time.Time) {
	end := i.End.Date
	if i.End.Now {
		end = now
	}
	if end.IsZero() {
		return
	}
	title := short(i.Title)
	if i.End.Now {
		title += ", now"
	} else {
		title += " " + timeline.When(end, now)
	}
	l.dots = append(l.dots, dot{at: end, from: i.DueFrom, state: stateOf(i), label: labelOf(i), title: elide(title, 200),
		hollow: !i.End.Now && i.End.Basis != finding.Measured})
	l.brackets = append(l.brackets, bracketsOf(i)...)
}

// labelOf is what stands beside a mark.
func labelOf(i timeline.Item) string {
	name := i.ID.Name()
	if i.Code == finding.SupportEnds {
		for _, e := range i.Evidence {
			if e.Version != "" {
				name = e.Version.String()
				break
			}
		}
	}
	if at := strings.LastIndexByte(name, '/'); at >= 0 && i.Object != nil {
		name = name[at+1:]
	}
	if name == "" {
		name = string(i.ID)
	}
	return elide(plain(name), 26)
}

// bracketsOf are the pairs of ends on which a file and what is in use do not agree.
func bracketsOf(i timeline.Item) []bracket {
	var all []bracket
	pair := func(file, used time.Time, label, where string) {
		b := bracket{a: file, b: used, label: label, title: fmt.Sprintf("%s: the file ends on %s, %s on %s", short(i.ID), day(file), where, day(used))}
		known := slices.ContainsFunc(all, func(o bracket) bool { return o.a.Equal(b.a) && o.b.Equal(b.b) })
		if !file.IsZero() && !used.IsZero() && day(file) != day(used) && !known {
			all = append(all, b)
		}
	}
	for _, e := range i.Evidence {
		if e.Certificate == nil || e.Path == "" {
			continue
		}
		for _, s := range e.Served {
			if !s.Matches {
				pair(e.Certificate.NotAfter, s.NotAfter, "file and wire differ", "what is served")
			}
		}
		if i.Class == finding.Lingering && !i.End.Now {
			pair(e.Certificate.NotAfter, i.End.Date, "file and process differ", "what is in use")
		}
	}
	return all
}

// words are the picture for who does not see it: one sentence for each lane.
func (d *drawing) words() []string {
	var all []string
	for _, l := range d.lanes {
		var past, soon, year, decade, later int
		first := dot{}
		for _, o := range l.dots {
			left := o.at.Sub(d.now)
			switch {
			case left <= 0:
				past++
			case left <= d.lead:
				soon++
			case left <= yearLong:
				year++
			case left <= 10*yearLong:
				decade++
			default:
				later++
			}
			if left > 0 && (first.title == "" || o.at.Before(first.at)) {
				first = o
			}
		}
		var parts []string
		for _, p := range []struct {
			n    int
			text string
		}{{past, "now or before"}, {soon, "in the due zone"}, {year, "within a year"}, {decade, "within ten years"}, {later, "later"}} {
			if p.n > 0 {
				parts = append(parts, fmt.Sprintf("%d %s", p.n, p.text))
			}
		}
		text := l.name + ": " + strings.Join(parts, ", ") + "."
		if first.title != "" {
			text += " Next: " + first.title + "."
		}
		for _, b := range l.brackets {
			text += " " + b.title + "."
		}
		all = append(all, clip(text, longest))
	}
	return all
}
