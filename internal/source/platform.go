// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

var platform = perWant{name: "platform", disk: true, atOnce: 1, look: lookPlatform}

// controllers is there where /sys/fs/cgroup is the one hierarchy of version 2
// (Linux Documentation/admin-guide/cgroup-v2.rst); each hierarchy of version 1
// has a directory in it and notify_on_release in that.
const controllers = "/sys/fs/cgroup/cgroup.controllers"

var legacy = []string{"/sys/fs/cgroup/memory/notify_on_release", "/sys/fs/cgroup/cpu/notify_on_release", "/sys/fs/cgroup/pids/notify_on_release"}

// lookPlatform reads what the kernel shows of itself below the root, where it
// shows itself there: a disk of another machine has no kernel.
func lookPlatform(ctx context.Context, s Scope, _ layout.Want, out *found) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Disk)
	defer cancel()
	p := fact.Platform{Kernel: shown(ctx, s, "/proc/sys/kernel/osrelease")}
	switch {
	case there(ctx, s, controllers):
		p.Cgroup = 2
	case there(ctx, s, legacy[0]), there(ctx, s, legacy[1]), there(ctx, s, legacy[2]):
		p.Cgroup = 1
	}
	if p != (fact.Platform{}) {
		out.add(p)
	}
}

// shown is the first line of a small file, empty where it is not there.
func shown(ctx context.Context, s Scope, path string) fact.Text {
	data, _, err := s.FS.Read(ctx, path, 4<<10)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return fact.Text(strings.TrimSpace(line))
}

func there(ctx context.Context, s Scope, path string) bool {
	_, _, err := s.FS.Read(ctx, path, 4<<10)
	return err == nil
}
