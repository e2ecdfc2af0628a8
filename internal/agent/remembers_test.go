// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

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

// The last valid settings are in force for a run that begins with invalid ones.
func TestSettingsOutliveTheRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.policy.Agent.Leave, m.version = []string{"*/etcd-peer"}, 7
		m.cert("etcd-peer", "2027-08-01T00:00:00Z", 365*day)
		m.certs[0].end = at(t, "2027-08-11T15:30:00Z").Add(90 * day)
		m.mayEnd = true
		a := m.start()
		a.end()
		m.invalid = errors.New("config.yaml:7:3: unknown field")
		wait(t, "2027-08-11T13:00:00Z")
		a = m.start()
		want := SettingsStatus{Act: true, Digest: versioned(7), Since: at(t, "2027-08-11T12:00:00Z"), Error: "config.yaml:7:3: unknown field"}
		if s := a.status(); s.Settings != want || s.Every.Duration != time.Hour || s.Exit(m.now()) != 13 {
			t.Errorf("%+v", s)
		}
		if a.told.valid || !a.told.acts || a.told.every != time.Hour {
			t.Errorf("%+v", a.told)
		}
		wait(t, "2027-08-11T16:00:00Z")
		a.end()
		compare(t, m.changed, "2027-08-11T15:30:00Z renew apiserver")

		// The same settings that are valid again are in force since they were first.
		m.invalid = nil
		a = m.start()
		if s := a.status().Settings; !s.Since.Equal(want.Since) || s.Error != "" {
			t.Errorf("%+v", s)
		}
		m.version = 8
		sleep(time.Hour)
		a.end()
		if s := a.status().Settings; !s.Since.Equal(at(t, "2027-08-11T17:00:00Z")) || s.Digest != versioned(8) {
			t.Errorf("%+v", s)
		}

		// What is not there, or is no settings, lets it look only.
		for _, kept := range []string{"", "{", `{"since":"2027-08-11T12:00:00Z","settings":{"kind":"Config","agent":{"act":"yes"}}}`} {
			m.invalid, m.files[SettingsFile] = errors.New("config.yaml:7:3: unknown field"), []byte(kept)
			if kept == "" {
				delete(m.files, SettingsFile)
			}
			a = m.start()
			a.end()
			if s := a.status().Settings; s.Act || !s.Since.IsZero() || s.Digest != "" || s.Error == "" {
				t.Errorf("%q: %+v", kept, s)
			}
		}
	})
}

// Settings that could not be kept are kept when they can be.
func TestSettingsOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.readOnly = errors.New("no space left on device")
		a := m.start()
		defer a.end()
		m.readOnly = nil
		sleep(time.Hour)
		if kept, err := recall(m); err != nil || !kept.known() || !kept.Policy.Agent.Act {
			t.Errorf("%v %+v", err, kept)
		}
	})
}

// Settings that change are noticed soon, and nothing is looked at for what has not
// changed.
func TestChangedSettingsAreNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.policy.Agent.Act = false
		a := m.start(func(a *Agent) { a.Poll = 0 })
		defer a.end()
		sleep(50 * time.Minute)
		if m.looks != 1 {
			t.Errorf("%d looks, and nothing has changed", m.looks)
		}
		m.invalid = errors.New("config.yaml:3:5: act: want true or false")
		sleep(DefaultPoll)
		if s := a.status(); m.looks != 2 || s.Settings.Error == "" || !a.told.needed(SettingsInvalid) {
			t.Errorf("%d looks, %+v", m.looks, s.Settings)
		}
		sleep(30 * time.Minute)
		if m.looks != 2 {
			t.Errorf("%d looks, and nothing has changed", m.looks)
		}
		m.invalid, m.policy.Agent.Act, m.version = nil, true, 2
		sleep(DefaultPoll + renewTakes)
		if s := a.status(); s.Settings.Error != "" || s.Settings.Digest != versioned(2) || len(m.changed) != 1 {
			t.Errorf("%+v, %v", s.Settings, m.changed)
		}
	})
}

// A stop that could not be written down is known from the journal to the next run.
func TestTheJournalTellsOfAStop(t *testing.T) {
	for name, answer := range map[string]func(t *testing.T, m *made, a *session){
		"resumed": func(t *testing.T, m *made, _ *session) {
			if stop, err := Resume(m, m.now()); err != nil || stop.Plan != "plan-1" {
				t.Errorf("%+v %v", stop, err)
			}
		},
		"resumed, of a stop that cannot be read": func(t *testing.T, m *made, _ *session) {
			m.files[StoppedFile] = []byte("{")
			sleep(time.Minute)
			if _, err := Resume(m, m.now()); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := due(t)
				m.outcome = func() journal.Result { m.readOnly = errors.New("no space left on device"); return journal.Failed }
				a := m.start()
				wait(t, "2027-08-11T12:30:00Z")
				a.end()
				if m.files[StoppedFile] != nil || len(m.changed) != 1 {
					t.Fatalf("%s, %v", m.files[StoppedFile], m.changed)
				}
				m.readOnly, m.outcome = nil, nil
				a = m.timer()
				wait(t, "2027-08-11T16:00:00Z")
				s := a.status()
				if len(m.changed) != 1 || !a.told.stopped || !a.told.needed(LineStopped) || s.Stopped == nil || s.Stopped.Plan != "plan-1" || s.Exit(m.now()) != 13 {
					t.Errorf("%v, %+v", m.changed, s)
				}
				answer(t, m, a)
				wait(t, "2027-08-11T18:00:00Z")
				a.end()
				if s := a.status(); len(m.changed) != 2 || s.Stopped != nil || s.Exit(m.now()) != 0 {
					t.Errorf("%v, %+v", m.changed, s)
				}
			})
		})
	}
}

