// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// flags judges the flags that are set, and those whose default would change
// what is relied on.
func (j *Judge) flags(u unit) []finding.Finding {
	var found []finding.Finding
	for _, name := range slices.Sorted(maps.Keys(u.flags)) {
		row, ok := j.rules.Flag(u.component, name)
		if !ok {
			continue // of no measured minor: a vendor's own, or no flag at all
		}
		if f, ok := j.flag(u, name, row); ok {
			found = append(found, f)
		}
	}
	return append(found, j.flagDefaults(u)...)
}

func (j *Judge) flag(u unit, name string, row rules.Flag) (finding.Finding, bool) {
	id, arg := u.thing("flag", name), argument(name, u.flags)
	for _, m := range j.hops() {
		ahead := m < row.Known[0].First
		if row.Known.Has(m) || ahead && row.Known[0].First <= j.way.To {
			continue
		}
		f := u.blocks(finding.FlagRemoved, id, at(m, finding.Measured), cmp.Or(row.Removed.Source, row.Source))
		f.RemovedIn = removedBefore(row.Known, m).String()
		switch {
		case ahead:
			f.RemovedIn, f.Reason = "", "no minor up to this one knows it"
		case f.RemovedIn != m.String() && j.way.From != 0:
			f.Reason = fmt.Sprintf("it was removed in %s: %s does not take it either", f.RemovedIn, j.way.From)
		}
		f.Effect = fmt.Sprintf("%s %s does not know the flag --%s and does not start", u.component, m, name)
		f.Fix = u.remove(arg)
		u.takenOut(&f, name, m)
		noteArg(&f, arg)
		return f, true
	}
	if m := row.Removed.Minor; m > j.rules.Newest() && row.Removed.In(j.way.To) {
		f := u.blocks(finding.FlagRemoved, id, at(m, basis(row.Removed.Origin)), row.Removed.Source)
		f.Effect = fmt.Sprintf("%s %s is to know the flag --%s no longer, and does not start with it then", u.component, m, name)
		f.Reason, f.Fix = row.Notice, u.remove(arg)
		noteArg(&f, arg)
		return f, true
	}
	if !row.Deprecated.In(j.way.To) || row.Removed.IsZero() && (j.way.From == 0 || !j.way.Reaches(row.Deprecated.Minor)) {
		return finding.Finding{}, false // what runs has warned of it already, and nobody says when it goes
	}
	end := at(j.bites(row.Deprecated.Minor), basis(row.Deprecated.Origin))
	if !row.Removed.IsZero() {
		end = at(row.Removed.Minor, basis(row.Removed.Origin))
	}
	f := u.hint(finding.FlagDeprecated, id, end, row.Deprecated.Source)
	f.Effect = fmt.Sprintf("%s warns of the flag --%s since %s", u.component, name, row.Deprecated.Minor)
	if !row.Removed.IsZero() {
		f.RemovedIn = row.Removed.Minor.String()
		f.Effect += " and is to lose it in " + f.RemovedIn
	}
	f.Reason, f.Fix = row.Notice, u.remove(arg)
	noteArg(&f, arg)
	return f, true
}

// takenOut are flags of the kubelet that `kubeadm upgrade` of a minor takes out
// of kubeadm-flags.env, where kubeadm itself has put them
// (k8s.io/kubernetes v1.26.0 cmd/kubeadm/app/phases/upgrade/postupgrade.go,
// v1.35.4 cmd/kubeadm/app/cmd/phases/upgrade/postupgrade.go).
var takenOut = map[string]release.Minor{"container-runtime": 26, "pod-infra-container-image": 35}

// takenOut makes a notice of a flag that goes unasked on a node of kubeadm,
// unless somebody has set it elsewhere as well.
func (u unit) takenOut(f *finding.Finding, name string, m release.Minor) {
	by, ok := takenOut[name]
	if !ok || u.component != layout.Kubelet || by > m || !u.kubeadm && u.flags.Get("bootstrap-kubeconfig") == "" {
		return
	}
	f.Impact, f.Class = finding.Hint, finding.Notice
	f.Reason = fmt.Sprintf("kubeadm upgrade of %s takes it out of /var/lib/kubelet/kubeadm-flags.env; it stays where KUBELET_EXTRA_ARGS or a unit sets it", by)
}

// removedBefore is the minor that dropped what a later one does not have.
func removedBefore(known rules.Spans, m release.Minor) release.Minor {
	removed := m
	for _, span := range known {
		if span.Last < m {
			removed = span.Last + 1
		}
	}
	return removed
}

// argument is a flag as it stands on the command line. Values of those that may
// hold a secret are left out.
func argument(name string, flags layout.Flags) string {
	value := flags.Get(name)
	if strings.Contains(name, "password") || strings.Contains(name, "token") || len(value) > 120 {
		return "--" + name
	}
	return "--" + name + "=" + value
}

