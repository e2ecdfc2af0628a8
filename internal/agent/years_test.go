// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/policy"
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

func dayOf(t *testing.T, text string) schedule.Day {
	t.Helper()
	d, err := schedule.ParseDay(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Two years with windows in two zones, days off, changes of the clocks, a leap day,
// restarts of the agent and a machine that is off. Each instant is derived by hand:
// due 90 days before the end, then the next of Sunday 02:30 in Berlin and Tuesday
// 23:00 in New York, where no day from 12-20 to 01-06 counts.
func TestTwoYears(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait(t, "2026-11-22T06:00:00Z")
		m := newMade(t)
		m.policy.Agent.Every = 2 * time.Hour
		m.policy.Agent.When = schedule.Rules{
			Calendar: schedule.Calendar{
				Windows: []schedule.Window{
					{Days: []time.Weekday{time.Sunday}, Start: schedule.Clock{Hour: 2, Minute: 30}, Length: 2 * time.Hour, Zone: zone(t, "Europe/Berlin")},
					{Days: []time.Weekday{time.Tuesday}, Start: schedule.Clock{Hour: 23}, Length: 2 * time.Hour, Zone: zone(t, "America/New_York")},
				},
				Never: []schedule.Never{{From: dayOf(t, "12-20"), Until: dayOf(t, "01-06")}},
			},
			Reserve: 3 * day, PerDay: 2,
		}
		m.policy.Agent.Restart = policy.Restarts{APIServer: policy.Handover, Others: policy.InWindow}
		m.policy.Agent.Leave = []string{"*/admin.conf"}

		m.cert("apiserver", "2027-03-25T10:00:00Z", 365*day)
		m.cert("etcd-peer", "2027-05-10T00:00:00Z", 365*day)
		m.cert("etcd-server", "2027-10-28T00:00:00Z", 452*day)
		m.cert("controller-manager.conf", "2027-12-16T00:00:00Z", 500*day, layout.ControllerManager)
		m.cert("scheduler.conf", "2028-02-28T12:00:00Z", 730*day, layout.Scheduler)
		m.cert("front-proxy-client", "2028-04-13T00:00:00Z", 700*day)
		m.cert("admin.conf", "2027-06-01T00:00:00Z", 365*day)                                                   // left alone
		m.loopback = &madeCert{name: "apiserver-loopback", end: at(t, "2027-11-22T06:00:00Z"), life: 365 * day} // up to 1.32

		a := m.start()
		for _, off := range [][2]string{
			{"2027-01-10T00:00:00Z", "2027-01-10T00:01:00Z"}, // a restart when nothing is due
			{"2027-03-26T00:00:00Z", "2027-03-26T00:01:00Z"}, // one between due and the window
			{"2027-03-28T01:30:00Z", "2027-03-28T01:31:00Z"}, // one in the window, when it is done
			{"2027-05-10T00:00:00Z", "2027-08-04T12:00:00Z"}, // off: all windows but one after the reserve are missed
			{"2028-04-15T00:00:00Z", "2028-04-17T12:00:00Z"}, // off: one window is missed
		} {
			wait(t, off[0])
			a.end()
			wait(t, off[1])
			a = m.start()
		}
		wait(t, "2028-11-22T06:00:00Z")
		a.end()

		compare(t, m.changed,
			"2027-03-28T01:00:00Z renew apiserver",                                                // Sunday 02:30 is leapt over: 03:00 CEST
			"2027-08-05T00:00:00Z renew etcd-peer",                                                // Sunday is too late: outside, 3 days before the end
			"2027-08-25T03:00:00Z restart kube-apiserver",                                         // due 2027-08-24; Tuesday 23:00 EDT
			"2027-10-31T00:30:00Z renew etcd-server",                                              // 02:30 comes twice: the first one, CEST
			"2027-12-19T01:30:00Z renew controller-manager.conf, restart kube-controller-manager", // the last day before the days off
			"2028-01-09T01:30:00Z renew apiserver",                                                // due 2027-12-28, in the days off
			"2028-03-01T04:00:00Z renew scheduler.conf, restart kube-scheduler",                   // 29 February, 23:00 EST
			"2028-04-19T03:00:00Z renew front-proxy-client",                                       // Sunday was missed; Tuesday 23:00 EDT
			"2028-05-07T00:30:00Z renew etcd-peer",                                                // due 2028-05-06
			"2028-05-28T00:30:00Z restart kube-apiserver",                                         // due 2028-05-26
			"2028-10-11T03:00:00Z renew apiserver",                                                // due 2028-10-10
			"2028-10-29T00:30:00Z renew etcd-server",                                              // due 2028-10-27; 02:30 comes twice again
		)
		if m.looks < 7_500 {
			t.Errorf("%d looks in two years of one each two hours", m.looks)
		}
		status := a.status()
		if status.Last == nil || status.Last.Plan != "plan-12" || len(status.Person) != 0 || status.Stopped != nil {
			t.Errorf("at the end: %+v", status)
		}
	})
}

