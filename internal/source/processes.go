// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"fmt"
	"path"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
)

var processes = perWant{name: "processes", disk: true, atOnce: 1, look: lookProcesses}

func lookProcesses(ctx context.Context, s Scope, _ layout.Want, out *found) {
	if s.FS.Root() != "/" {
		out.fail(fact.Unsupported, "processes are only seen on the running machine", "")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Disk)
	defer cancel()
	running, err := host.Processes(ctx, isComponent)
	if err != nil {
		diskFailure(out, out.what, err)
	}
	for _, p := range running {
		// Not through a wrapper: a shell's version is none of the kubelet's.
		if path.Base(p.Args[0]) == layout.Kubelet {
			p.Version = kubeletVersion(ctx, p.PID, out)
		}
		if p.Unit != "" {
			p.UnitRestart = s.FS.UnitRestart(ctx, p.Unit)
		}
		if words, ok := layout.RenewerWords(p.Args); ok {
			p.Args = words // the rest may hold a token
		}
		out.add(p)
	}
}

func isComponent(args []string) bool {
	_, ok := layout.ComponentOf(args)
	_, renews := layout.RenewerWords(args)
	return ok || renews
}

func kubeletVersion(ctx context.Context, pid int, out *found) fact.Text {
	version, err := host.KubeletVersion(ctx, pid)
	if err != nil && !host.Gone(err) {
		diskFailure(out, fact.Text(fmt.Sprintf("the version of the kubelet (process %d)", pid)), err)
	}
	return version
}
