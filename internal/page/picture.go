// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

const (
	dayLong  = 24 * time.Hour
	yearLong = 365 * dayLong
)

// canvas is the shape of a picture: lengths in its own units, which are those of the
// screen where the picture has its full size.
type canvas struct {
	class   string
	width   float64
	gutter  float64 // left of the time, for the names of lanes; 0: above them
	letter  float64 // about how wide one is
	months  int     // between two ticks
	past    float64 // how much of the time's width is before now
	year    float64 // and the first year
	further float64 // and the nine after it
}

var (
	wide   = canvas{class: "wide", width: 1080, gutter: 132, letter: 6.7, months: 1, past: .07, year: .60, further: .30}
	narrow = canvas{class: "narrow", width: 360, letter: 6.7, months: 3, past: .08, year: .56, further: .31}
)

// picture is what is drawn; numbers are ready to be written.
type picture struct {
	Class         string
	Width, Height string
	Zones         []zone
	Ticks         []tick
	Now           string
	Lanes         []laneView
	Bottom        string // of the lines through all lanes
}

type zone struct{ Class, X, Width, Label, LabelX string }

type tick struct {
	Class, X, Label string
	Mark            bool // a line through all lanes
}

type laneView struct {
	Name, NameX, NameY string
	Full               string
	Y, From, To        string // the base line
	Tails              []tail
	Marks              []mark
	Brackets           []bracketView
}

type tail struct{ State, From, To string }

type mark struct {
	State, At, Shape, Title string
	Hollow                  bool
	Label, LabelX, LabelY   string
	Anchor                  string
}

type bracketView struct{ Path, Title, Label, X, Y string }

// shapes tell states apart without colours.
var shapes = map[state]string{
	"overdue":  "M-5.5-5.5h11v11h-11z",
	"unknown":  "M0-6.5 6.5 5.5h-13z",
	"due":      "M0-7 7 0 0 7-7 0z",
	"ok":       "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0-10 0z",
	"accepted": "M-6.5-2.5h13v5h-13z",
	"notice":   "M-2-6.5h4v13h-4z",
}

// Heights of the picture's parts.
const (
	headHeight    = 54
	laneHeight    = 48
	nameHeight    = 16 // more, where the name stands above
	bracketHeight = 22
	footHeight    = 8
	markGap       = 13 // marks that are nearer are one
)

// axis places instants.
type axis struct {
	canvas
	now                  time.Time
	nowX, yearX, further float64 // now, a year from now, and how long ten years are from there
	pastX, endX          float64
}

func (c canvas) axis(now time.Time) axis {
	left := c.gutter + 14
	width := c.width - left - 14
	a := axis{canvas: c, now: now, pastX: left, endX: c.width - 14}
	a.nowX = left + c.past*width
	a.yearX = a.nowX + c.year*width
	a.further = c.further * width
	return a
}

// x is linear for a year from now. The nine years after it are compressed: their
// place grows with the logarithm. What is past by a year and more stands at one
// end, what is later than ten years at the other.
func (a axis) x(t time.Time) float64 {
	years := t.Sub(a.now).Hours() / (365 * 24)
	switch {
	case years < 0:
		return a.nowX - math.Sqrt(min(-years, 1))*(a.nowX-a.pastX)
	case years <= 1:
		return a.nowX + years*(a.yearX-a.nowX)
	case years <= 10.05: // leap days
		return a.yearX + math.Log10(years)*a.further
	}
	return a.endX
}

func px(x float64) string { return strconv.FormatFloat(math.Round(x*10)/10, 'f', -1, 64) }

func (d *drawing) picture(c canvas) picture {
	a := c.axis(d.now)
	p := picture{Class: c.class, Width: px(c.width), Now: px(a.nowX)}
	y := float64(headHeight)
	for _, l := range d.lanes {
		var v laneView
		v, y = a.lane(l, y)
		p.Lanes = append(p.Lanes, v)
	}
	p.Bottom, p.Height = px(y-headHeight), px(y+footHeight)
	p.Zones = append(p.Zones, zone{Class: "past", X: px(a.pastX - 8), Width: px(a.nowX - a.pastX + 8)})
	if d.lead > 0 {
		from, to := a.nowX, a.x(d.now.Add(d.lead))
		p.Zones = append(p.Zones, zone{Class: "lead", X: px(from), Width: px(to - from), LabelX: px(from + 5), Label: "due zone"})
	}
	label := "compressed: ten years"
	if c.gutter == 0 {
		label = "ten years"
	}
	p.Zones = append(p.Zones, zone{Class: "far", X: px(a.yearX), Width: px(a.width - 6 - a.yearX), LabelX: px(a.yearX + 5), Label: label})
	p.Ticks = a.ticks()
	return p
}