// Without windows each node begins by its jitter after things are due, renews all of
// them in one plan, and hands the API server over in another.
func TestTwoYearsWithoutWindows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait(t, "2026-11-22T06:00:00Z")
		m := newMade(t)
		m.policy.Agent.Every = 6 * time.Hour
		m.policy.Agent.When = schedule.Rules{Spread: 12 * time.Hour, Reserve: 3 * day, PerDay: 4}
		// kubeadm makes them one after the other.
		names := []string{"apiserver", "apiserver-kubelet-client", "front-proxy-client", "etcd-server", "etcd-peer", "apiserver-etcd-client", "admin.conf"}
		due := at(t, "2027-08-24T06:00:00Z")
		for i, name := range names {
			m.cert(name, due.Add(time.Duration(i)*time.Second).Format(time.RFC3339), 365*day)
		}
		m.loopback = &madeCert{name: "apiserver-loopback", end: due.Add(90*day + time.Minute), life: 365 * day}
		a := m.start()
		wait(t, "2028-11-22T06:00:00Z")
		a.end()

		const all = " renew admin.conf, renew apiserver, renew apiserver-etcd-client, renew apiserver-kubelet-client, renew etcd-peer, renew etcd-server, renew front-proxy-client"
		stamp := func(t time.Time) string { return t.UTC().Truncate(time.Second).Format(time.RFC3339) }
		renewals, handover := schedule.Jitter(madeNode, "renew", 12*time.Hour), schedule.Jitter(madeNode, layout.APIServer, 12*time.Hour)
		first, moved := due.Add(renewals), due.Add(time.Minute+handover)
		// The first that is made again is due first; seven take 70 seconds, and the
		// other plan waits for it.
		second := first.Add(renewTakes + 275*day).Truncate(time.Second).Add(renewals)
		movedAgain := moved.Add(moveTakes + 275*day).Truncate(time.Second).Add(handover)
		want := []string{stamp(first) + all, stamp(moved) + " restart kube-apiserver", stamp(second) + all, stamp(movedAgain) + " restart kube-apiserver"}
		slices.Sort(want)
		compare(t, m.changed, want...)
	})
}

// The limit of changes a day holds over restarts of the agent, and so do changes
// that were made before.
func TestLimitPerDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait(t, "2027-08-01T00:00:00Z")
		m := newMade(t)
		m.policy.Agent.When.PerDay = 1
		m.cert("apiserver", "2027-08-10T00:00:00Z", 365*day)
		m.loopback = &madeCert{name: "apiserver-loopback", end: at(t, "2027-11-08T00:00:00Z"), life: 365 * day}
		m.cert("etcd-peer", "2027-08-16T00:00:00Z", 365*day)
		a := m.start()
		wait(t, "2027-08-10T12:00:00Z")
		if next := a.status().Next[0]; next.ID != "cp1/apiserver-loopback" || !next.At.Equal(at(t, "2027-08-11T00:00:00Z")) || next.Why != "1 changes within 24 hours are the limit" {
			t.Errorf("%+v", next)
		}
		a.end()
		a = m.start()
		wait(t, "2027-09-01T00:00:00Z")
		a.end()
		compare(t, m.changed,
			"2027-08-10T00:00:00Z renew apiserver",
			"2027-08-11T00:00:00Z restart kube-apiserver",
			"2027-08-16T00:00:00Z renew etcd-peer")
	})
}

