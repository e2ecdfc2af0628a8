// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"perennial.dev/perennial/internal/plan"
)

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
