// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"errors"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Who leads is told, a lease is released in its holder's name only, and somebody
// takes it then.
func testLeases(p *plane) {
	t := p.T
	admin := p.client("admin.conf")
	for _, name := range []string{"kube-controller-manager", "kube-scheduler"} {
		if lease := heldLease(t, admin, name); !strings.Contains(string(lease.Holder), "_") || time.Since(lease.Renewed) > time.Minute {
			t.Errorf("%s: %+v", name, lease)
		}
	}
	p.Apply("apiVersion: coordination.k8s.io/v1\nkind: Lease\nmetadata: {name: ours, namespace: kube-system}\nspec: {holderIdentity: cp1_a, leaseDurationSeconds: 900, leaseTransitions: 3}\n")
	if err := admin.ReleaseLease(t.Context(), "ours", "cp1_b", time.Now()); !errors.Is(err, ErrHeld) {
		t.Errorf("another's lease was released: %v", err)
	}
	if lease, err := admin.Lease(t.Context(), "ours"); err != nil || lease.Holder != "cp1_a" {
		t.Errorf("%+v %v", lease, err)
	}
	for range 2 { // what nobody holds is released
		if err := admin.ReleaseLease(t.Context(), "ours", "cp1_a", time.Now()); err != nil {
			t.Error(err)
		}
	}
	if lease, err := admin.Lease(t.Context(), "ours"); err != nil || lease.Holder != "" {
		t.Errorf("%+v %v", lease, err)
	}
	before := heldLease(t, admin, "kube-scheduler")
	if err := admin.ReleaseLease(t.Context(), "kube-scheduler", before.Holder, time.Now()); err != nil {
		t.Error(err)
	}
	heldLease(t, admin, "kube-scheduler")
}

// heldLease waits until a lease has a holder.
func heldLease(t *testing.T, c *Client, name string) fact.Lease {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		lease, err := c.Lease(t.Context(), name)
		if err == nil && lease.Holder != "" {
			return lease
		}
		if time.Now().After(end) {
			t.Fatalf("nobody holds the lease %s within a minute: %+v %v", name, lease, err)
		}
	}
}
