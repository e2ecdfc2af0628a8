// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
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

// Never is a stretch of days on which no window is open, also none that opened
// before. What is left of one after them is open again.
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
	const leapYear = "2024-"
	yearly := strings.Count(text, "-") == 1
	full := text
	if yearly {
		full = leapYear + text
	}
	t, err := time.Parse(time.DateOnly, full)
	if err != nil || t.Year() == 0 {
		return Day{}, fmt.Errorf("day %q: want a form like 2026-12-24, or 12-24 for every year", text)
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
