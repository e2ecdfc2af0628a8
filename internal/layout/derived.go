// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"path"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// derived says that a component is no part of Kubernetes and uses one of its
// kubeconfigs, such as kube-vip with admin.conf.
func (c Component) derived() bool {
	return c.Manifest != "" && !slices.Contains(known, c.Name) && c.Name != APIServerStandby && slices.ContainsFunc(c.Mounts, isKubeconfigMount)
}

func isKubeconfigMount(m fact.Mount) bool {
	return strings.HasSuffix(m.HostPath, ".conf") || strings.HasSuffix(m.HostPath, ".kubeconfig")
}

// programs are the names that a derived component's process may have: its
// image's entry point is mostly called as the image or as the container.
func (c Component) programs() []string {
	image, _, _ := strings.Cut(path.Base(string(c.Image)), "@")
	image, _, _ = strings.Cut(image, ":")
	names := []string{c.Name}
	if len(c.Args) > 0 && path.IsAbs(c.Args[0]) {
		names = append(names, path.Base(c.Args[0]))
	}
	if image != "" && !slices.Contains(names, image) {
		names = append(names, image)
	}
	return names
}

// wantDerived looks for the processes of derived components.
func (d *discovery) wantDerived() {
	for _, c := range d.Components {
		if !c.derived() || !d.running() {
			continue
		}
		for _, name := range c.programs() {
			d.want(Want{Verb: LookProcesses, Inside: name})
		}
	}
}

// placeDerived puts a process to the derived component that was started with
// its arguments, in a container.
func (d *discovery) placeDerived(p fact.Process) {
	for i := range d.Components {
		c := &d.Components[i]
		if c.derived() && c.Process == nil && p.Contained && slices.Contains(c.programs(), path.Base(p.Args[0])) && endsWith(p.Args, c.Args) {
			c.Process = &p
			return
		}
	}
}

// endsWith says whether a command line is a container's command and arguments,
// behind its image's entry point where the manifest has none.
func endsWith(args, manifest []string) bool {
	return len(args) >= len(manifest) && slices.Equal(args[len(args)-len(manifest):], manifest)
}

// inside is where a component sees a file of the host that is mounted by
// itself.
func (c Component) inside(host string) string {
	for _, m := range c.Mounts {
		if m.HostPath == host {
			return m.Path
		}
	}
	return ""
}
