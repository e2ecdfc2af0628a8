// SPDX-License-Identifier: Apache-2.0

package schedule_test

import (
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/schedule"
)

func TestWhen(t *testing.T) {
	sundays := schedule.Calendar{Windows: []schedule.Window{{Days: []time.Weekday{time.Sunday}, Start: schedule.Clock{Hour: 2}, Length: 2 * time.Hour, Zone: time.UTC}}}
	closed := schedule.Calendar{Never: []schedule.Never{{From: day(t, "01-01"), Until: day(t, "12-31")}}}
	const hour, days = time.Hour, 24 * time.Hour
	for name, c := range map[string]struct {
		rules          schedule.Rules
		from, end, now string
		made           []string
		at, because    string // never where at is empty
		outside        bool
	}{
		"at once":          {rules: schedule.Rules{}, from: "2026-11-01T00:00:00Z", now: "2026-11-22T10:00:00Z", at: "2026-11-22T10:00:00Z"},
		"not due yet":      {rules: schedule.Rules{}, from: "2026-12-01T00:00:00Z", now: "2026-11-22T10:00:00Z", at: "2026-12-01T00:00:00Z"},
		"in a window":      {rules: schedule.Rules{Calendar: sundays}, from: "2026-11-23T00:00:00Z", end: "2027-02-23T00:00:00Z", now: "2026-11-22T10:00:00Z", at: "2026-11-29T02:00:00Z", because: "window opens"},
		"a window is open": {rules: schedule.Rules{Calendar: sundays}, from: "2026-11-20T00:00:00Z", end: "2027-02-23T00:00:00Z", now: "2026-11-22T03:00:00Z", at: "2026-11-22T03:00:00Z"},
		"the windows were missed, there is another": {rules: schedule.Rules{Calendar: sundays, Reserve: 3 * days},
			from: "2026-09-01T00:00:00Z", end: "2026-12-02T12:00:00Z", now: "2026-11-24T00:00:00Z", at: "2026-11-29T02:00:00Z", because: "window opens"},
		"and there is none": {rules: schedule.Rules{Calendar: sundays, Reserve: 3 * days},
			from: "2026-09-01T00:00:00Z", end: "2026-12-01T12:00:00Z", now: "2026-11-24T00:00:00Z", at: "2026-11-28T12:00:00Z", because: "early enough", outside: true},
		"in the reserve": {rules: schedule.Rules{Calendar: sundays, Reserve: 3 * days},
			from: "2026-09-01T00:00:00Z", end: "2026-11-25T12:00:00Z", now: "2026-11-24T00:00:00Z", at: "2026-11-24T00:00:00Z", because: "early enough", outside: true},
		"after its end": {rules: schedule.Rules{Calendar: sundays, Reserve: 3 * days},
			from: "2026-09-01T00:00:00Z", end: "2026-11-20T00:00:00Z", now: "2026-11-24T00:00:00Z", at: "2026-11-24T00:00:00Z", because: "early enough", outside: true},
		"never outside": {rules: schedule.Rules{Calendar: sundays, Reserve: -1},
			from: "2026-09-01T00:00:00Z", end: "2026-11-25T12:00:00Z", now: "2026-11-24T00:00:00Z", at: "2026-11-29T02:00:00Z", because: "window opens"},
		"nothing is ever open":           {rules: schedule.Rules{Calendar: closed, Reserve: -1}, from: "2026-09-01T00:00:00Z", end: "2026-11-25T12:00:00Z", now: "2026-11-24T00:00:00Z", because: "ever opens"},
		"nothing is ever open, it ends":  {rules: schedule.Rules{Calendar: closed, Reserve: hour}, from: "2026-09-01T00:00:00Z", end: "2026-11-25T12:00:00Z", now: "2026-11-24T00:00:00Z", at: "2026-11-25T11:00:00Z", because: "early enough", outside: true},
		"too many changes":               {rules: schedule.Rules{PerDay: 2}, from: "2026-11-01T00:00:00Z", now: "2026-11-22T10:00:00Z", made: []string{"2026-11-22T09:00:00Z", "2026-11-21T11:00:00Z", "2026-11-20T00:00:00Z"}, at: "2026-11-22T11:00:00Z", because: "2 changes"},
		"just few enough":                {rules: schedule.Rules{PerDay: 2}, from: "2026-11-01T00:00:00Z", now: "2026-11-22T11:00:00Z", made: []string{"2026-11-22T09:00:00Z", "2026-11-21T11:00:00Z"}, at: "2026-11-22T11:00:00Z"},
		"too many changes in the window": {rules: schedule.Rules{PerDay: 1, Calendar: sundays}, from: "2026-11-01T00:00:00Z", end: "2027-02-23T00:00:00Z", now: "2026-11-22T03:00:00Z", made: []string{"2026-11-22T02:00:00Z"}, at: "2026-11-29T02:00:00Z", because: "window opens"},
		"too many changes in the reserve": {rules: schedule.Rules{PerDay: 1, Calendar: sundays, Reserve: days},
			from: "2026-11-01T00:00:00Z", end: "2026-11-24T08:00:00Z", now: "2026-11-23T08:00:00Z", made: []string{"2026-11-23T01:00:00Z"}, at: "2026-11-24T01:00:00Z", because: "early enough", outside: true},
	} {
		t.Run(name, func(t *testing.T) {
			task := schedule.Task{ID: "cp1/apiserver", From: instant(t, c.from)}
			if c.end != "" {
				task.End = instant(t, c.end)
			}
			var made []time.Time
			for _, m := range c.made {
				made = append(made, instant(t, m))
			}
			turn, ok := c.rules.When("cp1", task, made, instant(t, c.now))
			if ok != (c.at != "") || ok && !turn.At.Equal(instant(t, c.at)) || turn.Outside != c.outside {
				t.Errorf("%v at %s, outside %v: %s", ok, turn.At.Format(time.RFC3339), turn.Outside, turn.Because)
			}
			if c.because == "" && turn.Because != "" || !strings.Contains(turn.Because, c.because) {
				t.Errorf("because %q", turn.Because)
			}
		})
	}
}

