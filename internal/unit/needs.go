// SPDX-License-Identifier: Apache-2.0

package unit

import (
	"slices"
)

// part is a unit's share of the work.
type part int

const (
	works    part = 1 << iota // the agent itself
	finishes                  // the unit before the kubelet
)

// Need is what a feature needs of the machine beyond being root: each row of the
// table is granted by the unit of every part that has it.
type Need struct {
	Feature      string   // what it is for
	Capabilities []string // capabilities(7)
	// Calls are system calls beyond the group @system-service (systemd.exec(5)).
	Calls      []string
	Namespaces []string // kinds that it makes or enters
	Paths      string   // what it writes, in words
	// When says where it is granted, in words; empty: always.
	When string
	// Without is what becomes of the feature where it is taken away.
	Without string

	writes func(Options) []string
	on     func(Options) bool
	parts  part
}

// counts says whether a part's unit grants it.
func (n Need) counts(of part, o Options) bool {
	return n.parts&of != 0 && (n.on == nil || n.on(o))
}

// Needs is the one table. As root, a program owns most of what it reads and writes
// here, and needs no capability for it.
var Needs = []Need{
	{
		Feature:      "reading certificates, keys, manifests and kubeconfigs that are not root's own",
		Capabilities: []string{"CAP_DAC_READ_SEARCH"}, Paths: "reads only",
		Without: "these files are Unseen (Denied), and what hangs on them is not judged",
		parts:   works | finishes,
	},
	{
		Feature:      "looking into processes: their program, the files as they see them, their sockets",
		Capabilities: []string{"CAP_SYS_PTRACE"}, Paths: "reads only",
		Without: "what a process sees of a kubeconfig is Unseen (Denied), so which certificate it uses is not proven; no handover",
		parts:   works,
	},
	{
		Feature: "renewing what is root's own; journal, backups, lock",
		Paths:   "the directories of Kubernetes, of the kubelet's certificates, of etcd's certificates; /etc/perennial, /var/lib/perennial, /run/perennial; /root/.kube",
		Without: "nothing is changed: a plan is refused before its first step, naming the directory",
		parts:   works | finishes,
	},
	{
		Feature:      "replacing files of other users: of an etcd with a user of its own, of a kubeconfig that the settings name under copies",
		Capabilities: []string{"CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER"}, Paths: "these directories",
		When:    "only where such files were found when the units were written",
		Without: "they are left alone: a plan with one of them is refused before its first step",
		on:      func(o Options) bool { return o.Others },
		parts:   works | finishes,
	},
	{
		Feature:      "ending a component, so that the kubelet or systemd starts it with its new certificate",
		Capabilities: []string{"CAP_KILL"}, Calls: []string{"pidfd_open", "pidfd_send_signal"}, Paths: "nothing",
		Without: "one that runs as another user than root is not restarted: a plan with it is refused before its first step",
		parts:   works,
	},
	{
		Feature:      "a handover: steering new connections by sk_lookup, holding established ones; looking for what one has left",
		Capabilities: []string{"CAP_BPF", "CAP_NET_ADMIN"}, Calls: []string{"bpf", "pidfd_getfd"}, Paths: "/sys/fs/bpf",
		Without: "no handover, its preflight says why; without CAP_NET_ADMIN whether one was left behind is Unseen (Denied)",
		writes:  func(Options) []string { return []string{BPF} },
		parts:   works,
	},
	{
		Feature:      "a handover by nftables: the probe of the node's firewall from a network namespace of its own",
		Capabilities: []string{"CAP_NET_ADMIN", "CAP_SYS_ADMIN"}, Namespaces: []string{"net"}, Paths: "nothing",
		When:    "only where the kernel has no sk_lookup (Linux before 5.9)",
		Without: "no handover, its preflight says why",
		on:      func(o Options) bool { return o.Translate },
		parts:   works,
	},
	{
		Feature: "telling: metrics and health on the loopback, a textfile and a calendar",
		Paths:   "/var/cache/perennial, and the directories of the two files that the settings name, where they are root's",
		Without: "the file is not written: a person is needed (FileUnwritable), in the status and as a metric",
		parts:   works,
	},
}

// BPF is the file system in which a handover pins its program (package steer).
const BPF = "/sys/fs/bpf"

// Capabilities are those that the agent's unit grants, sorted.
func (o Options) Capabilities() []string { return o.granted(works).Capabilities }

// granted is everything that the needs of a part take together.
func (o Options) granted(of part) (all Need) {
	for _, n := range Needs {
		if !n.counts(of, o) {
			continue
		}
		all.Capabilities = append(all.Capabilities, n.Capabilities...)
		all.Calls = append(all.Calls, n.Calls...)
		all.Namespaces = append(all.Namespaces, n.Namespaces...)
	}
	for _, list := range []*[]string{&all.Capabilities, &all.Calls, &all.Namespaces} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return all
}

// grant writes what a part's needs take together.
func (o Options) grant(p *page, of part) {
	for _, n := range Needs {
		if n.writes != nil && n.counts(of, o) {
			p.paths("ReadWritePaths", n.writes(o))
		}
	}
	all := o.granted(of)
	p.note("What each is for: the table in docs/threat-model.md.")
	p.set("CapabilityBoundingSet", all.Capabilities...)
	p.set("SystemCallFilter", append([]string{"@system-service"}, all.Calls...)...)
	p.set("SystemCallFilter", "~@aio", "@keyring", "@setuid", "userfaultfd")
	p.note("What is filtered fails like a right that is missing.")
	p.set("SystemCallErrorNumber", "EPERM")
	if len(all.Namespaces) == 0 {
		p.set("RestrictNamespaces", "yes")
	} else {
		p.set("RestrictNamespaces", all.Namespaces...)
	}
}
