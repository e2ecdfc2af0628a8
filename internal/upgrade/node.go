// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// kubeProxy is a component that no layout knows: it is a pod of a DaemonSet.
const kubeProxy = "kube-proxy"

// kubeadm has gates of its own.
const kubeadm = "kubeadm"

// judged are the components whose flags and gates are in the tables.
var judged = []string{layout.APIServer, layout.ControllerManager, layout.Scheduler, layout.Kubelet, kubeProxy}

// unit is a component somewhere, with what is set for it.
type unit struct {
	component string
	id        string // what its findings' IDs begin with: "cp1/kube-apiserver"
	manifest  string // path, of a static pod
	place     string // where its arguments stand, if not in the manifest or on a command line
	partial   bool   // these are not all of its flags
	kubeadm   bool   // a kubelet with flags that kubeadm wrote
	tag       string // of etcd's image, where kubeadm is told one
	flags     layout.Flags
	gates     []gate
}

// gate is a feature gate that is set.
type gate struct {
	name  string
	on    bool
	where string // the flag, or the file's path
	inArg bool   // where is the flag
}

// components are the findings about the configuration of components: of the
// nodes that were looked at, and of those that a cluster told of.
func (j *Judge) components() []finding.Finding {
	var found []finding.Finding
	for i, l := range j.nodes {
		units := j.units(l, i == 0)
		for _, u := range units {
			found = append(found, j.unit(u)...)
		}
		found = append(found, j.gateDefaults(l.Node, units)...)
		found = append(found, j.etcd(l)...)
		if i == 0 { // what was seen of a machine is of the first node's
			found = append(found, j.configKinds(l.Node)...)
			found = append(found, j.platform(l)...)
		}
	}
	if len(j.nodes) == 0 {
		found = append(found, j.configKinds("")...)
	}
	for _, u := range j.told() {
		found = append(found, j.unit(u)...)
	}
	return append(found, j.mirrors()...)
}

// unit judges a component's flags and gates.
func (j *Judge) unit(u unit) []finding.Finding {
	return slices.Concat(j.flags(u), j.gates(u), j.runtimeConfig(u), j.admission(u))
}

// units are the components of a node. Configuration files are of the node where
// the files were looked at.
func (j *Judge) units(l layout.Layout, files bool) []unit {
	var all []unit
	for _, c := range l.Components {
		if !slices.Contains(judged, c.Name) || slices.ContainsFunc(all, func(u unit) bool { return u.component == c.Name }) {
			continue
		}
		u := unit{component: c.Name, id: nodeID(l.Node, c.Name), manifest: c.Manifest, flags: c.Given()}
		u.gates = flagGates(u.flags)
		if files {
			u.gates = append(j.fileGates(c.Name), u.gates...)
		}
		all = append(all, u)
	}
	if !files {
		return all
	}
	if u, ok := j.environment(l.Node); ok && !runs(l, layout.Kubelet) {
		all = append(slices.DeleteFunc(all, func(u unit) bool { return u.component == layout.Kubelet }), u)
	}
	for _, name := range judged { // a file may be there while nothing runs
		gates := j.fileGates(name)
		if len(gates) > 0 && !slices.ContainsFunc(all, func(u unit) bool { return u.component == name }) {
			all = append(all, unit{component: name, id: nodeID(l.Node, name), gates: gates})
		}
	}
	return all
}

// runs says that a component was seen running; a kubelet may also only follow
// from its configuration.
func runs(l layout.Layout, component string) bool {
	c, ok := l.Component(component)
	return ok && c.Process != nil
}

// environment is the kubelet of a node where nothing runs, as far as the files
// tell of its flags that its unit takes them from.
func (j *Judge) environment(node string) (unit, bool) {
	u := unit{component: layout.Kubelet, id: nodeID(node, layout.Kubelet), partial: true}
	var first, then []string
	for _, f := range j.mine {
		switch d, ok := f.(fact.ConfigDocument); {
		case !ok:
		case d.Flag == layout.KubeadmArgs:
			first, u.kubeadm = append(first, d.Args...), true
		default:
			then = append(then, d.Args...)
		}
	}
	args := append(first, then...)
	u.flags = layout.ParseFlags(args)
	u.gates = append(j.fileGates(layout.Kubelet), flagGates(u.flags)...)
	return u, len(args) > 0
}

func nodeID(node, component string) string { return string(fact.NodeID(node, component)) }