// Nodes keep apart, and never by so much that there is not time enough.
func TestWhenSpreads(t *testing.T) {
	from, end := instant(t, "2026-11-01T00:00:00Z"), instant(t, "2026-11-03T00:00:00Z")
	rules := schedule.Rules{Spread: 30 * 24 * time.Hour}
	seen := map[time.Time]bool{}
	for _, node := range []string{"cp1", "cp2", "cp3", "cp4", "cp5"} {
		turn, ok := rules.When(node, schedule.Task{ID: "cp/apiserver", From: from, End: end}, nil, from.Add(-time.Hour))
		if !ok || turn.At.Before(from) || !turn.At.Before(from.Add(24*time.Hour)) || seen[turn.At] || !strings.Contains(turn.Because, "nodes do not begin at once") {
			t.Errorf("%s: %v %+v", node, ok, turn)
		}
		seen[turn.At] = true
	}
}

// Nodes that wait for the same window keep apart in it, however often they ask,
// and within its first half.
func TestNodesKeepApartInAWindow(t *testing.T) {
	rules := schedule.Rules{Spread: 12 * time.Hour, Reserve: 3 * 24 * time.Hour, Calendar: schedule.Calendar{
		Windows: []schedule.Window{{Days: []time.Weekday{time.Sunday}, Start: schedule.Clock{Hour: 2}, Length: 4 * time.Hour, Zone: time.UTC}}}}
	from, begin := instant(t, "2026-11-23T00:00:00Z"), instant(t, "2026-11-29T02:00:00Z")
	seen := map[time.Time]bool{}
	for _, node := range []string{"cp1", "cp2", "cp3", "cp4", "cp5"} {
		task := schedule.Task{ID: node + "/apiserver", From: from, End: instant(t, "2027-02-23T00:00:00Z")}
		own := begin.Add(schedule.Jitter(node, task.ID, 2*time.Hour))
		for _, now := range []time.Time{from.AddDate(0, -1, 0), from, begin, own.Add(-time.Second), own} {
			turn, ok := rules.When(node, task, nil, now)
			if !ok || !turn.At.Equal(own) || turn.Outside || now.Before(own) != strings.Contains(turn.Because, "after the window opens, so that") {
				t.Errorf("%s asks at %s: %v %+v, want %s", node, now, ok, turn, own)
			}
		}
		if now := own.Add(time.Hour); seen[own] {
			t.Errorf("%s at the moment of another", node)
		} else if turn, _ := rules.When(node, task, nil, now); !turn.At.Equal(now) {
			t.Errorf("%s, late, waits until %s", node, turn.At)
		}
		seen[own] = true

		// What becomes due while the window is open has been spread already.
		task.From, task.End = begin.Add(-time.Minute), begin.Add(10*time.Minute)
		rules := rules
		rules.Reserve = -1
		due := task.From.Add(schedule.Jitter(node, task.ID, 11*time.Minute/2))
		if turn, ok := rules.When(node, task, nil, begin.Add(6*time.Minute)); due.After(begin) && (!ok || !turn.At.Equal(begin.Add(6*time.Minute))) {
			t.Errorf("%s: %v %+v", node, ok, turn)
		}
	}
	// Its own moment is not after the reserve begins.
	task := schedule.Task{ID: "cp1/apiserver", From: from, End: begin.Add(3*24*time.Hour + time.Minute)}
	if turn, ok := rules.When("cp1", task, nil, from); !ok || turn.Outside || turn.At.Before(begin) || turn.At.After(begin.Add(time.Minute)) {
		t.Errorf("%v %+v", ok, turn)
	}
}

