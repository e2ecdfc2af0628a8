// SPDX-License-Identifier: Apache-2.0

package leftover_test

import (
	"slices"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/leftover"
)

func TestJudge(t *testing.T) {
	standby := fact.Manifest{Path: "/m/s.yaml", Name: layout.APIServerStandby, Containers: []fact.Container{{Name: "kube-apiserver", Args: []string{"kube-apiserver", "--secure-port=6444"}}}}
	for _, c := range []struct {
		name  string
		facts []fact.Fact
		want  []finding.Code
	}{
		{"nothing", []fact.Fact{fact.Guard{Way: "policy", Place: "g"}}, nil},
		{"a standby", []fact.Fact{standby}, []finding.Code{finding.StandbyLeft}},
		{"steering that is on", []fact.Fact{fact.Steering{Way: "sk_lookup", Place: "/p", On: true, Port: 6443}}, []finding.Code{finding.SteeringLeft}},
		{"steering that is off", []fact.Fact{fact.Steering{Way: "nftables", Place: "perennial"}}, []finding.Code{finding.SteeringLeft}},
		{"a guard", []fact.Fact{fact.Guard{Way: "policy", Place: "g", Present: true}}, []finding.Code{finding.GuardLeft}},
		{"held connections", []fact.Fact{fact.Held{PID: 7, Sockets: 2}}, []finding.Code{finding.HoldLeft}},
		{"a change that was cut off", []fact.Fact{fact.Unfinished{Plan: "p", Step: "renew apiserver"}}, []finding.Code{finding.ChangeUnfinished}},
	} {
		l := layout.Discover(fact.Scope{Root: "/", KubernetesDir: "/etc/kubernetes"}, c.facts)
		var got []finding.Code
		for _, f := range leftover.Judge(l, c.facts) {
			got = append(got, f.Code)
			if f.Effect == "" || f.Fix == "" || f.ID == "" || !f.End.Now {
				t.Errorf("%s: %+v", c.name, f)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
