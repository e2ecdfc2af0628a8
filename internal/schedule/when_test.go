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