// A change that the record has in the future was made by a wrong clock.
func TestRecordsAheadOfTheClock(t *testing.T) {
	now := instant(t, "2026-11-22T10:00:00Z")
	rules := schedule.Rules{PerDay: 1}
	turn, ok := rules.When("cp1", schedule.Task{ID: "cp1/apiserver", From: now.AddDate(0, -1, 0)}, []time.Time{now.AddDate(4, 0, 0), now.Add(time.Minute)}, now)
	if !ok || !turn.At.Equal(now) {
		t.Errorf("%v %+v", ok, turn)
	}
}

// Two years of a credential that is due every ninety days: each change is made in
// a window, on a day that is none of those off, and not one is left out.
func TestTwoYearsOfChanges(t *testing.T) {
	berlin := zone(t, "Europe/Berlin")
	rules := schedule.Rules{Spread: 12 * time.Hour, Reserve: 3 * 24 * time.Hour, PerDay: 1, Calendar: schedule.Calendar{
		Windows: []schedule.Window{{Days: []time.Weekday{time.Saturday, time.Sunday}, Start: schedule.Clock{Hour: 2, Minute: 30}, Length: 3 * time.Hour, Zone: berlin}},
		Never:   []schedule.Never{{From: day(t, "12-20"), Until: day(t, "01-06")}, {From: day(t, "02-29"), Until: day(t, "02-29")}},
	}}
	issued := instant(t, "2027-01-01T00:00:00Z")
	var made []time.Time
	for issued.Before(instant(t, "2029-01-01T00:00:00Z")) {
		task := schedule.Task{ID: "cp1/apiserver", From: issued.AddDate(0, 0, 60), End: issued.AddDate(0, 0, 90)}
		var at time.Time
		for now := issued; at.IsZero(); now = now.Add(5 * time.Minute) {
			if turn, ok := rules.When("cp1", task, made, now); !ok || turn.Outside {
				t.Fatalf("at %s: %v %+v", now, ok, turn)
			} else if !turn.At.After(now) {
				at = now
			}
		}
		shown := at.In(berlin)
		clock := shown.Format("15:04")
		if d := shown.Weekday(); d != time.Saturday && d != time.Sunday || clock < "02:30" || clock > "05:30" || at.Before(task.From) || at.After(task.From.AddDate(0, 0, 25)) {
			t.Errorf("issued %s, changed %s", issued, shown)
		}
		made, issued = append(made, at), at
	}
	if len(made) != 12 {
		t.Errorf("%d changes: %v", len(made), made)
	}
}
