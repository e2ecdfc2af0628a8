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
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
)

// A plan that failed, or is not proven, is the last one until a person has looked.
func TestStopAndResume(t *testing.T) {
	for _, result := range []journal.Result{journal.Failed, journal.Undone, ""} {
		synctest.Test(t, func(t *testing.T) {
			m := due(t)
			m.loopback = &madeCert{name: "apiserver-loopback", end: at(t, "2027-11-01T00:00:00Z"), life: 365 * day}
			m.outcome = func() journal.Result { return result }
			a := m.start()
			wait(t, "2027-08-11T13:30:00Z")
			first := "2027-08-11T12:00:00Z renew apiserver"
			compare(t, m.changed, first)
			a.end()
			m.outcome = nil
			a = m.start(func(a *Agent) { a.Poll = time.Minute })
			wait(t, "2027-08-12T12:00:00Z")
			compare(t, m.changed, first)
			s := a.status()
			if s.Stopped == nil || s.Stopped.Plan != "plan-1" || s.Exit(m.now()) != 13 || !a.told.stopped || !a.told.needed(LineStopped) || !strings.Contains(s.Next[0].Why.String(), "could not be proven") {
				t.Errorf("%+v", s)
			}
			if _, err := Approve(m, s, nil, m.now()); err == nil {
				t.Error("what is stopped was approved")
			}
			if why, err := Resume(m, m.now()); err != nil || why.Plan != "plan-1" {
				t.Errorf("%+v %v", why, err)
			}
			wait(t, "2027-08-12T12:10:00Z")
			compare(t, m.changed, first, "2027-08-12T12:01:00Z renew apiserver", "2027-08-12T12:01:10Z restart kube-apiserver")
			if s := a.status(); s.Stopped != nil || s.Exit(m.now()) != 0 || a.told.stopped {
				t.Errorf("%+v", s)
			}
			if _, err := Resume(m, m.now()); !errors.Is(err, ErrNotStopped) {
				t.Errorf("resuming twice: %v", err)
			}
			a.end()
		})
	}
}

// What cannot be written down is not forgotten.
func TestStopOnAFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.outcome = func() journal.Result { m.readOnly = errors.New("no space left on device"); return journal.Failed }
		a := m.start()
		wait(t, "2027-08-11T15:30:00Z")
		if !a.told.stopped || m.files[StoppedFile] != nil {
			t.Errorf("%+v", a.told)
		}
		m.readOnly = nil
		wait(t, "2027-08-11T17:30:00Z")
		a.end()
		if m.files[StoppedFile] == nil || len(m.changed) != 1 {
			t.Errorf("%s, %v", m.files[StoppedFile], m.changed)
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

// What was done, proven, and is found again at the next look is no matter of time.
func TestDoneAndStillDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait(t, "2027-08-11T12:00:00Z")
		m := newMade(t)
		m.extra = []finding.Finding{{
			Code: finding.ClientIdentityStale, ID: "cp1/controller-manager.conf", Class: finding.Lingering, Keeper: finding.KeeperRestart,
			Evidence: finding.Evidence{
				Certificate: &finding.Certificate{NotBefore: at(t, "2027-08-11T11:30:00Z")},
				Identity:    []finding.Identity{{Component: layout.ControllerManager, Grade: finding.Seen}, {Component: layout.Scheduler, Grade: finding.ByRule}},
			},
		}}
		a := m.start()
		defer a.end()
		wait(t, "2027-08-14T12:00:00Z")
		compare(t, m.changed, "2027-08-11T12:30:00Z restart kube-controller-manager") // an hour after it was replaced
		if s := a.status(); s.Stopped == nil || s.Stopped.Plan != "plan-1" || !strings.Contains(s.Stopped.Reason.String(), "it was done, and it is still due") {
			t.Errorf("%+v", s.Stopped)
		}
	})
}
