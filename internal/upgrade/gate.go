// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// all are the gates that stand for many (k8s.io/component-base, featuregate).
var all = map[string]string{"AllAlpha": "Alpha", "AllBeta": "Beta"}

// flagGates reads --feature-gates, as often as it is there. Later values win.
func flagGates(flags layout.Flags) []gate {
	var gates []gate
	for _, pair := range flags.List("feature-gates") {
		pair = strings.Trim(pair, `"'`)
		name, value, _ := strings.Cut(pair, "=")
		name = strings.TrimPrefix(strings.TrimSpace(name), "kube:")
		on, err := strconv.ParseBool(strings.TrimSpace(value))
		if err != nil || name == "" || strings.Contains(name, ":") {
			continue // no start of today's takes it either, or it is another component's
		}
		gates = append(gates, gate{name: name, on: on, where: "--feature-gates=" + name + "=" + strconv.FormatBool(on), inArg: true})
	}
	return gates
}

// last keeps of each gate the setting that counts: flags come after files.
func last(gates []gate) []gate {
	var kept []gate
	for i, g := range gates {
		if !slices.ContainsFunc(gates[i+1:], func(later gate) bool { return later.name == g.name }) {
			kept = append(kept, g)
		}
	}
	return kept
}

// gates judges all gates that are set: a component's own message names only the
// first one.
func (j *Judge) gates(u unit) []finding.Finding {
	if !j.knowsGates(u.component) {
		return nil
	}
	set := last(u.gates)
	var found []finding.Finding
	for _, g := range set {
		if f, ok := j.gate(u, g); ok {
			found = append(found, f)
		}
	}
	// A gate that is unknown ends the start before dependencies are looked at,
	// and goes with its finding's fix.
	return append(found, j.requirements(u, set)...)
}

func (j *Judge) knowsGates(component string) bool {
	return slices.Contains(judged, component) || component == kubeadm
}

// gate judges one gate over the way: the first minor that ends the start with
// it is the end.
func (j *Judge) gate(u unit, g gate) (finding.Finding, bool) {
	if all[g.name] != "" {
		return finding.Finding{}, false
	}
	for _, m := range j.hops() {
		row, known := j.settable(u.component, g.name, m)
		switch {
		case !known && !j.later(u.component, g.name, m):
			return j.unknownGate(u, g, m), true
		case known && row.Locked && row.Default != g.on:
			return j.lockedGate(u, g, row, m), true
		}
	}
	return j.plannedGate(u, g)
}

// plannedGate tells of a gate that is to be gone in a minor that nobody has
// measured.
func (j *Judge) plannedGate(u unit, g gate) (finding.Finding, bool) {
	row, ok := j.settable(u.component, g.name, j.rules.Newest())
	if !ok || j.way.To <= j.rules.Newest() || !row.Removed.In(j.way.To) {
		return finding.Finding{}, false
	}
	m := max(j.bites(row.Removed.Minor), j.rules.Newest()+1)
	f := u.blocks(finding.GateRemoved, u.thing("gate", g.name), at(m, basis(row.Removed.Origin)), row.Removed.Source)
	f.Effect = fmt.Sprintf("%s %s is to know the feature gate %s no longer, and does not start with it then", u.component, m, fact.Text(g.name))
	f.Fix = u.unset(g)
	g.evidence(&f)
	return f, true
}

// settable finds what a minor does with a gate, if it can be set at all.
func (j *Judge) settable(component, name string, m release.Minor) (rules.Gate, bool) {
	row, ok := j.rules.Gate(component, name, m)
	return row, ok && row.Stage != "PreAlpha"
}

// later says that a gate is only known from a later hop on: it was set ahead of
// its time, which ends the start of what runs, not of the upgrade.
func (j *Judge) later(component, name string, m release.Minor) bool {
	if j.way.From == 0 || m == j.way.To {
		return false
	}
	if _, before := j.settable(component, name, m-1); before {
		return false
	}
	_, in := j.settable(component, name, j.way.To)
	return in
}

