// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
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
