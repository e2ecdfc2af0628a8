// SPDX-License-Identifier: Apache-2.0

package schedule_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"perennial.dev/perennial/internal/schedule"
)

// model is a calendar that looks at the clocks of every single minute instead of
// computing with dates.
type model struct {
	schedule.Calendar
	from, until time.Time
	open        []bool // for each minute
}

func (m *model) String() string { return fmt.Sprintf("%+v", m.Calendar) }

func (m *model) run() {
	m.open = make([]bool, int(m.until.Sub(m.from)/time.Minute))
	for _, w := range m.Windows {
		opened := map[string]bool{} // days whose window has opened
		left := time.Duration(0)
		yesterday := ""
		for i := range m.open {
			shown := m.from.Add(time.Duration(i) * time.Minute).In(w.Zone)
			today := shown.Format(time.DateOnly)
			if yesterday == "" {
				opened[today] = true // the model begins in the middle of this day
				yesterday = today
			}
			days := []time.Time{shown}
			if today != yesterday { // it may be that clocks leapt over the end of yesterday
				days = []time.Time{shown.AddDate(0, 0, -1), shown}
				yesterday = today
			}
			for _, d := range days {
				name := d.Format(time.DateOnly)
				past := name < today || shown.Hour()*60+shown.Minute() >= w.Start.Hour*60+w.Start.Minute
				if opened[name] || !past {
					continue
				}
				opened[name] = true
				if on(w.Days, d.Weekday()) {
					left = max(left, w.Length)
				}
			}
			if left > 0 {
				left -= time.Minute
				m.open[i] = m.open[i] || !m.never(shown)
			}
		}
	}
}

func on(days []time.Weekday, d time.Weekday) bool {
	for _, o := range days {
		if o == d {
			return true
		}
	}
	return len(days) == 0
}

func (m *model) never(shown time.Time) bool {
	for _, n := range m.Never {
		if day := shown.Format(time.DateOnly); n.From.String() <= day && day <= n.Until.String() {
			return true
		}
	}
	return false
}

// Calendars with windows that overlap and days off are compared, minute by
// minute, with the clocks that they are about, in the weeks in which these clocks
// are changed.
func TestAgainstTheClocks(t *testing.T) {
	for _, place := range []struct{ zone, around string }{
		{"Europe/Berlin", "2027-03-28"}, {"Europe/Berlin", "2027-10-31"},
		{"America/Santiago", "2027-09-05"}, {"America/Santiago", "2027-04-04"}, // at midnight
		{"Asia/Beirut", "2027-03-28"}, {"Asia/Beirut", "2027-10-31"}, // at midnight
		{"America/Havana", "2027-03-14"}, {"America/Havana", "2027-11-07"}, // from midnight
		{"America/Nuuk", "2027-03-28"}, {"America/Nuuk", "2027-10-31"}, // over the last hour of Saturday
		{"Africa/Cairo", "2027-04-30"}, {"Africa/Cairo", "2027-10-28"}, // on Fridays
		{"Australia/Lord_Howe", "2027-10-03"}, {"Australia/Lord_Howe", "2027-04-04"}, // by half an hour
		{"Antarctica/Troll", "2027-03-28"}, {"Antarctica/Troll", "2027-10-31"}, // by two hours
		{"Africa/Casablanca", "2027-02-07"}, {"Africa/Casablanca", "2027-03-14"}, // for Ramadan
	} {
		t.Run(place.zone+" "+place.around, func(t *testing.T) {
			z := zone(t, place.zone)
			middle := instant(t, place.around+"T00:00:00Z")
			before, after := middle.AddDate(0, 0, -10).In(z), middle.AddDate(0, 0, 10).In(z)
			if _, a := before.Zone(); func() int { _, b := after.Zone(); return b }() == a {
				t.Fatal("clocks are not changed then")
			}
			chance := rand.New(rand.NewPCG(1, uint64(middle.Unix())))
			for range 6 {
				m := &model{Calendar: anyCalendar(chance, z, middle), from: middle.AddDate(0, 0, -21), until: middle.AddDate(0, 0, 14)}
				m.run()
				m.compare(t, middle.AddDate(0, 0, -6), middle.AddDate(0, 0, 6))
				if t.Failed() {
					return
				}
			}
		})
	}
}

// anyCalendar draws one whose windows begin at odd and at tricky times.
func anyCalendar(chance *rand.Rand, z *time.Location, middle time.Time) (c schedule.Calendar) {
	starts := []schedule.Clock{{Hour: 0, Minute: 0}, {Hour: 0, Minute: 30}, {Hour: 1, Minute: 0}, {Hour: 2, Minute: 30}, {Hour: 23, Minute: 0}, {Hour: 23, Minute: 30}, {Hour: 23, Minute: 59}}
	lengths := []time.Duration{time.Minute, 30 * time.Minute, time.Hour, 4 * time.Hour, 23*time.Hour + 45*time.Minute, 24 * time.Hour, 47*time.Hour + 59*time.Minute, 60 * time.Hour, 7 * 24 * time.Hour}
	for range 1 + chance.IntN(3) {
		w := schedule.Window{Start: starts[chance.IntN(len(starts))], Length: lengths[chance.IntN(len(lengths))], Zone: z}
		if chance.IntN(4) == 0 {
			w.Start = schedule.Clock{Hour: chance.IntN(24), Minute: chance.IntN(60)}
		}
		for d := range time.Weekday(7) {
			if chance.IntN(3) == 0 {
				w.Days = append(w.Days, d)
			}
		}
		c.Windows = append(c.Windows, w)
	}
	for range chance.IntN(3) {
		from := middle.AddDate(0, 0, chance.IntN(16)-8)
		until := from.AddDate(0, 0, chance.IntN(3))
		c.Never = append(c.Never, schedule.Never{From: dayOf(from), Until: dayOf(until)})
	}
	return c
}

