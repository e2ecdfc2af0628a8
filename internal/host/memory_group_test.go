// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"path/filepath"
	"testing"
)

func TestMemoryRoom(t *testing.T) {
	const scope = "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-2.scope"
	for name, c := range map[string]struct {
		cgroup  string
		groups  map[string][3]string // memory.max, memory.current, inactive_file
		room    uint64
		limited bool
	}{
		"no limit": {"0::" + scope + "\n", map[string][3]string{"kubepods.slice": {"max", "5", "0"}}, 0, false},
		"all pods are limited": {"0::" + scope + "\n", map[string][3]string{
			"kubepods.slice": {"1000", "700", "200"}, "kubepods.slice/kubepods-burstable.slice": {"max", "1", "0"},
		}, 500, true},
		"the nearest limit counts": {"0::" + scope + "\n", map[string][3]string{
			"kubepods.slice": {"1000", "700", "200"}, "kubepods.slice/kubepods-burstable.slice": {"600", "500", "0"},
		}, 100, true},
		"the pod's own limit is not another's": {"0::" + scope + "\n", map[string][3]string{
			"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice": {"10", "9", "0"},
		}, 0, false},
		"nothing is left":      {"0::" + scope + "\n", map[string][3]string{"kubepods.slice": {"1000", "1200", "100"}}, 0, true},
		"version 1":            {"5:memory:/kubepods/burstable/pod1/2\n4:cpu:/\n", nil, 0, false},
		"both versions":        {"5:memory:/kubepods/burstable/pod1/2\n0::" + scope + "\n", nil, 0, false},
		"outside of its root":  {"0::/../../kubepods/x/y\n", nil, 0, false},
		"in the root":          {"0::/\n", nil, 0, false},
		"a program of a shell": {"0::/user.slice\n", nil, 0, false},
	} {
		root := t.TempDir()
		for group, files := range c.groups {
			dir := filepath.Join(root, group)
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			for i, file := range []string{"memory.max", "memory.current", "memory.stat"} {
				text := files[i] + "\n"
				if file == "memory.stat" {
					text = "anon 1\nfile 2\ninactive_file " + text + "active_file 3\n"
				}
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
		cgroup := filepath.Join(root, "cgroup")
		if err := os.WriteFile(cgroup, []byte(c.cgroup), 0o600); err != nil {
			t.Fatal(err)
		}
		room, limited, err := memoryRoom(root, cgroup)
		if err != nil || room != c.room || limited != c.limited {
			t.Errorf("%s: %d, %v, %v, want %d, %v", name, room, limited, err, c.room, c.limited)
		}
	}
}

func TestMemoryRoomOfThisMachine(t *testing.T) {
	if _, err := os.Stat("/proc/self/cgroup"); err != nil {
		t.Skip("there are no control groups")
	}
	if room, limited, err := MemoryRoom(os.Getpid()); err != nil || room > 0 && !limited {
		t.Errorf("%d, %v, %v", room, limited, err)
	}
}