func (j *Judge) unknownGate(u unit, g gate, m release.Minor) finding.Finding {
	source, removed := j.lastGate(u.component, g.name, m)
	f := u.blocks(finding.GateRemoved, u.thing("gate", g.name), at(m, finding.Measured), source)
	f.RemovedIn = ""
	if removed != 0 {
		f.RemovedIn = removed.String()
	} else {
		f.Reason = "no minor up to this one knows it"
		f.Rule = nil
	}
	if removed != 0 && removed < m && j.way.From != 0 {
		f.Reason = fmt.Sprintf("it was removed in %s: %s does not know it either", removed, j.way.From)
	}
	f.Effect = fmt.Sprintf("%s %s does not know the feature gate %s and does not start", u.component, m, fact.Text(g.name))
	if u.component == kubeadm {
		f.Effect = fmt.Sprintf("kubeadm %s does not know its feature gate %s and refuses to go on", m, fact.Text(g.name))
	}
	f.Fix = u.unset(g)
	g.evidence(&f)
	return f
}

// lastGate finds the newest row of a gate before a minor, and the minor that has
// dropped it.
func (j *Judge) lastGate(component, name string, m release.Minor) (rules.Source, release.Minor) {
	for k := m - 1; k >= rules.Oldest; k-- {
		if row, ok := j.rules.Gate(component, name, k); ok {
			return row.Source, k + 1
		}
	}
	return rules.Source{}, 0
}

func (j *Judge) lockedGate(u unit, g gate, row rules.Gate, m release.Minor) finding.Finding {
	f := u.blocks(finding.GateLocked, u.thing("gate", g.name), at(m, finding.Measured), row.Source)
	f.RemovedIn = ""
	f.Effect = fmt.Sprintf("%s %s has locked the feature gate %s to %t and does not start where it is set to %t", u.component, m, fact.Text(g.name), row.Default, g.on)
	f.Fix = u.unset(g)
	g.evidence(&f)
	return f
}

func (g gate) evidence(f *finding.Finding) {
	if g.inArg {
		noteArg(f, g.where)
		return
	}
	f.Evidence.Path = g.where
	noteArg(f, fmt.Sprintf("featureGates: %s: %t", g.name, g.on))
}

func (u unit) unset(g gate) string {
	name := fact.Text(g.name).String()
	if g.inArg {
		return u.remove(name + "=" + strconv.FormatBool(g.on) + " of --feature-gates")
	}
	where := "featureGates in " + fact.Text(g.where).String()
	if u.component == layout.Kubelet && strings.HasPrefix(g.where, "/") {
		where += " and in the ConfigMap kube-system/kubelet-config, from which kubeadm writes it anew"
	}
	return "remove " + name + " from " + where
}

// requirements finds gates that are on while one that they need is off, which
// ends a start since upstream records what needs what.
func (j *Judge) requirements(u unit, set []gate) []finding.Finding {
	if len(set) == 0 {
		return nil // no minor's own defaults contradict each other
	}
	done := map[string]bool{}
	var found []finding.Finding
	for _, m := range j.hops() {
		for _, row := range j.needy(u.component, m) {
			if done[row.Name] || !j.on(u.component, set, row.Name, m) {
				continue
			}
			off := slices.DeleteFunc(slices.Clone(row.Requires), func(need string) bool { return j.on(u.component, set, need, m) })
			if len(off) == 0 || j.requiredBefore(u, set, row.Name) {
				continue
			}
			done[row.Name] = true
			found = append(found, u.requirement(row, off, set, m))
		}
	}
	return found
}

type componentMinor struct {
	component string
	minor     release.Minor
}

// needy lists the gates of a component that need others.
func (j *Judge) needy(component string, m release.Minor) []rules.Gate {
	key := componentMinor{component, m}
	rows, ok := j.requiring[key]
	if !ok {
		rows = slices.DeleteFunc(j.rules.Gates(component, m), func(g rules.Gate) bool { return len(g.Requires) == 0 })
		j.requiring[key] = rows
	}
	return rows
}