// An agent that only looks changes nothing in two years, and says all the time what
// it sees.
func TestObserving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait(t, "2026-11-22T06:00:00Z")
		m := newMade(t)
		m.mayEnd, m.policy.Agent.Act = true, false
		m.policy.Agent.Every = 6 * time.Hour
		m.cert("apiserver", "2027-08-10T00:00:00Z", 365*day)
		m.loopback = &madeCert{name: "apiserver-loopback", end: at(t, "2027-11-22T06:00:00Z"), life: 365 * day}
		// Another program's plan is not its own to finish, an approval not a word to act.
		m.past = append(m.past, madePlan{Cut: Cut{}})
		m.past[0].Plan.ID = "plan-1"
		a := m.start()
		if _, err := Approve(m, a.status(), nil, m.now()); err == nil {
			t.Error("what is not done in any case was approved")
		}
		if err := save(m, ApprovedFile, Approval{At: m.now(), Until: m.now().Add(365 * day)}); err != nil {
			t.Fatal(err)
		}
		wait(t, "2028-11-22T06:00:00Z")
		defer a.end()
		compare(t, m.changed)
		s := a.status()
		if s.ExitCode != 11 || s.Settings.Act || len(s.Next) != 2 || !s.Next[0].At.IsZero() || s.Next[0].Why != "it only looks: its settings do not say act: true" {
			t.Errorf("%+v", s)
		}
		if len(a.told.line.Items) != 2 || !a.told.needed(ChangeUnfinished) {
			t.Errorf("told: %+v", a.told)
		}
	})
}

func TestApprove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wait(t, "2027-08-11T12:00:00Z")
		m := newMade(t)
		m.policy.Agent.When = schedule.Rules{Calendar: sundays(t), Reserve: 3 * day, PerDay: 1}
		m.policy.Agent.Restart = policy.Restarts{APIServer: policy.Never, Others: policy.Never}
		m.cert("apiserver", "2027-08-10T00:00:00Z", 365*day)
		m.cert("scheduler.conf", "2027-08-10T00:00:00Z", 365*day, layout.Scheduler)
		m.cert("etcd-peer", "2027-09-10T00:00:00Z", 365*day)
		m.loopback = &madeCert{name: "apiserver-loopback", end: at(t, "2027-11-01T00:00:00Z"), life: 365 * day}
		a := m.start(func(a *Agent) { a.Poll = time.Minute })
		defer a.end()
		s := a.status()
		if s.Exit(m.now()) != 13 || !a.told.needed(RestartForbidden) {
			t.Errorf("restarts are forbidden, and no person is needed: %+v", s.Person)
		}
		if _, err := Approve(m, s, []string{"apiserver", "nothing"}, m.now()); err == nil {
			t.Error("what is not there was approved")
		}
		// What is named goes at once, though no window is open and it is not due.
		approve := func(names ...string) {
			t.Helper()
			if _, err := Approve(m, a.status(), names, m.now()); err != nil {
				t.Fatal(err)
			}
		}
		approve("cp1/etcd-peer")
		wait(t, "2027-08-11T12:10:00Z")
		compare(t, m.changed, "2027-08-11T12:01:00Z renew etcd-peer")
		// All that is due: beyond the limit and the permissions, once, and no more
		// when it has run out.
		approve()
		wait(t, "2027-08-11T12:30:00Z")
		compare(t, m.changed[1:],
			"2027-08-11T12:10:10Z renew apiserver, renew scheduler.conf, restart kube-scheduler",
			"2027-08-11T12:10:40Z restart kube-apiserver")
		if s := a.status(); s.Approval == nil || len(s.Approval.Used) != 3 || s.Exit(m.now()) == 13 {
			t.Errorf("%+v", s)
		}
		m.certs[1].end = m.now().Add(50 * day)
		wait(t, "2027-08-11T15:00:00Z")
		compare(t, m.changed[3:])
		if s := a.status(); s.Approval != nil {
			t.Errorf("an approval that has run out is in force: %+v", s.Approval)
		}
	})
}

func sundays(t *testing.T) schedule.Calendar {
	t.Helper()
	return schedule.Calendar{Windows: []schedule.Window{{Days: []time.Weekday{time.Sunday}, Start: schedule.Clock{Hour: 2}, Length: 2 * time.Hour, Zone: time.UTC}}}
}
