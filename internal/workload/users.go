// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/rules"
)

// users are user namespaces: who asks for one, and which nodes can make one.
type users struct {
	asking []fact.Object
	nodes  int
	// lacking are nodes whose runtimes say that they cannot, and silent those
	// that say nothing: kubelets before 1.30, or runtimes that do not tell.
	lacking, silent few
	slow            few // kernels before 5.19
}

func (u *users) pod(o fact.Object, spec corev1.PodSpec) {
	if spec.HostUsers != nil && !*spec.HostUsers {
		o.Content, o.Uses = nil, nil
		u.asking = append(u.asking, o)
	}
}

// node notes what a node says of itself.
func (u *users) node(name fact.Text, status corev1.NodeStatus) {
	u.nodes++
	support := supportsUsers(status.RuntimeHandlers)
	switch {
	case support == nil:
		u.silent.add(name.String())
	case !*support:
		u.lacking.add(name.String())
	}
	if status.NodeInfo.KernelVersion != "" && kernelBefore(status.NodeInfo.KernelVersion, 5, 19) {
		u.slow.add(name.String() + " (" + fact.Text(status.NodeInfo.KernelVersion).String() + ")")
	}
}

// supportsUsers is what the default runtime handler says; nil where it says
// nothing.
func supportsUsers(handlers []corev1.NodeRuntimeHandler) *bool {
	for _, handler := range handlers {
		if handler.Name == "" && handler.Features != nil {
			return handler.Features.UserNamespaces
		}
	}
	return nil
}

// kernelBefore compares a kernel's release, as uname has it; what cannot be read
// is not before anything.
func kernelBefore(release string, major, minor int) bool {
	parts := strings.SplitN(release, ".", 3)
	if len(parts) < 2 {
		return false
	}
	digits := strings.IndexFunc(parts[1], func(r rune) bool { return r < '0' || r > '9' })
	if digits >= 0 {
		parts[1] = parts[1][:digits]
	}
	first, err1 := strconv.Atoi(parts[0])
	second, err2 := strconv.Atoi(parts[1])
	return err1 == nil && err2 == nil && (first < major || first == major && second < minor)
}

// userGate is the minor in which pods get the user namespace that they ask for
// without a gate having to be set.
func (j *Judge) userGate() (rule, bool) {
	for m := rules.Oldest; m <= j.rules.Newest(); m++ {
		if gate, ok := j.rules.Gate("kubelet", "UserNamespacesSupport", m); ok && gate.Default {
			return rule{m, gate.Source}, true
		}
	}
	return rule{}, false
}

func (j *Judge) userFindings() []finding.Finding {
	gate, ok := j.userGate()
	if !ok {
		return nil
	}
	var all []finding.Finding
	for _, o := range j.users.asking {
		switch begins := j.way.Reaches(gate.minor); {
		case j.way.To < gate.minor:
			all = append(all, j.userIgnored(o, gate))
		case begins && j.users.lacking.count > 0:
			all = append(all, j.userUnsupported(o, gate))
		case begins:
			all = append(all, j.userBegins(o, gate))
		case j.users.lacking.count > 0:
			gate.minor = j.first()
			f := j.userUnsupported(o, gate)
			f.Impact, f.Class = finding.Hint, finding.Notice
			all = append(all, f)
		}
		if j.users.slow.count > 0 && j.way.To >= gate.minor {
			all = append(all, j.userSlow(o, gate))
		}
	}
	return all
}

// userIgnored: up to the end of the way the API server drops the field.
func (j *Judge) userIgnored(o fact.Object, gate rule) finding.Finding {
	source := gate.source
	f := about(o, finding.UserNamespaceIgnored, finding.Hint, rule{j.first(), source})
	f.Effect = fmt.Sprintf("hostUsers: false has no effect up to %s: without the gate UserNamespacesSupport the API server drops it, and the pods run in the host's user namespace", j.way.To)
	f.Fix = fmt.Sprintf("do not rely on it before %s, which has it on by default", gate.minor)
	return f
}

func (j *Judge) userBegins(o fact.Object, gate rule) finding.Finding {
	f := about(o, finding.UserNamespaceBegins, finding.Changes, gate)
	f.Effect = fmt.Sprintf("from %s on its pods run in a user namespace, which hostUsers: false has asked for without effect so far: files on volumes get other owners unless they are mapped", gate.minor)
	f.Fix = "try it on one node first: the runtime needs containerd 2.0 or CRI-O 1.25, and the kernel mapped mounts for each of the pods' file systems (6.3 for tmpfs)"
	if j.users.silent.count > 0 {
		note(&f, fmt.Sprintf("%d of %s do not say whether they can: %s", j.users.silent.count, counted(j.users.nodes, "node"), j.users.silent))
	}
	if j.users.nodes == 0 {
		note(&f, "no node was seen: whether they can is not known")
	}
	return f
}

func (j *Judge) userUnsupported(o fact.Object, gate rule) finding.Finding {
	f := about(o, finding.UserNamespaceUnsupported, finding.Breaks, gate)
	f.Effect = fmt.Sprintf("its pods do not start on %d of %s from %s on: the kubelet refuses hostUsers: false where the runtime does not support user namespaces",
		j.users.lacking.count, counted(j.users.nodes, "node"), gate.minor)
	f.Fix = "update the runtime on these nodes to containerd 2.0 or CRI-O 1.25 with runc 1.2 or crun 1.9, or take hostUsers: false out"
	note(&f, "without support: "+j.users.lacking.String())
	return f
}

func (j *Judge) userSlow(o fact.Object, gate rule) finding.Finding {
	f := about(o, finding.UserNamespaceSlow, finding.Hint, rule{max(gate.minor, j.first()), gate.source})
	f.Effect = fmt.Sprintf("its pods start slowly on %s: before kernel 5.19 overlayfs cannot map owners, so the runtime copies the image's files to change them", counted(j.users.slow.count, "node"))
	f.Fix = "boot these nodes with a kernel 5.19 or newer (6.3 for mapped tmpfs)"
	note(&f, "kernels before 5.19: "+j.users.slow.String())
	return f
}
