// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"slices"
	"testing"

	"perennial.dev/perennial/internal/plan"
)

// A handover in place of a restart proves what the restart was to prove.
func TestExchange(t *testing.T) {
	identity := plan.Expect{Predicate: plan.IdentityCurrent, ID: "n/x"}
	p := plan.Plan{}
	p.Add(
		plan.Step{Verb: plan.Renew, ID: "n/x"},
		plan.Step{Verb: plan.Restart, ID: "n/kube-apiserver", Expect: []plan.Expect{{Predicate: plan.Restarted}, identity}},
		plan.Step{Verb: plan.Restart, ID: "n/kube-scheduler"},
	)
	p.Exchange(2, []plan.Step{
		{Verb: plan.Standby, ID: "n/kube-apiserver-standby"},
		{Verb: plan.Restart, ID: "n/kube-apiserver", Expect: []plan.Expect{{Predicate: plan.Restarted}, {Predicate: plan.Ready}}},
		{Verb: plan.Guard, ID: "n/kube-apiserver-standby"},
	})
	var got []string
	for i, s := range p.Steps {
		if s.Number != i+1 {
			t.Errorf("step %d is numbered %d", i+1, s.Number)
		}
		got = append(got, string(s.Verb)+" "+string(s.ID))
	}
	want := []string{"renew n/x", "standby n/kube-apiserver-standby", "restart n/kube-apiserver", "guard n/kube-apiserver-standby", "restart n/kube-scheduler"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if expect := p.Steps[2].Expect; len(expect) != 3 || expect[2] != identity {
		t.Errorf("it expects %v", expect)
	}
}
