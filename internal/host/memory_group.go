// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// cgroups is where the control groups of version 2 are mounted on a node
// (Documentation/admin-guide/cgroup-v2.rst of Linux).
const cgroups = "/sys/fs/cgroup"

// MemoryRoom is how much memory, in bytes, a further pod beside that of a
// process can take before the kernel ends something in the control groups above
// the pods: a kubelet that reserves memory for itself limits all pods together
// (enforceNodeAllocatable, pkg/kubelet/cm/node_container_manager_linux.go). Page
// cache that nobody uses counts as free. False: nothing limits them, or the node
// has control groups of version 1, whose limits are not looked at.
func MemoryRoom(pid int) (room uint64, limited bool, err error) {
	return memoryRoom(cgroups, procPath(pid, "cgroup"))
}

func memoryRoom(root, file string) (room uint64, limited bool, err error) {
	lines, err := readProc(file, 64<<10)
	if err != nil {
		return 0, false, failed("reading", file, err)
	}
	group, ok := unifiedGroup(string(lines))
	if !ok {
		return 0, false, nil
	}
	room = math.MaxUint64
	// The last element is the container, the one above it the pod.
	for at := path.Dir(path.Dir(group)); at != "/" && at != "."; at = path.Dir(at) {
		left, has, err := roomIn(path.Join(root, at))
		if err != nil {
			return 0, false, failed("measuring", path.Join(root, at), err)
		}
		if has {
			room, limited = min(room, left), true
		}
	}
	if !limited {
		room = 0
	}
	return room, limited, nil
}

// unifiedGroup takes the group of version 2 from /proc/PID/cgroup (cgroups(7)).
// One outside of the reader's own root begins with "/..": it cannot be found.
func unifiedGroup(lines string) (string, bool) {
	for line := range strings.Lines(lines) {
		if group, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return group, path.IsAbs(group) && path.Clean(group) == group && !strings.HasPrefix(group, "/..")
		}
	}
	return "", false
}

func roomIn(dir string) (room uint64, limited bool, err error) {
	most, err := readProc(path.Join(dir, "memory.max"), 64)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, false, nil // the controller is off here, or version 1 has it
	}
	if err != nil || strings.TrimSpace(string(most)) == "max" {
		return 0, false, err
	}
	limit, err := number(most)
	if err != nil {
		return 0, false, err
	}
	text, err := readProc(path.Join(dir, "memory.current"), 64)
	if err != nil {
		return 0, false, err
	}
	used, err := number(text)
	if err != nil {
		return 0, false, err
	}
	stat, err := readProc(path.Join(dir, "memory.stat"), 64<<10)
	if err != nil {
		return 0, false, err
	}
	for line := range strings.Lines(string(stat)) {
		if value, ok := strings.CutPrefix(line, "inactive_file "); ok {
			cache, err := number([]byte(value))
			if err != nil {
				return 0, false, err
			}
			used -= min(used, cache)
		}
	}
	return limit - min(limit, used), true, nil
}

func number(text []byte) (uint64, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%q is no number of bytes", strings.TrimSpace(string(text)))
	}
	return n, nil
}