// requiredBefore says that the minor that runs refuses it, too: then what was
// seen is not what runs, and there is nothing to say about the upgrade.
func (j *Judge) requiredBefore(u unit, set []gate, name string) bool {
	if j.way.From == 0 {
		return false
	}
	row, ok := j.rules.Gate(u.component, name, j.way.From)
	return ok && j.on(u.component, set, name, j.way.From) &&
		slices.ContainsFunc(row.Requires, func(need string) bool { return !j.on(u.component, set, need, j.way.From) })
}

// on says whether a gate is on in a minor: as it is set, as AllAlpha and
// AllBeta set those of a stage, or by default.
func (j *Judge) on(component string, set []gate, name string, m release.Minor) bool {
	row, ok := j.rules.Gate(component, name, m)
	if !ok {
		return false
	}
	for _, g := range set {
		if g.name == name {
			return g.on
		}
	}
	for _, g := range set {
		if stage := all[g.name]; stage != "" && stage == row.Stage {
			return g.on
		}
	}
	return row.Default
}

func (u unit) requirement(row rules.Gate, off []string, set []gate, m release.Minor) finding.Finding {
	f := u.blocks(finding.GateRequires, u.thing("gate", row.Name), at(m, finding.Measured), row.Source)
	f.RemovedIn = ""
	f.Effect = fmt.Sprintf("%s %s does not start with the feature gate %s on and %s off, which it needs", u.component, m, row.Name, strings.Join(off, ", "))
	f.Fix = fmt.Sprintf("set %s to true as well, or %s to false", strings.Join(off, ", "), row.Name)
	for _, g := range set {
		if g.name == row.Name || slices.Contains(off, g.name) || all[g.name] != "" {
			g.evidence(&f)
		}
	}
	return f
}

// gateDefaults tells in one finding per hop what a node's components do
// otherwise from it on, where nobody has set the gate.
func (j *Judge) gateDefaults(node string, units []unit) []finding.Finding {
	if j.way.From == 0 || len(units) == 0 {
		return nil
	}
	var found []finding.Finding
	for _, m := range j.hops() {
		changes := map[string]rules.GateChange{}
		for _, u := range units {
			for _, c := range j.rules.GateChanges(u.component, m-1, m) {
				if c.Flipped() && !slices.ContainsFunc(u.gates, func(g gate) bool { return g.name == c.Was.Name || all[g.name] != "" }) {
					changes[c.Was.Name] = c
				}
			}
		}
		if len(changes) > 0 {
			found = append(found, gateDefaults(node, m, changes))
		}
	}
	return found
}

func gateDefaults(node string, m release.Minor, changes map[string]rules.GateChange) finding.Finding {
	var on, off []string
	var rule rules.Source
	for name, c := range changes {
		if c.Is.Default {
			on = append(on, name)
		} else {
			off = append(off, name)
		}
		if rule.Citation == "" || c.Is.Citation < rule.Citation {
			rule = c.Is.Source
		}
	}
	f := finding.Finding{
		Code: finding.GateDefault, ID: fact.NodeID(node, "gate-defaults-"+m.String()), End: at(m, finding.Measured),
		Impact: finding.Changes, Class: finding.Notice, Keeper: finding.KeeperOwner, Rule: cite(rule),
		Effect: fmt.Sprintf("%d feature %s another default in %s", len(changes), plural(len(changes), "gate has", "gates have"), m),
		Fix:    "read what they do before the hop; set one in --feature-gates to keep what was",
	}
	for _, list := range []struct {
		state string
		names []string
	}{{"on", on}, {"off", off}} {
		if len(list.names) > 0 {
			slices.Sort(list.names)
			f.Evidence.Notes = append(f.Evidence.Notes, fact.Text("now "+list.state+": "+strings.Join(list.names, ", ")))
		}
	}
	return f
}
