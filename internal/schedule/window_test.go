// SPDX-License-Identifier: Apache-2.0

package schedule_test

import (
	"testing"
	"time"

	"perennial.dev/perennial/internal/schedule"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func day(t *testing.T, text string) schedule.Day {
	t.Helper()
	d, err := schedule.ParseDay(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestNextOpening(t *testing.T) {
	berlin, lordHowe, newYork := zone(t, "Europe/Berlin"), zone(t, "Australia/Lord_Howe"), zone(t, "America/New_York")
	weekend := []time.Weekday{time.Saturday, time.Sunday}
	night := func(z *time.Location, hour, minute int, length time.Duration, days ...time.Weekday) schedule.Calendar {
		return schedule.Calendar{Windows: []schedule.Window{{Days: days, Start: schedule.Clock{Hour: hour, Minute: minute}, Length: length, Zone: z}}}
	}
	without := func(c schedule.Calendar, from, until string) schedule.Calendar {
		c.Never = []schedule.Never{{From: day(t, from), Until: day(t, until)}}
		return c
	}
	holidays := []schedule.Never{{From: day(t, "2026-12-24"), Until: day(t, "2026-12-26")}}
	two := func(begin, second int, lengths ...time.Duration) schedule.Calendar {
		c := night(time.UTC, begin, 0, lengths[0])
		c.Windows = append(c.Windows, night(time.UTC, second, 0, lengths[1]).Windows...)
		return c
	}
	overlapping, touching := two(2, 3, 2*time.Hour, 3*time.Hour), two(4, 2, time.Hour, 2*time.Hour)
	for name, c := range map[string]struct {
		calendar        schedule.Calendar
		at, begin, ends string // none opens where both are empty
	}{
		"later today":       {night(berlin, 2, 0, 3*time.Hour), "2026-11-22T00:30:00Z", "2026-11-22T01:00:00Z", "2026-11-22T04:00:00Z"},
		"open now":          {night(berlin, 2, 0, 3*time.Hour), "2026-11-22T03:59:59Z", "2026-11-22T01:00:00Z", "2026-11-22T04:00:00Z"},
		"just over":         {night(berlin, 2, 0, 3*time.Hour), "2026-11-22T04:00:00Z", "2026-11-23T01:00:00Z", "2026-11-23T04:00:00Z"},
		"open since before": {night(berlin, 22, 0, 8*time.Hour, time.Friday), "2026-11-21T03:00:00Z", "2026-11-20T21:00:00Z", "2026-11-21T05:00:00Z"},
		"open for days":     {night(berlin, 22, 0, 60*time.Hour, time.Friday), "2026-11-23T08:00:00Z", "2026-11-20T21:00:00Z", "2026-11-23T09:00:00Z"},
		"next week":         {night(berlin, 22, 0, time.Hour, weekend...), "2026-11-23T08:00:00Z", "2026-11-28T21:00:00Z", "2026-11-28T22:00:00Z"},

		// 02:30 is not there on 2027-03-28 in Berlin, and is there twice on
		// 2026-10-25; Lord Howe Island moves by half an hour.
		"clocks leap over the start":      {night(berlin, 2, 30, time.Hour), "2027-03-28T00:00:00Z", "2027-03-28T01:00:00Z", "2027-03-28T02:00:00Z"},
		"clocks go forward inside":        {night(berlin, 1, 30, 2*time.Hour), "2027-03-28T00:00:00Z", "2027-03-28T00:30:00Z", "2027-03-28T02:30:00Z"},
		"the start is there twice":        {night(berlin, 2, 30, 30*time.Minute), "2026-10-24T22:00:00Z", "2026-10-25T00:30:00Z", "2026-10-25T01:00:00Z"},
		"and opens once":                  {night(berlin, 2, 30, 30*time.Minute), "2026-10-25T01:00:00Z", "2026-10-26T01:30:00Z", "2026-10-26T02:00:00Z"},
		"half an hour is leapt over":      {night(lordHowe, 2, 15, time.Hour), "2026-10-03T12:00:00Z", "2026-10-03T15:30:00Z", "2026-10-03T16:30:00Z"},
		"half an hour is there twice":     {night(lordHowe, 1, 45, time.Hour), "2027-04-03T12:00:00Z", "2027-04-03T14:45:00Z", "2027-04-03T15:45:00Z"},
		"in New York the day begins late": {night(newYork, 0, 0, time.Hour), "2026-11-22T04:59:00Z", "2026-11-22T05:00:00Z", "2026-11-22T06:00:00Z"},

		"a day off":                {without(night(berlin, 2, 0, time.Hour), "2026-12-24", "2026-12-26"), "2026-12-23T12:00:00Z", "2026-12-27T01:00:00Z", "2026-12-27T02:00:00Z"},
		"every year, over its end": {without(night(berlin, 2, 0, time.Hour), "12-20", "01-06"), "2029-12-20T12:00:00Z", "2030-01-07T01:00:00Z", "2030-01-07T02:00:00Z"},
		"it runs into a day off":   {without(night(berlin, 22, 0, 5*time.Hour), "2026-12-24", "2026-12-24"), "2026-12-23T22:00:00Z", "2026-12-23T21:00:00Z", "2026-12-23T23:00:00Z"},
		"a 29th of February":       {without(night(time.UTC, 2, 0, time.Hour), "02-29", "02-29"), "2028-02-28T12:00:00Z", "2028-03-01T02:00:00Z", "2028-03-01T03:00:00Z"},
		"not in other years":       {without(night(time.UTC, 2, 0, time.Hour), "02-29", "02-29"), "2027-02-28T12:00:00Z", "2027-03-01T02:00:00Z", "2027-03-01T03:00:00Z"},
		"never":                    {without(night(berlin, 2, 0, time.Hour), "01-01", "12-31"), "2026-11-22T00:00:00Z", "", ""},

		"without windows":              {schedule.Calendar{}, "2026-11-22T05:00:00Z", "2026-11-22T00:00:00Z", "2026-12-23T05:00:00Z"},
		"without windows, days off":    {schedule.Calendar{Zone: berlin, Never: holidays}, "2026-12-24T05:00:00Z", "2026-12-26T23:00:00Z", "2027-01-26T23:00:00Z"},
		"without windows, soon closed": {schedule.Calendar{Zone: berlin, Never: holidays}, "2026-12-01T05:00:00Z", "2026-11-30T23:00:00Z", "2026-12-23T23:00:00Z"},

		"a day off in the middle":       {without(night(berlin, 22, 0, 60*time.Hour, time.Friday), "2026-12-26", "2026-12-26"), "2026-12-25T21:30:00Z", "2026-12-25T21:00:00Z", "2026-12-25T23:00:00Z"},
		"and the window goes on":        {without(night(berlin, 22, 0, 60*time.Hour, time.Friday), "2026-12-26", "2026-12-26"), "2026-12-26T12:00:00Z", "2026-12-26T23:00:00Z", "2026-12-28T09:00:00Z"},
		"it is open before it is over":  {overlapping, "2026-11-22T03:30:00Z", "2026-11-22T02:00:00Z", "2026-11-22T06:00:00Z"},
		"since the first of them":       {overlapping, "2026-11-22T05:30:00Z", "2026-11-22T02:00:00Z", "2026-11-22T06:00:00Z"},
		"the longer one began later":    {overlapping, "2026-11-22T02:30:00Z", "2026-11-22T02:00:00Z", "2026-11-22T06:00:00Z"},
		"one ends as the other begins":  {touching, "2026-11-22T02:30:00Z", "2026-11-22T02:00:00Z", "2026-11-22T05:00:00Z"},
		"Saturday ends an hour earlier": {night(zone(t, "America/Nuuk"), 23, 30, time.Hour, time.Saturday), "2027-03-27T12:00:00Z", "2027-03-28T01:00:00Z", "2027-03-28T02:00:00Z"},
		"and Sunday's is on Sunday":     {night(zone(t, "America/Nuuk"), 23, 30, time.Hour, time.Sunday), "2027-03-27T12:00:00Z", "2027-03-29T00:30:00Z", "2027-03-29T01:30:00Z"},
		"over the hour that is missing": {night(berlin, 23, 30, 23*time.Hour+45*time.Minute, time.Saturday), "2027-03-28T22:05:00Z", "2027-03-27T22:30:00Z", "2027-03-28T22:15:00Z"},
		"a day without midnight":        {night(zone(t, "America/Santiago"), 0, 0, time.Hour), "2027-09-04T12:00:00Z", "2027-09-05T04:00:00Z", "2027-09-05T05:00:00Z"},
		"and one off":                   {without(night(zone(t, "America/Santiago"), 23, 0, 26*time.Hour, time.Saturday), "2027-09-05", "2027-09-05"), "2027-09-05T04:00:00Z", "2027-09-06T03:00:00Z", "2027-09-06T05:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := c.calendar.Next(instant(t, c.at))
			if c.begin == "" {
				if ok {
					t.Fatalf("opens at %s", got.Begin)
				}
				return
			}
			if !ok || !got.Begin.Equal(instant(t, c.begin)) || !got.End.Equal(instant(t, c.ends)) {
				t.Errorf("open from %s to %s, want %s to %s", got.Begin.UTC().Format(time.RFC3339), got.End.UTC().Format(time.RFC3339), c.begin, c.ends)
			}
			until, open := c.calendar.Open(instant(t, c.at))
			if want := !instant(t, c.at).Before(got.Begin); open != want || open && !until.Equal(got.End) {
				t.Errorf("open %v until %s", open, until)
			}
		})
	}
}

// Of two years, every night has one opening, whatever clocks do: none is left
// out, none comes twice, and each is as long as it says.
func TestEveryNightOnce(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC", "America/St_Johns"} {
		z := zone(t, name)
		for _, start := range []schedule.Clock{{Hour: 0, Minute: 0}, {Hour: 1, Minute: 59}, {Hour: 2, Minute: 30}, {Hour: 23, Minute: 30}} {
			c := schedule.Calendar{Windows: []schedule.Window{{Start: start, Length: 45 * time.Minute, Zone: z}}}
			at, end, nights := time.Date(2027, 1, 1, 12, 0, 0, 0, z), time.Date(2029, 1, 1, 12, 0, 0, 0, z), map[string]bool{}
			for {
				o, ok := c.Next(at)
				if ok && o.Begin.After(end) {
					break
				}
				night := o.Begin.In(z).Format(time.DateOnly)
				if !ok || o.Begin.Before(at) || o.End.Sub(o.Begin) != 45*time.Minute || nights[night] {
					t.Fatalf("%s at %s: %v after %s", name, start, o, at)
				}
				nights[night], at = true, o.End
			}
			if len(nights) != 365+366 {
				t.Errorf("%s at %s: %d nights of two years, one with a leap day", name, start, len(nights))
			}
		}
	}
}

func TestParse(t *testing.T) {
	for _, bad := range []string{"", "2:30", "24:00", "02:60", "02:30:00", "0230"} {
		if c, err := schedule.ParseClock(bad); err == nil {
			t.Errorf("%q is read as %s", bad, c)
		}
	}
	for _, bad := range []string{"", "12", "13-01", "02-30", "2027-02-29", "24.12.", "2026-1-1"} {
		if d, err := schedule.ParseDay(bad); err == nil {
			t.Errorf("%q is read as %s", bad, d)
		}
	}
	for _, good := range []string{"2026-12-24", "02-29", "01-01"} {
		if d := day(t, good); d.String() != good {
			t.Errorf("%q is printed as %s", good, d)
		}
	}
}
