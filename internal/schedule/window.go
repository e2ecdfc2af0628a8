// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Window is a stretch of time that comes again on some days of the week.
type Window struct {
	Days   []time.Weekday // on which it opens; none: every day
	Start  Clock          // on the zone's clocks
	Length time.Duration  // by a stopwatch, whatever clocks are set to meanwhile
	Zone   *time.Location
}

// Clock is a time of day, as clocks show it.
type Clock struct{ Hour, Minute int }

// String prints "02:30".
func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", c.Hour, c.Minute) }

// ParseClock reads "02:30".
func ParseClock(text string) (Clock, error) {
	t, err := time.Parse("15:04", text)
	if err != nil || len(text) != len("15:04") {
		return Clock{}, fmt.Errorf("time of day %q: want a form like 02:30", text)
	}
	return Clock{t.Hour(), t.Minute()}, nil
}

// Opening is one time that a window is open, from its begin to just before its
// end.
type Opening struct{ Begin, End time.Time }

// Has says whether an instant lies in the opening.
func (o Opening) Has(t time.Time) bool { return !t.Before(o.Begin) && t.Before(o.End) }

// Never is a stretch of days on which no window is open.
type Never struct {
	// From and Until are both days of it. Without a year they come again every
	// year, also over its end: 12-20 to 01-06.
	From, Until Day
}

// Day is a day of the calendar; Year is 0 for one of every year.
type Day struct {
	Year  int
	Month time.Month
	Day   int
}

// ParseDay reads "2026-12-24", and "12-24" for every year. A 29th of February
// of every year is the 29th where there is one and no day elsewhere.
func ParseDay(text string) (Day, error) {
	layout := time.DateOnly
	yearly := strings.Count(text, "-") == 1
	if yearly {
		text, layout = "2024-"+text, time.DateOnly // a leap year
	}
	t, err := time.Parse(layout, text)
	if err != nil {
		return Day{}, fmt.Errorf("day %q: want a form like 2026-12-24, or 12-24 for every year", strings.TrimPrefix(text, "2024-"))
	}
	d := Day{t.Year(), t.Month(), t.Day()}
	if yearly {
		d.Year = 0
	}
	return d, nil
}

// String prints the form that ParseDay reads.
func (d Day) String() string {
	if d.Year == 0 {
		return fmt.Sprintf("%02d-%02d", d.Month, d.Day)
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day)
}

// number orders the days of a year, or all days.
func (d Day) number() int { return (d.Year*12+int(d.Month))*31 + d.Day }

func (n Never) has(d Day) bool {
	if n.From.Year == 0 {
		d.Year = 0
		if n.Until.number() < n.From.number() { // over the end of the year
			return d.number() >= n.From.number() || d.number() <= n.Until.number()
		}
	}
	return d.number() >= n.From.number() && d.number() <= n.Until.number()
}

// Calendar is when changes are allowed. Without windows they always are, but for
// the days of Never.
type Calendar struct {
	Windows []Window
	Never   []Never
	// Zone is where days begin and end that Never speaks of, where there is no
	// window to say so.
	Zone *time.Location
}

// ahead is how far an opening is looked for: what is not open within four years
// and a day, a leap day included, never is.
const ahead = 4*366 + 1

// Next is the first opening that ends after an instant: one that is open then,
// or the next one. Not ok: there is none.
func (c Calendar) Next(t time.Time) (Opening, bool) {
	windows := c.Windows
	if len(windows) == 0 {
		windows = []Window{{Length: 0, Zone: c.Zone}} // whole days, below
	}
	var next Opening
	for _, w := range windows {
		if o, ok := c.next(w, t); ok && (next == Opening{} || o.Begin.Before(next.Begin)) {
			next = o
		}
	}
	return next, next != Opening{}
}

// Open says whether changes are allowed at an instant, and until when.
func (c Calendar) Open(t time.Time) (until time.Time, ok bool) {
	o, ok := c.Next(t)
	if !ok || !o.Has(t) {
		return time.Time{}, false
	}
	return o.End, true
}

func (c Calendar) next(w Window, t time.Time) (Opening, bool) {
	zone := w.Zone
	if zone == nil {
		zone = time.UTC
	}
	year, month, day := t.In(zone).Date()
	// A window of some days may be open since a day that is some days ago.
	back := int(w.Length/(24*time.Hour)) + 1
	for n := -back; n < ahead; n++ {
		begin := w.begins(year, month, day+n, zone)
		if !w.opensOn(begin, zone) || c.never(begin, zone) {
			continue
		}
		o := Opening{begin, c.cut(begin, w.end(begin, zone), zone)}
		if t.Before(o.End) {
			return o, true
		}
	}
	return Opening{}, false
}

// begins is the first instant of a day at which a clock shows the window's start
// or, where clocks leap over it, a later time.
func (w Window) begins(year int, month time.Month, day int, zone *time.Location) time.Time {
	// Package time takes one of two instants that a clock shows the same, and
	// one of two ways around a time that clocks leap over; it does not promise
	// which.
	t := time.Date(year, month, day, w.Start.Hour, w.Start.Minute, 0, 0, zone)
	for _, leap := range []time.Duration{2 * time.Hour, time.Hour, 30 * time.Minute} {
		if first := t.Add(-leap); !w.before(first, year, month, day, zone) {
			t = first
		}
	}
	for w.before(t, year, month, day, zone) {
		t = t.Add(time.Minute)
	}
	for !w.before(t.Add(-time.Minute), year, month, day, zone) {
		t = t.Add(-time.Minute)
	}
	return t
}

// before says whether the clock at an instant shows less than the window's start
// on a day.
func (w Window) before(t time.Time, year int, month time.Month, day int, zone *time.Location) bool {
	shown := t.In(zone)
	wall := time.Date(shown.Year(), shown.Month(), shown.Day(), shown.Hour(), shown.Minute(), 0, 0, time.UTC)
	return wall.Before(time.Date(year, month, day, w.Start.Hour, w.Start.Minute, 0, 0, time.UTC))
}

func (w Window) opensOn(begin time.Time, zone *time.Location) bool {
	return len(w.Days) == 0 || slices.Contains(w.Days, begin.In(zone).Weekday())
}

// end is the window's end; a window without length lasts to the next day.
func (w Window) end(begin time.Time, zone *time.Location) time.Time {
	if w.Length > 0 {
		return begin.Add(w.Length)
	}
	return midnight(begin, zone)
}

// cut ends an opening where a day begins on which nothing is open.
func (c Calendar) cut(begin, end time.Time, zone *time.Location) time.Time {
	for next := midnight(begin, zone); next.Before(end); next = midnight(next, zone) {
		if c.never(next, zone) {
			return next
		}
	}
	return end
}

// midnight is the first instant of the day after an instant.
func midnight(t time.Time, zone *time.Location) time.Time {
	year, month, day := t.In(zone).Date()
	return Window{}.begins(year, month, day+1, zone)
}

func (c Calendar) never(t time.Time, zone *time.Location) bool {
	year, month, day := t.In(zone).Date()
	return slices.ContainsFunc(c.Never, func(n Never) bool { return n.has(Day{year, month, day}) })
}
