// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"slices"
	"time"
)

// Calendar is when changes are allowed: while a window is open, on no day of
// Never. Without windows they always are, but for the days of Never.
type Calendar struct {
	Windows []Window
	Never   []Never
	// Zone is where days begin and end that Never speaks of, where there is no
	// window to say so.
	Zone *time.Location
}

const (
	// ahead is for how many days an opening is looked for: what is not open within
	// four years and a day, a leap day included, never is.
	ahead = 4*366 + 1
	// sight is for how many days an opening is followed, back to its begin and on to
	// its end. Nobody plans around one that stays open for longer.
	sight = 31
)

// Next is the first opening that ends after an instant: one that is open then,
// or the next one. Windows that overlap or touch make one opening; of one that is
// open for longer than a month, before or after the instant, a month is given at
// least. Not ok: there is none.
func (c Calendar) Next(t time.Time) (Opening, bool) {
	o, ok := c.around(t)
	if !ok {
		begin, ok := c.opens(t)
		if !ok {
			return Opening{}, false
		}
		o, _ = c.around(begin)
	}
	for limit := later(o.Begin, t).AddDate(0, 0, sight); o.End.Before(limit); {
		more, ok := c.around(o.End)
		if !ok {
			break
		}
		o.End = more.End
	}
	if len(c.Windows) == 0 {
		return o, true
	}
	for limit := t.AddDate(0, 0, -sight); o.Begin.After(limit); {
		more, ok := c.around(o.Begin.Add(-1))
		if !ok {
			break
		}
		o.Begin = more.Begin
	}
	return o, true
}

// Open says whether changes are allowed at an instant, and until when.
func (c Calendar) Open(t time.Time) (until time.Time, ok bool) {
	o, ok := c.Next(t)
	if !ok || !o.Has(t) {
		return time.Time{}, false
	}
	return o.End, true
}

// around is the stretch of time around an instant in which some windows that are
// open then stay open, one at least. Not ok: none is open.
func (c Calendar) around(t time.Time) (all Opening, ok bool) {
	if len(c.Windows) == 0 {
		return c.always(t)
	}
	for _, w := range c.Windows {
		if c.never(t, w.zone()) {
			continue
		}
		first, days := w.since(t)
		for n := range days {
			o := w.opening(first.plus(n))
			if !o.Has(t) {
				continue
			}
			o = c.cut(o, t, w.zone())
			if !ok || o.Begin.Before(all.Begin) {
				all.Begin = o.Begin
			}
			if !ok || o.End.After(all.End) {
				all.End = o.End
			}
			ok = true
		}
	}
	return all, ok
}

// always is the opening of a calendar without windows, from the day's begin.
func (c Calendar) always(t time.Time) (Opening, bool) {
	zone := zoneOf(c.Zone)
	if c.never(t, zone) {
		return Opening{}, false
	}
	o := Opening{begins(dayOf(t, zone), Clock{}, zone), t.AddDate(0, 0, sight)}
	return c.cut(o, t, zone), true
}

// opens is the first instant, not before another, at which a window is open.
func (c Calendar) opens(t time.Time) (first time.Time, ok bool) {
	if len(c.Windows) == 0 {
		return c.after(t, t.AddDate(0, 0, ahead), zoneOf(c.Zone))
	}
	for _, w := range c.Windows {
		from, days := w.since(t)
		for n := range days + ahead {
			o := w.opening(from.plus(n))
			if !t.Before(o.End) {
				continue
			}
			if ok && !o.Begin.Before(first) {
				break
			}
			if at, opens := c.after(later(o.Begin, t), o.End, w.zone()); opens && (!ok || at.Before(first)) {
				first, ok = at, true
			}
		}
	}
	return first, ok
}

// after is the first instant from one to before another on a day that is not one
// of Never.
func (c Calendar) after(t, end time.Time, zone *time.Location) (time.Time, bool) {
	for t.Before(end) && c.never(t, zone) {
		t = begins(dayOf(t, zone).plus(1), Clock{}, zone)
	}
	return t, t.Before(end)
}

