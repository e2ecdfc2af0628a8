// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"path"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
)

var processes = perWant{name: "processes", disk: true, atOnce: 1, look: lookProcesses}

func lookProcesses(ctx context.Context, s Scope, w layout.Want, out *found) {
	if s.FS.Root() != "/" {
		out.fail(fact.Unsupported, "processes are only seen on the running machine", "")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Disk)
	defer cancel()
	accept := isComponent
	if w.Inside != "" {
		accept = func(args []string) bool { return path.Base(args[0]) == w.Inside }
	}
	running, err := host.Processes(ctx, accept)
	if err != nil {
		diskFailure(out, out.what, err)
	}
	for _, p := range running {
		if w.Inside != "" && !p.Contained {
			continue // a pod's is in a container
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

var programs = perWant{name: "programs", disk: true, atOnce: 1, look: lookProgram}

// lookProgram asks the kubelet of this cluster for its version. Other kubelets
// on the machine are none of ours.
func lookProgram(ctx context.Context, s Scope, w layout.Want, out *found) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Disk)
	defer cancel()
	version, err := host.KubeletVersion(ctx, w.PID)
	switch {
	case err == nil:
		out.add(fact.Version{PID: w.PID, Git: version})
	case !host.Gone(err):
		diskFailure(out, out.what, err)
	}
}
