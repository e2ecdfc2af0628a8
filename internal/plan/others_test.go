// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/testnode"
)

// Nothing is planned while something else renews; what will do so later is
// named beside the plan.
func TestOtherRenewers(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	n.Write("/etc/cron.weekly/renew", 0o755, []byte("#!/bin/sh\nkubeadm certs renew all\n"))
	seen := see(t, n)
	o := plan.RenewOptions{Now: now, Names: []string{"apiserver"}}
	p, err := plan.ForRenewal(seen, o)
	if err != nil || len(p.Steps) != 1 || p.Notes[0].Text != "/etc/cron.weekly/renew is left as it is: it renews certificates with kubeadm, which restarts nothing by itself" {
		t.Errorf("%v, %v, %v", err, steps(p), p.Notes)
	}
	seen = plan.See(fact.Record{Header: fact.Header{Scope: fact.Scope{Root: "/", KubernetesDir: "/etc/kubernetes"}},
		Facts: append(seen.Facts, fact.Process{PID: 9, Start: now, Args: []string{"kubeadm", "upgrade", "apply"}})})
	if p, err := plan.ForRenewal(seen, o); err == nil || len(p.Steps) > 0 || !strings.Contains(err.Error(), "kubeadm (process 9) is at work on this node (kubeadm upgrade apply)") {
		t.Errorf("%v, %v", err, steps(p))
	}
}