// felt are the defaults that something may rely on, and what it loses. Others
// change how much is done at once, how long is waited, what is logged.
var felt = []struct{ component, flag, loses string }{
	{layout.APIServer, "enable-logs-handler", "who reads the node's log files through the API server's /logs is refused"},
	{layout.APIServer, "anonymous-auth", "who asks the API server without credentials is refused"},
	{layout.Kubelet, "read-only-port", "who asks the kubelet's port without credentials is refused"},
	{layout.Kubelet, "anonymous-auth", "who asks the kubelet without credentials is refused"},
	{layout.Kubelet, "cgroup-driver", "the kubelet and the container runtime may disagree about who manages control groups"},
	{kubeProxy, "proxy-mode", "services are forwarded in another way"},
	{layout.ControllerManager, "terminated-pod-gc-threshold", "ended pods are kept for longer or shorter"},
}

func (j *Judge) flagDefaults(u unit) []finding.Finding {
	if j.way.From == 0 {
		return nil
	}
	var found []finding.Finding
	for _, d := range felt {
		if d.component != u.component || len(u.flags[d.flag]) > 0 || len(u.flags) == 0 || u.partial {
			continue
		}
		for _, m := range j.hops() {
			was, before := j.rules.Default(u.component, "--"+d.flag, m-1)
			is, after := j.rules.Default(u.component, "--"+d.flag, m)
			if !before || !after || was.Value == is.Value {
				continue
			}
			f := u.hint(finding.FlagDefault, u.thing("flag", d.flag), at(m, finding.Measured), is.Source)
			f.Impact = finding.Changes
			f.Effect = fmt.Sprintf("%s %s has another default for --%s (%s, was %s): %s", u.component, m, d.flag, is.Value, was.Value, d.loses)
			f.Fix = fmt.Sprintf("set --%s=%s where that is relied on", d.flag, was.Value)
			found = append(found, f)
			break
		}
	}
	return found
}

// runtimeConfig judges the entries of --runtime-config.
func (j *Judge) runtimeConfig(u unit) []finding.Finding {
	if u.component != layout.APIServer || len(u.flags["runtime-config"]) == 0 {
		return nil
	}
	value := strings.Join(u.flags.List("runtime-config"), ",")
	done := map[string]bool{}
	if j.way.From != 0 && j.rules.Known(j.way.From) {
		for _, r := range j.rules.RuntimeConfigs(value, j.way.From) {
			done[r.Entry] = true // what runs would not run with it: it is understood wrongly
		}
	}
	var found []finding.Finding
	for _, m := range j.hops() {
		for _, r := range j.rules.RuntimeConfigs(value, m) {
			if done[r.Entry] {
				continue
			}
			done[r.Entry] = true
			key, _, _ := strings.Cut(r.Entry, "=")
			f := u.blocks(finding.RuntimeConfigRefused, u.thing("runtime-config", key), at(m, finding.Measured), rules.Source{})
			f.Rule, f.RemovedIn = j.groupRule(key, m), m.String()
			f.Effect = fmt.Sprintf("kube-apiserver %s does not start with --runtime-config=%s: %s", m, fact.Text(r.Entry), fact.Text(r.Why))
			f.Fix = u.remove(r.Entry + " of --runtime-config")
			noteArg(&f, "--runtime-config="+r.Entry)
			found = append(found, f)
		}
	}
	return found
}

// groupRule is the row of the kind that was the last one of a group's version.
func (j *Judge) groupRule(key string, m release.Minor) *finding.Rule {
	parts := strings.Split(key, "/")
	if len(parts) < 2 {
		return nil
	}
	for _, api := range j.rules.APIs() {
		if api.Group == parts[0] && api.Version == parts[1] && api.Registered.Last() == m-1 {
			return cite(api.Source)
		}
	}
	return nil
}

// admission judges the plugins that are enabled and disabled by name.
func (j *Judge) admission(u unit) []finding.Finding {
	if u.component != layout.APIServer {
		return nil
	}
	var found []finding.Finding
	for _, flag := range []string{"admission-control", "disable-admission-plugins", "enable-admission-plugins"} {
		for _, name := range u.flags.List(flag) {
			row, ok := j.rules.AdmissionPlugin(name)
			for _, m := range j.hops() {
				if ok && (row.Known.Has(m) || m < row.Known[0].First && j.way.From != 0) {
					continue
				}
				f := u.blocks(finding.AdmissionPluginRemoved, u.thing("admission", name), at(m, finding.Measured), row.Source)
				if ok {
					f.RemovedIn = removedBefore(row.Known, m).String()
					if f.RemovedIn != m.String() && j.way.From != 0 {
						f.Reason = fmt.Sprintf("it was removed in %s: %s does not know it either", f.RemovedIn, j.way.From)
					}
				} else {
					f.RemovedIn, f.Rule, f.Reason = "", nil, "no minor up to this one knows it"
				}
				f.Effect = fmt.Sprintf("kube-apiserver %s does not know the admission plugin %s and does not start", m, fact.Text(name))
				f.Fix = u.remove(name + " of --" + flag)
				noteArg(&f, "--"+flag+"="+name)
				found = append(found, f)
				break
			}
		}
	}
	return found
}