func (a axis) ticks() []tick {
	all := []tick{{Class: "now", X: px(a.nowX), Label: "now"}}
	last := a.nowX + 3*a.letter
	n := a.now.UTC()
	for m := 1; m <= 12; m++ {
		t := time.Date(n.Year(), n.Month()+time.Month(m), 1, 0, 0, 0, 0, time.UTC)
		x := a.x(t)
		class, label := "month", t.Format("Jan")
		if t.Month() == time.January {
			class, label = "january", t.Format("2006")
		}
		room := float64(utf8.RuneCountInString(label))*a.letter/2 + 4
		if m%a.months != 0 || x-room < last || x+room > a.yearX-20 {
			label = ""
		} else {
			last = x + room
		}
		all = append(all, tick{Class: class, X: px(x), Label: label, Mark: a.gutter > 0 || class == "january"})
	}
	all = append(all, tick{Class: "year", X: px(a.yearX), Label: "1 y", Mark: true})
	for _, years := range []int{2, 3, 5, 10} {
		if a.gutter == 0 && years == 3 {
			continue
		}
		all = append(all, tick{Class: "year", X: px(a.yearX + math.Log10(float64(years))*a.further), Label: fmt.Sprintf("%d y", years), Mark: true})
	}
	return all
}

// lane draws a lane from y on and says where the next one begins.
func (a axis) lane(l *lane, y float64) (laneView, float64) {
	base := y + laneHeight - 14
	v := laneView{Name: elide(l.name, 18), Full: l.name, NameX: "0"}
	if a.gutter == 0 {
		base += nameHeight
		v.Name, v.NameY = elide(l.name, 40), px(y+13)
	} else {
		v.NameY = px(base + 4.5)
	}
	v.Y, v.From, v.To = px(base), px(a.pastX-8), px(a.width-6)
	free := 0.0 // where the last label ends
	for _, g := range a.groups(l.dots) {
		v.Marks = append(v.Marks, a.mark(g, base, &free))
		if worst := g.dots[0]; !worst.from.IsZero() && worst.from.Before(worst.at) {
			if from := max(a.x(worst.from), a.nowX); from < g.x-2 {
				v.Tails = append(v.Tails, tail{string(worst.state), px(from), px(g.x)})
			}
		}
	}
	y = base + 14
	for n, b := range l.brackets {
		if n == 3 { // the rows tell the others
			break
		}
		drawn, height := a.bracket(b, base, y)
		v.Brackets = append(v.Brackets, drawn)
		y += height
	}
	return v, y
}

// group is what stands so near that it is one mark; the worst comes first.
type group struct {
	x    float64
	dots []dot
}

func (a axis) groups(dots []dot) []group {
	dots = slices.Clone(dots)
	slices.SortStableFunc(dots, func(x, y dot) int { return x.at.Compare(y.at) })
	var all []group
	for _, o := range dots {
		x := a.x(o.at)
		if n := len(all); n > 0 && x-all[n-1].x < markGap {
			all[n-1].dots = append(all[n-1].dots, o)
			continue
		}
		all = append(all, group{x, []dot{o}})
	}
	for _, g := range all {
		slices.SortStableFunc(g.dots, func(x, y dot) int { return x.state.rank() - y.state.rank() })
	}
	return all
}

func (a axis) mark(g group, base float64, free *float64) mark {
	first := g.dots[0]
	m := mark{State: string(first.state), Shape: shapes[first.state], At: px(g.x) + " " + px(base), Title: first.title, Hollow: true, Label: first.label}
	for _, o := range g.dots {
		m.Hollow = m.Hollow && o.hollow
	}
	if n := len(g.dots) - 1; n > 0 {
		m.Label += fmt.Sprintf(" +%d", n)
		m.Title += fmt.Sprintf(", and %d more about then", n)
	}
	m.Anchor, m.LabelX, m.LabelY = "start", px(g.x-5), px(base-12)
	length := float64(utf8.RuneCountInString(m.Label)) * a.letter
	from := g.x - 5
	if from+length > a.width { // it ends at its mark instead
		m.Anchor, m.LabelX = "end", px(g.x+6)
		from = g.x + 6 - length
	}
	if from < *free {
		m.Label = ""
		return m
	}
	*free = from + length + 6
	return m
}

// bracket joins two ends below a lane, from y on, and says how high it is. Its label
// stands on the right of it or, where that is too narrow, below.
func (a axis) bracket(b bracket, base, y float64) (bracketView, float64) {
	left, right := a.x(b.a), a.x(b.b)
	if left > right {
		left, right = right, left
	}
	right = max(right, left+6)
	v := bracketView{Title: b.title, Label: b.label, X: px(right + 6), Y: px(y + 12)}
	v.Path = fmt.Sprintf("M%s %sV%sH%sV%s", px(left), px(base+8), px(y+8), px(right), px(base+8))
	length := float64(len(b.label)) * a.letter
	if right+6+length <= a.width {
		return v, bracketHeight
	}
	v.X, v.Y = px(max(0, min(left, a.width-length))), px(y+22)
	return v, bracketHeight + 10
}
