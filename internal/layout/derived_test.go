// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"slices"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

// kube-vip mounts admin.conf and starts from its image's entry point, which its
// manifest does not name.
func TestDerivedProcess(t *testing.T) {
	vip := fact.Manifest{Path: "/etc/kubernetes/manifests/kube-vip.yaml", Name: "kube-vip",
		Containers: []fact.Container{{Name: "vip", Image: "ghcr.io/kube-vip/kube-vip:v0.9@sha256:1", Args: []string{"manager"}}},
		Mounts:     []fact.Mount{{Container: "vip", HostPath: "/etc/kubernetes/admin.conf", Path: "/etc/kubernetes/own.conf"}}}
	if wants := layout.Discover(running, []fact.Fact{vip}).Wants; !slices.Contains(wants, layout.Want{Verb: layout.LookProcesses, Inside: "kube-vip"}) {
		t.Errorf("its process is not looked for: %+v", wants)
	}
	for _, c := range []struct {
		args      []string
		contained bool
		want      int
	}{
		{[]string{"/kube-vip", "manager"}, true, 7},
		{[]string{"/kube-vip", "manager"}, false, 0}, // not in a pod
		{[]string{"/kube-vip", "service"}, true, 0},  // another one
		{[]string{"/other", "manager"}, true, 0},
	} {
		p := process(7, c.args...)
		p.Contained = c.contained
		l := layout.Discover(running, []fact.Fact{vip, p})
		if got := credential(t, l, "node/admin.conf").Consumers[0].PID; got != c.want {
			t.Errorf("%v: process %d, want %d", c.args, got, c.want)
		}
		view := layout.Want{Verb: layout.LookView, PID: 7, Path: "/etc/kubernetes/admin.conf", Inside: "/etc/kubernetes/own.conf"}
		if slices.Contains(l.Wants, view) != (c.want != 0) {
			t.Errorf("%v: what it sees of the file is looked at: %+v", c.args, l.Wants)
		}
	}
}
