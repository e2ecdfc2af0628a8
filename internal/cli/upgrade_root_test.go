// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"encoding/json"
	"slices"
	"testing"

	"perennial.dev/perennial/internal/testnode"
	"perennial.dev/perennial/internal/timeline"
)

// On a disk of another machine nothing runs: the flags of its kubelet are those
// in the files from which its unit takes them.
func TestUpgradeBelowAnotherRoot(t *testing.T) {
	n := testnode.New(t, testnode.Options{Version: "v1.36.3"})
	below := func() []string {
		code, out, problems := asked(t, "check", "--root", n.Root, "--to", "1.37", "--from", "1.36", "-o", "json")
		var tl timeline.Timeline
		if err := json.Unmarshal([]byte(out), &tl); err != nil {
			t.Fatalf("exit code %d: %v: %s", code, err, problems)
		}
		items, _ := summary(tl)
		return items
	}
	before := below()
	n.Write("/var/lib/kubelet/kubeadm-flags.env", 0o644, []byte("KUBELET_KUBEADM_ARGS=\"--container-runtime-endpoint=unix:///run/containerd/containerd.sock --feature-gates=SidecarContainers=true\"\n"))
	n.Write("/etc/default/kubelet", 0o644, []byte("# for disks\nKUBELET_EXTRA_ARGS=--boot-id-file=/x\n"))
	want := []string{"cp1/kubelet-flag-boot-id-file FlagRemoved", "cp1/kubelet-gate-SidecarContainers GateRemoved"}
	if more := minus(below(), before); !slices.Equal(more, want) {
		t.Errorf("the files lead to %q, want %q", more, want)
	}
}
