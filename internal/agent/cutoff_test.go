// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"perennial.dev/perennial/internal/journal"
)

// An agent that ends in the middle of a change has not failed: the next one first
// finishes it.
func TestCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.cert("etcd-peer", "2027-08-11T00:00:00Z", 365*day)
		a := m.start()
		wait(t, "2027-08-11T12:00:15Z") // in the second step
		a.end()
		if m.files[StoppedFile] != nil || !strings.Contains(a.log.String(), "the next run goes on") {
			t.Errorf("it has stopped:\n%s", a.log)
		}
		m.policy.Agent.Act = false // its own plan is finished all the same
		a = m.start()
		wait(t, "2027-08-11T12:30:00Z")
		a.end()
		compare(t, m.changed, "2027-08-11T12:00:00Z renew apiserver, renew etcd-peer", "2027-08-11T12:00:15Z refresh rest-of-plan-1")
		if s := a.status(); s.Last == nil || s.Last.Result != journal.Done || s.Stopped != nil {
			t.Errorf("%+v", s)
		}
	})
}

// A journal that does not take an end is no reason to finish the same again and
// again.
func TestFinishedAndStillOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.past = []madePlan{{Cut: Cut{Own: true, Plan: journal.Plan{ID: "before"}}}}
		m.forgets = true
		a := m.start()
		defer a.end()
		wait(t, "2027-08-11T13:30:00Z")
		compare(t, m.changed, "2027-08-11T12:00:00Z refresh rest-of-before")
		if s := a.status(); s.Stopped == nil || s.Stopped.Plan != "before" {
			t.Errorf("%+v", s.Stopped)
		}
	})
}

// What was cut off is not finished while another program changes the node.
func TestCutOffAndAnotherAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.atWork = errors.New("kubeadm is at work")
		m.past = []madePlan{{Cut: Cut{Own: true, Plan: journal.Plan{ID: "before"}}}}
		a := m.start()
		defer a.end()
		wait(t, "2027-08-11T12:30:00Z")
		compare(t, m.changed)
		m.atWork = nil
		wait(t, "2027-08-11T13:30:00Z")
		compare(t, m.changed, "2027-08-11T13:00:00Z refresh rest-of-before", "2027-08-11T13:00:10Z renew apiserver")
	})
}

// What a person began and broke off is the person's to finish, and nothing else is
// begun meanwhile.
func TestCutOffByAPerson(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := due(t)
		m.past = []madePlan{{Cut: Cut{Plan: journal.Plan{ID: "theirs"}}}}
		a := m.start()
		defer a.end()
		wait(t, "2027-08-11T13:30:00Z")
		compare(t, m.changed)
		if s := a.status(); s.Stopped != nil || !a.told.needed(ChangeUnfinished) {
			t.Errorf("%+v", s)
		}
	})
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
