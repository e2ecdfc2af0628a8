// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/testnode"
)

// What nothing would start again is not ended.
func TestOnlyWhatIsSupervisedIsRestarted(t *testing.T) {
	for _, c := range []struct {
		manifest, unit, restart string
		want                    string // empty: it is restarted
	}{
		{"/etc/kubernetes/manifests/etcd.yaml", "", "", ""},
		{"", "etcd.service", "always", ""},
		{"", "etcd.service", "on-failure", "etcd.service has Restart=on-failure"},
		{"", "etcd.service", "no", "systemctl restart etcd.service"},
		{"", "etcd.service", "", "was not found"},
		{"", "", "", "no static pod and no systemd unit"},
	} {
		process := fact.Process{PID: 7, Args: []string{"etcd"}, Unit: c.unit, UnitRestart: c.restart}
		step, err := plan.RestartStep(plan.Seen{}, layout.Component{Name: layout.Etcd, Manifest: c.manifest, Process: &process}, "asked for")
		switch {
		case c.want == "" && (err != nil || step.Stop == nil || step.Stop.PID != 7 || step.Stop.Unit != c.unit):
			t.Errorf("%+v: %v, %+v", c, err, step.Stop)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// The start of a process is computed anew at each look.
func TestRestartIsNotProvenByTheOldProcess(t *testing.T) {
	seen := see(t, testnode.New(t, testnode.Options{}), layout.Scheduler)
	for after, want := range map[time.Duration]plan.Answer{
		0: plan.No, -150 * time.Microsecond: plan.No, 150 * time.Microsecond: plan.No, time.Hour: plan.No, -time.Second: plan.Yes,
	} {
		e := plan.Expect{Predicate: plan.Restarted, Component: layout.Scheduler, After: testnode.Start.Add(after)}
		if got, why := e.Holds(seen); got != want {
			t.Errorf("before, it had started %v later: %s (%s), want %s", after, got, why, want)
		}
	}
}
