// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestClockIsSet(t *testing.T) {
	for name, c := range map[string]struct {
		by     time.Duration
		stops  bool   // the agent does not run meanwhile
		boots  bool   // the machine neither
		change string // by the stopwatch, from when it was set
	}{
		"within a minute":            {by: time.Minute, change: "1h0m0s"},
		"two hours ahead":            {by: 2 * time.Hour, change: "3h0m0s"}, // seen after one
		"years ahead":                {by: 20 * 365 * day, change: "25h0m0s"},
		"two hours back":             {by: -2 * time.Hour, change: "3h0m0s"},
		"back while it did not run":  {by: -2 * time.Hour, stops: true, change: "2h0m0s"},
		"ahead while it did not run": {by: 2 * time.Hour, stops: true, change: "2h0m0s"},
		// Nothing tells for how long a machine was off, but that its clock went back.
		"ahead while it was off": {by: 2 * time.Hour, stops: true, boots: true, change: "0s"},
		"back while it was off":  {by: -2 * time.Hour, stops: true, boots: true, change: "2h0m0s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := due(t)
				m.mayEnd = true
				m.certs[0].end = at(t, "2028-08-11T12:00:00Z")
				a := m.start()
				set := time.Now()
				if c.stops {
					a.end()
				}
				m.ahead, m.certs[0].end = c.by, set.Add(c.by+50*day) // due by the new clock
				if c.boots {
					m.boot()
				}
				if c.stops {
					a = m.start()
				}
				sleep(30 * time.Hour)
				a.end()
				if len(m.past) != 1 {
					t.Fatalf("%d changes", len(m.past))
				}
				if after := m.past[0].Plan.Begun.Add(-c.by).Sub(set); after.String() != c.change {
					t.Errorf("changed after %s\n%s", after, a.log)
				}
			})
		})
	}
}

// What was refused by a clock that was years ahead is not put off until then.
func TestRefusedByAClockThatWasAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.mayEnd, m.ahead, m.refuse = true, 50*365*day, errors.New("no room")
		a := m.start()
		wait(t, "2027-08-11T13:30:00Z")
		if a.status().Refusals["renew"].Tries != 2 {
			t.Errorf("%+v", a.status().Refusals)
		}
		m.ahead, m.refuse = 0, nil
		wait(t, "2027-08-12T18:00:00Z")
		a.end()
		compare(t, m.changed, "2027-08-12T14:00:00Z renew apiserver") // a day after it was seen
	})
}

// A clock that was set is not believed by the next run either, whether a timer begins
// each of them, the agent was started again, or the machine was.
func TestTheNextRunDoubtsTheClock(t *testing.T) {
	for name, c := range map[string]struct {
		again  func(*made, *session) *session // after three hours, in which it was seen
		timer  bool
		change string // by the stopwatch, from when it was set
	}{
		"each from a timer": {timer: true, again: func(_ *made, s *session) *session { return s }, change: "9h0m0s"}, // seen after one
		"started again":     {again: func(m *made, s *session) *session { s.end(); return m.start() }, change: "9h0m0s"},
		"started again with the machine": {again: func(m *made, s *session) *session {
			s.end()
			sleep(day) // in which nothing tells how the clock runs
			m.boot()
			return m.start()
		}, change: "33h0m0s"}, // six hours of eight were left
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := due(t)
				m.mayEnd = true
				m.certs[0].end = at(t, "2028-08-11T12:00:00Z")
				start := m.start
				if c.timer {
					start = m.timer
				}
				a := start()
				m.ahead = 8 * time.Hour
				set := time.Now()
				m.certs[0].end = set.Add(50 * day) // due since long
				sleep(3*time.Hour + time.Minute)
				if !a.told.needed(ClockSuspect) {
					t.Errorf("nobody is told: %v", a.told.people)
				}
				a = c.again(m, a)
				if !a.told.needed(ClockSuspect) || strings.Count(a.log.String(), "level=WARN msg=\""+wasSet) > 1 {
					t.Errorf("nobody is told by the next run, or more than once: %v\n%s", a.told.people, a.log)
				}
				sleep(2 * day)
				a.end()
				if len(m.past) != 1 {
					t.Fatalf("%d changes\n%s", len(m.past), a.log)
				}
				if after := m.past[0].Plan.Begun.Add(-m.ahead).Sub(set).Truncate(time.Hour); after.String() != c.change {
					t.Errorf("changed after %s, want %s\n%s", after, c.change, a.log)
				}
				if len(a.told.people) != 0 {
					t.Errorf("it is over: %v", a.told.people)
				}
			})
		})
	}
}

// A clock's file that cannot be read is no stopwatch, and what the status says of
// when it was written still tells a clock that went back.
func TestAClockFileThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		a := m.start()
		a.end()
		m.files[ClockFile], m.ahead = []byte("{"), -2*time.Hour
		m.certs[0].end = m.now().Add(50 * day)
		a = m.start()
		defer a.end()
		if !a.told.needed(ClockSuspect) {
			t.Errorf("%v\n%s", a.told.people, a.log)
		}
	})
}