// thing is the ID of a part of a component's configuration.
func (u unit) thing(sort, name string) fact.ID {
	name = strings.ReplaceAll(strings.ToValidUTF8(name, "_"), "/", ".")
	node, rest, _ := strings.Cut(u.id, "/")
	return fact.NodeID(node, rest+"-"+sort+"-"+name)
}

// fileGates are the gates in the configuration files of the node's own
// components, in the order in which later ones win.
func (j *Judge) fileGates(component string) []gate {
	var all []gate
	for _, f := range j.mine {
		switch f := f.(type) {
		case fact.KubeletConfig:
			if component == layout.Kubelet && f.Node == "" {
				all = append(all, sorted(f.Gates, f.Path)...)
			}
		case fact.ConfigDocument:
			if component == f.Component && strings.HasPrefix(f.Path, "/") {
				all = append(all, sorted(f.Gates, f.Path)...)
			}
		}
	}
	return all
}

// told are the components whose configuration a cluster told, not a file.
func (j *Judge) told() []unit {
	var all []unit
	for _, f := range j.mine {
		switch f := f.(type) {
		case fact.KubeletConfig:
			if f.Node != "" && len(f.Gates) > 0 && !slices.ContainsFunc(j.nodes, func(l layout.Layout) bool { return l.Node == string(f.Node) }) {
				all = append(all, unit{component: layout.Kubelet, id: nodeID(string(f.Node), layout.Kubelet), gates: sorted(f.Gates, orElse(f.Path, "what the kubelet runs with"))})
			}
		case fact.ConfigDocument:
			if len(f.Gates) > 0 && !strings.HasPrefix(f.Path, "/") {
				all = append(all, unit{component: f.Component, id: "cluster/" + f.Component, gates: sorted(f.Gates, f.Path)})
			}
		}
	}
	return all
}

func sorted(gates map[string]bool, where string) []gate {
	var all []gate
	for _, name := range slices.Sorted(maps.Keys(gates)) {
		all = append(all, gate{name: name, on: gates[name], where: where})
	}
	return all
}

// hops are the minors on the way whose data was measured.
func (j *Judge) hops() []release.Minor {
	return slices.DeleteFunc(j.way.Hops(), func(m release.Minor) bool { return !j.rules.Known(m) })
}

// path is where a setting of a unit is: the manifest, or nothing where only a
// command line shows it.
func (u unit) path() string { return u.manifest }

// remove is how to take an argument away.
func (u unit) remove(arg string) string {
	arg = fact.Text(arg).String()
	switch {
	case u.place != "":
		return "remove " + arg + " from " + fact.Text(u.place).String()
	case u.manifest != "":
		return "remove " + arg + " from " + fact.Text(u.manifest).String() + u.anew()
	case u.component == layout.Kubelet:
		return "remove " + arg + " from the kubelet's command line (/var/lib/kubelet/kubeadm-flags.env, or its unit)"
	}
	return "remove " + arg + " from the command line of " + u.component
}

// anew reminds of where kubeadm takes the flags of the manifests from that it
// writes at each upgrade.
func (u unit) anew() string {
	if strings.HasSuffix(u.manifest, "/manifests/"+u.component+".yaml") {
		return " and from extraArgs in the ConfigMap kube-system/kubeadm-config"
	}
	return ""
}

// blocks is a finding about what ends a component's start.
func (u unit) blocks(code finding.Code, id fact.ID, end finding.End, rule rules.Source) finding.Finding {
	return finding.Finding{
		Code: code, ID: id, End: end, Impact: finding.Blocks, Class: finding.Fault, Keeper: finding.KeeperOwner, Rule: cite(rule),
		RemovedIn: end.Version, Evidence: finding.Evidence{Path: u.path()},
	}
}

// hint is a finding about what is worth knowing.
func (u unit) hint(code finding.Code, id fact.ID, end finding.End, rule rules.Source) finding.Finding {
	f := u.blocks(code, id, end, rule)
	f.Impact, f.Class, f.RemovedIn = finding.Hint, finding.Notice, ""
	return f
}

// noteArg shows an argument as evidence.
func noteArg(f *finding.Finding, arg string) {
	const most = 300
	if len(arg) > most {
		arg = arg[:most] + "..."
	}
	f.Evidence.Notes = append(f.Evidence.Notes, fact.Text(arg))
}

func plural(n int, one, many string) string {
	return map[bool]string{true: one, false: many}[n == 1]
}

func orElse(s, otherwise string) string { return cmp.Or(s, otherwise) }