func dayOf(t time.Time) schedule.Day {
	return schedule.Day{Year: t.Year(), Month: t.Month(), Day: t.Day()}
}

// compare asks at every eleventh minute.
func (m *model) compare(t *testing.T, from, until time.Time) {
	t.Helper()
	for at := from; at.Before(until); at = at.Add(11 * time.Minute) {
		i := int(at.Sub(m.from) / time.Minute)
		until, open := m.Open(at)
		if open != m.open[i] {
			t.Errorf("%s\nat %s open is %v, and is not", m, at.In(m.Windows[0].Zone), open)
			return
		}
		want := i
		for want < len(m.open) && m.open[want] == open {
			want++
		}
		if want == len(m.open) {
			continue // beyond the model
		}
		change := m.from.Add(time.Duration(want) * time.Minute)
		if open && !until.Equal(change) {
			t.Errorf("%s\nat %s it is open until %s, not %s", m, at.In(m.Windows[0].Zone), until.In(m.Windows[0].Zone), change.In(m.Windows[0].Zone))
			return
		}
		next, ok := m.Next(at)
		if !open && (!ok || !next.Begin.Equal(change)) {
			t.Errorf("%s\nat %s the next opens at %s (%v), not %s", m, at.In(m.Windows[0].Zone), next.Begin.In(m.Windows[0].Zone), ok, change.In(m.Windows[0].Zone))
			return
		}
		for want = i; want > 0 && m.open[want-1] == open; want-- {
		}
		const settled = 8 * 24 * 60 // by then all is over that opened before the model begins
		if change := m.from.Add(time.Duration(want) * time.Minute); open && want > settled && !next.Begin.Equal(change) {
			t.Errorf("%s\nat %s it is open since %s, not %s", m, at.In(m.Windows[0].Zone), next.Begin.In(m.Windows[0].Zone), change.In(m.Windows[0].Zone))
			return
		}
	}
}

// A window may be open while clocks are changed twice.
func TestLongOpenings(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	c := schedule.Calendar{Windows: []schedule.Window{{Days: []time.Weekday{time.Monday}, Start: schedule.Clock{Hour: 2}, Length: 7 * 24 * time.Hour, Zone: berlin}}}
	at := instant(t, "2027-01-15T00:00:00Z")
	c.Never = []schedule.Never{{From: day(t, "2027-01-13"), Until: day(t, "2027-01-13")}, {From: day(t, "2027-12-01"), Until: day(t, "2027-12-01")}}
	if o, ok := c.Next(at); !ok || !o.Begin.Equal(instant(t, "2027-01-13T23:00:00Z")) || o.End.Before(at.AddDate(0, 0, 31)) {
		t.Errorf("%v, open from %s to %s", ok, o.Begin.UTC(), o.End.UTC())
	}
	if until, ok := c.Open(instant(t, "2027-11-20T00:00:00Z")); !ok || !until.Equal(instant(t, "2027-11-30T23:00:00Z")) {
		t.Errorf("%v, open until %s", ok, until.UTC())
	}
	c = schedule.Calendar{Windows: []schedule.Window{{Days: []time.Weekday{time.Sunday}, Start: schedule.Clock{Hour: 2}, Length: 300 * 24 * time.Hour, Zone: berlin}}}
	c.Never = []schedule.Never{{From: day(t, "2026-01-01"), Until: day(t, "2026-12-31")}, {From: day(t, "2027-01-08"), Until: day(t, "2030-12-31")}}
	for at, want := range map[string]string{"2027-01-01T00:00:00Z": "2027-01-07T23:00:00Z", "2026-06-01T00:00:00Z": "2027-01-07T23:00:00Z"} {
		if o, ok := c.Next(instant(t, at)); !ok || !o.Begin.Equal(instant(t, "2026-12-31T23:00:00Z")) || !o.End.Equal(instant(t, want)) {
			t.Errorf("at %s: %v, open from %s to %s", at, ok, o.Begin.UTC(), o.End.UTC())
		}
	}
}

// What is open without an end is not closed at midnight.
func TestAlwaysOpen(t *testing.T) {
	for name, c := range map[string]schedule.Calendar{
		"without windows": {},
		"whole days":      {Windows: []schedule.Window{{Length: 24 * time.Hour}}},
		"two shifts":      {Windows: []schedule.Window{{Length: 12 * time.Hour}, {Start: schedule.Clock{Hour: 12}, Length: 12 * time.Hour}}},
	} {
		at := instant(t, "2026-11-22T23:59:00Z")
		if until, ok := c.Open(at); !ok || until.Before(at.AddDate(0, 0, 31)) {
			t.Errorf("%s: %v until %s", name, ok, until)
		}
	}
}