// What ends the program while a plan fails is no reason to forget that it has.
func TestCutOffAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.past = []madePlan{{Cut: Cut{Own: true, Plan: journal.Plan{ID: "before", Begun: m.now()}}, ended: true, result: journal.Undone}}
		a := m.start()
		defer a.end()
		if s := a.status(); s.Stopped == nil || s.Stopped.Plan != "before" || len(m.changed) != 0 || !strings.Contains(s.Stopped.Reason.String(), "ended as undone on 2027-08-11") {
			t.Errorf("%+v, %v", s.Stopped, m.changed)
		}
	})
}

// pastOf is the journal's word on whose plan failed, and who has done what since.
func TestWhatThePlansOfAJournalSay(t *testing.T) {
	of := func(id, by string, result journal.Result, about ...fact.ID) journal.Plan {
		p := plan.Plan{By: by}
		for _, id := range about {
			p.Steps = append(p.Steps, plan.Step{ID: id})
		}
		content, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		out := journal.Plan{ID: id, Begun: noon, Content: content, Result: result, Steps: []journal.Step{{Number: 1}}}
		if result != "" {
			out.Ended = noon.Add(time.Minute)
		}
		return out
	}
	failed := of("a", plan.ByAgent, journal.Failed, "cp1/apiserver", "cp1/etcd-peer")
	nothing, undone := failed, failed
	nothing.Steps, undone.UndoneBy = nil, "b"
	for name, c := range map[string]struct {
		plans      []journal.Plan
		failed     string
		began, cut int
	}{
		"nothing":                    {},
		"done":                       {plans: []journal.Plan{of("a", plan.ByAgent, journal.Done, "x")}, began: 1},
		"failed":                     {plans: []journal.Plan{failed}, failed: "a", began: 1},
		"taken back by itself":       {plans: []journal.Plan{of("a", plan.ByAgent, journal.Undone, "x")}, failed: "a", began: 1},
		"failed before it was begun": {plans: []journal.Plan{nothing}},
		"a person's":                 {plans: []journal.Plan{of("a", "", journal.Failed, "x")}},
		"a person has undone it":     {plans: []journal.Plan{undone, of("b", "", journal.Done, "cp1/apiserver")}, began: 1},
		"a person has renewed it":    {plans: []journal.Plan{failed, of("b", "", journal.Done, "cp1/etcd-peer")}, began: 1},
		"a person could not either":  {plans: []journal.Plan{failed, of("b", "", journal.Failed, "cp1/etcd-peer")}, failed: "a", began: 1},
		"a person did another thing": {plans: []journal.Plan{failed, of("b", "", journal.Done, "cp1/scheduler.conf")}, failed: "a", began: 1},
		"it was resumed, and did":    {plans: []journal.Plan{failed, of("b", plan.ByAgent, journal.Done, "cp1/scheduler.conf")}, began: 2},
		"it was resumed, and failed": {plans: []journal.Plan{failed, of("b", plan.ByAgent, journal.Failed, "cp1/scheduler.conf")}, failed: "b", began: 2},
		"it was cut off":             {plans: []journal.Plan{of("a", plan.ByAgent, "", "x"), of("b", "", "", "x")}, began: 1, cut: 2},
	} {
		got := pastOf(c.plans)
		plan := ""
		if got.Failed != nil {
			plan = got.Failed.Plan
		}
		if plan != c.failed || len(got.Began) != c.began || len(got.Unfinished) != c.cut {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// What was cut off may take long to finish: the status says so meanwhile, and what
// was seen.
func TestTellsBeforeItFinishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		a := m.start()
		a.end()
		m.past = []madePlan{{Cut: Cut{Own: true, Plan: journal.Plan{ID: "before"}}}}
		sleep(30 * time.Minute)
		m.certs[0].end = m.now().Add(10 * day)
		a = m.start()
		defer a.end()
		if s := a.status(); s.Doing != "finish the plan before" || !s.Looked.Equal(m.now().Truncate(time.Second)) || len(s.Next) != 1 || !strings.Contains(s.Next[0].Why.String(), "finished first") || a.told.needed(ChangeUnfinished) {
			t.Errorf("%+v", s)
		}
		sleep(time.Minute)
		if s := a.status(); s.Doing != "" || s.Last == nil || s.Last.Result != journal.Done {
			t.Errorf("%+v", s)
		}
	})
}