// cut leaves of an opening what is around an instant between two days of Never.
func (c Calendar) cut(o Opening, t time.Time, zone *time.Location) Opening {
	if len(c.Never) == 0 {
		return o
	}
	today := dayOf(t, zone)
	for n := 1; ; n++ {
		next := begins(today.plus(n), Clock{}, zone)
		if !next.Before(o.End) {
			break
		}
		if c.never(next, zone) {
			o.End = next
			break
		}
	}
	for n := 0; ; n-- {
		begin := begins(today.plus(n), Clock{}, zone)
		if !begin.After(o.Begin) {
			break
		}
		if c.never(begin.Add(-1), zone) {
			o.Begin = begin
			break
		}
	}
	return o
}

func (c Calendar) never(t time.Time, zone *time.Location) bool {
	if len(c.Never) == 0 {
		return false
	}
	day := dayOf(t, zone)
	return slices.ContainsFunc(c.Never, func(n Never) bool { return n.has(day) })
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func zoneOf(zone *time.Location) *time.Location {
	if zone == nil {
		return time.UTC
	}
	return zone
}

func (w Window) zone() *time.Location { return zoneOf(w.Zone) }

// since is the first of the days on which a window may have opened that is open
// at an instant, and their number. Clocks that went forward meanwhile let a window
// end later by them than its length, hence one more.
func (w Window) since(t time.Time) (first Day, days int) {
	n := int(w.Length/(24*time.Hour)) + 2
	return dayOf(t, w.zone()).plus(-n), n + 1
}

// opening is the window as it opens on a day; one without any time where it does
// not.
func (w Window) opening(day Day) Opening {
	if !w.opensOn(day) {
		return Opening{}
	}
	begin := begins(day, w.Start, w.zone())
	return Opening{begin, begin.Add(w.Length)}
}

// opensOn goes by the calendar: where clocks leap over midnight and over the
// start, the window of a day opens on the next.
func (w Window) opensOn(day Day) bool {
	return len(w.Days) == 0 || slices.Contains(w.Days, time.Date(day.Year, day.Month, day.Day, 0, 0, 0, 0, time.UTC).Weekday())
}

func dayOf(t time.Time, zone *time.Location) Day {
	year, month, day := t.In(zone).Date()
	return Day{year, month, day}
}

// plus is the day some days later, by the calendar.
func (d Day) plus(days int) Day {
	return dayOf(time.Date(d.Year, d.Month, d.Day+days, 0, 0, 0, 0, time.UTC), time.UTC)
}

// begins is the first instant of a day at which a clock shows a time or, where
// clocks leap over it, a later one.
func begins(day Day, clock Clock, zone *time.Location) time.Time {
	// Package time takes one of two instants that a clock shows the same, and
	// one of two ways around a time that clocks leap over; it does not promise
	// which.
	t := time.Date(day.Year, day.Month, day.Day, clock.Hour, clock.Minute, 0, 0, zone)
	const near = 3 * time.Hour // more than clocks are ever changed by
	if start, end := t.ZoneBounds(); (start.IsZero() || t.Sub(start) > near) && (end.IsZero() || end.Sub(t) > near) {
		return t
	}
	for _, leap := range []time.Duration{2 * time.Hour, time.Hour, 30 * time.Minute} {
		if first := t.Add(-leap); !before(first, day, clock, zone) {
			t = first
		}
	}
	for before(t, day, clock, zone) {
		t = t.Add(time.Minute)
	}
	for !before(t.Add(-time.Minute), day, clock, zone) {
		t = t.Add(-time.Minute)
	}
	return t
}

// before says whether clocks show less than a time on a day at an instant.
func before(t time.Time, day Day, clock Clock, zone *time.Location) bool {
	shown := t.In(zone)
	wall := time.Date(shown.Year(), shown.Month(), shown.Day(), shown.Hour(), shown.Minute(), 0, 0, time.UTC)
	return wall.Before(time.Date(day.Year, day.Month, day.Day, clock.Hour, clock.Minute, 0, 0, time.UTC))
}
