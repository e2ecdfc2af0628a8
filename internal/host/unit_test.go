// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestUnitOf(t *testing.T) {
	for cgroup, want := range map[string]string{
		"0::/system.slice/kubelet.service\n":                                         "kubelet.service",
		"12:pids:/system.slice/x.service\n1:name=systemd:/system.slice/etcd.service": "etcd.service",
		"0::/kubepods.slice/kubepods-burstable.slice/cri-containerd-1.scope\n":       "",
		"0::/user.slice/user-0.slice/session-1.scope\n":                              "",
		"":     "",
		"0:/x": "",
	} {
		if got := unitOf([]byte(cgroup)); got != want {
			t.Errorf("%q: %q, want %q", cgroup, got, want)
		}
	}
}

func TestUnitRestart(t *testing.T) {
	root := t.TempDir()
	put := func(name, text string) {
		t.Helper()
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put("usr/lib/systemd/system/kubelet.service", "[Service]\nExecStart=/usr/bin/kubelet\nRestart=always\n")
	put("usr/lib/systemd/system/etcd.service", "[Service]\nRestart=always\n")
	put("etc/systemd/system/etcd.service", "[Service]\nType=notify\n")
	put("usr/lib/systemd/system/dropped.service", "[Service]\nRestart = always\n")
	put("usr/lib/systemd/system/dropped.service.d/10-a.conf", "[Service]\nRestart=on-failure\n")
	put("usr/lib/systemd/system/dropped.service.d/20-b.conf", "[Service]\nRestart=always\n")
	put("etc/systemd/system/dropped.service.d/20-b.conf", "[Service]\n#Restart=no\n")
	files, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	for unit, want := range map[string]string{"kubelet.service": "always", "etcd.service": "no", "dropped.service": "on-failure", "none.service": ""} {
		if got := files.UnitRestart(t.Context(), unit); got != want {
			t.Errorf("%s: %q, want %q", unit, got, want)
		}
	}
}