// What is approved while something is changed holds afterwards, and nothing is done
// twice by one approval.
func TestApprovedMeanwhile(t *testing.T) {
	for _, refuse := range []error{nil, errors.New("no room")} {
		synctest.Test(t, func(t *testing.T) {
			m := due(t)
			m.policy.Agent.When.Calendar = sundays(t)
			m.cert("etcd-peer", "2027-09-10T00:00:00Z", 365*day)
			m.loopback = &madeCert{name: "apiserver-loopback", end: at(t, "2027-12-01T00:00:00Z"), life: 365 * day}
			m.plans = func(w Work) (plan.Plan, error) {
				p := m.planned(w, plan.ByLookup)
				if p.Steps[0].ID == "cp1/kube-apiserver" { // meanwhile
					if _, err := Approve(m, Status{Settings: SettingsStatus{Act: true}, Next: []Next{{ID: "cp1/etcd-peer"}}}, []string{"etcd-peer"}, m.now().Add(time.Second)); err != nil {
						t.Error(err)
					}
					m.refuse = refuse
				}
				return p, nil
			}
			a := m.start(func(a *Agent) { a.Poll = time.Minute })
			defer a.end()
			if _, err := Approve(m, a.status(), []string{"apiserver-loopback"}, m.now()); err != nil {
				t.Fatal(err)
			}
			sleep(90 * time.Second)
			m.refuse = nil
			sleep(10 * time.Minute)
			want := []string{"2027-08-11T12:01:00Z restart kube-apiserver", "2027-08-11T12:03:00Z renew etcd-peer"}
			if refuse != nil {
				want = []string{"2027-08-11T12:02:00Z renew etcd-peer"}
			}
			compare(t, m.changed, want...)
		})
	}
}

// What an approval was used for has to be written down before it is begun.
func TestApprovalOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.policy.Agent.When.Calendar = sundays(t)
		m.plans = func(w Work) (plan.Plan, error) {
			m.readOnly = errors.New("no space left on device")
			return m.planned(w, plan.ByLookup), nil
		}
		a := m.start(func(a *Agent) { a.Poll = time.Minute })
		defer a.end()
		if _, err := Approve(m, a.status(), nil, m.now()); err != nil {
			t.Fatal(err)
		}
		sleep(30 * time.Minute)
		compare(t, m.changed)
		if !a.told.needed(StateUnwritable) {
			t.Errorf("%v", a.told.people)
		}
	})
}

// A window that closes before an outage is surely over is none for it.
func TestTheRestOfAWindow(t *testing.T) {
	for name, c := range map[string]struct {
		due, change string
		most        time.Duration
	}{
		"enough is left":        {due: "2027-08-15T03:30:00Z", most: 30 * time.Second, change: "2027-08-15T03:30:00Z"},
		"too little is left":    {due: "2027-08-15T03:58:30Z", most: 30 * time.Second, change: "2027-08-22T02:00:00Z"},
		"it may take very long": {due: "2027-08-15T03:50:00Z", most: 6 * time.Minute, change: "2027-08-22T02:00:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wait(t, "2027-08-15T03:00:00Z") // a Sunday
				m := newMade(t)
				m.policy.Agent.When.Calendar = sundays(t)
				m.policy.Agent.Restart.APIServer = policy.InWindow
				m.loopback = &madeCert{name: "apiserver-loopback", end: at(t, c.due).Add(90 * day), life: 365 * day}
				m.plans = func(w Work) (plan.Plan, error) {
					p := m.planned(w, plan.InPlace)
					p.Decision.Outage.Most = plan.Span{Duration: c.most}
					return p, nil
				}
				a := m.start()
				defer a.end()
				wait(t, "2027-08-15T03:59:00Z")
				if r, refused := a.status().Refusals[layout.APIServer]; refused != (c.change[:10] != "2027-08-15") || refused && !strings.Contains(r.Why.String(), "the window closes in") {
					t.Errorf("%v %+v", refused, r)
				}
				wait(t, "2027-08-23T00:00:00Z")
				compare(t, m.changed, c.change+" restart kube-apiserver, in place")
			})
		})
	}
}

// A file for others that cannot be written is a person's matter, at the look at which
// that is so.
func TestAFileForOthersCannotBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		failing := errors.New("writing /srv/www/deadlines.ics: permission denied")
		a := m.session()
		after := func(agent *Agent) {
			agent.After = func(policy.Agent, timeline.Timeline) error { return failing }
		}
		if _, err := m.agent(a, after).Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := a.status(); s.Exit(m.now()) != 13 || !a.told.needed(FileUnwritable) || !strings.Contains(string(s.Person[0].Why), "deadlines.ics") || len(m.changed) != 1 {
			t.Errorf("%+v, %v", s.Person, m.changed)
		}
		failing = nil
		if _, err := m.agent(a, after).Once(t.Context()); err != nil || a.told.needed(FileUnwritable) || a.status().Exit(m.now()) != 0 {
			t.Errorf("%v, %+v", err, a.status().Person)
		}
	})
}
