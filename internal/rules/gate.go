// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/release"
)

// Gate is a feature gate of some components, over minors in which nothing
// about it changed.
type Gate struct {
	Name string
	Span
	// Stage is that of component-base/featuregate: Alpha, Beta, GA, Deprecated.
	Stage   string
	Default bool
	// Locked: setting it to anything but its default ends the component's start.
	Locked bool
	// MinCompatibility is the --min-compatibility-version from which on the
	// default holds; 0 for always.
	MinCompatibility release.Minor
	// Requires are gates that must be on where this one is, or the start ends;
	// upstream has recorded them since 1.35.
	Requires []string
	// Components are those that know the gate, by name; kubeadm's are its own, in
	// featureGates of its ClusterConfiguration.
	Components []string
	// Removed is the minor in which upstream says that the gate will be gone.
	Removed Change
	Source
}

var gateDefinition = definition{
	name: "gates",
	columns: []string{
		"gate", "first", "last", "stage", "default", "locked", "min_compatibility", "requires", "components", "removed", "origin", "citation",
	},
	keys:      9,
	stretches: true,
	embedded:  &gatesTable,
	clear:     func(s *Set) { s.gates = map[string][]Gate{} },
	put:       putGate,
}

func putGate(s *Set, r *record) error {
	gate := Gate{
		Name: r.name("gate"), Span: r.span("first", "last"),
		Stage:   r.oneOf("stage", "PreAlpha", "Alpha", "Beta", "GA", "Deprecated"),
		Default: r.bool("default"), Locked: r.bool("locked"), MinCompatibility: r.maybeMinor("min_compatibility"),
		Requires: strings.Fields(r.text("requires")), Components: strings.Fields(r.name("components")),
		Removed: r.change("removed"), Source: r.source(),
	}
	r.must(!slices.ContainsFunc(s.gates[gate.Name], gate.overlaps), "two rows for the same component and minor")
	s.gates[gate.Name] = append(s.gates[gate.Name], gate)
	return r.err()
}

func (s *Set) newestGate() release.Minor {
	var newest release.Minor
	for _, stretches := range s.gates {
		for _, gate := range stretches {
			newest = max(newest, gate.Last)
		}
	}
	return newest
}

func (g Gate) overlaps(other Gate) bool {
	return g.First <= other.Last && other.First <= g.Last &&
		slices.ContainsFunc(g.Components, func(c string) bool { return slices.Contains(other.Components, c) })
}

// Gate finds what a component of a minor does with a gate. Not ok: the
// component does not know it and does not start where it is set, if the minor
// was measured (see Known).
func (s *Set) Gate(component, name string, m release.Minor) (Gate, bool) {
	for _, gate := range s.gates[name] {
		if gate.First <= m && m <= gate.Last && slices.Contains(gate.Components, component) {
			return gate, true
		}
	}
	return Gate{}, false
}

// Gates lists the gates that a component of a minor knows, by name.
func (s *Set) Gates(component string, m release.Minor) []Gate {
	var known []Gate
	for name := range s.gates {
		if gate, ok := s.Gate(component, name, m); ok {
			known = append(known, gate)
		}
	}
	slices.SortFunc(known, func(a, b Gate) int { return cmp.Compare(a.Name, b.Name) })
	return known
}

// GateChange is what a hop does to a gate of a component.
type GateChange struct {
	Was Gate // as the older minor has it
	// Is is what the newer minor has; the zero Gate where it is removed.
	Is Gate
}

// Removed reports that the newer minor does not know the gate.
func (c GateChange) Removed() bool { return c.Is.Name == "" }

// Locked reports that the newer minor fixes what the older one let be set.
func (c GateChange) Locked() bool { return !c.Removed() && c.Is.Locked && !c.Was.Locked }

// Flipped reports that the default is another one.
func (c GateChange) Flipped() bool { return !c.Removed() && c.Is.Default != c.Was.Default }

// GateChanges lists the gates of a component that are removed, newly locked or
// of another default between two minors, by name.
func (s *Set) GateChanges(component string, from, to release.Minor) []GateChange {
	var changes []GateChange
	for _, was := range s.Gates(component, from) {
		is, _ := s.Gate(component, was.Name, to)
		if c := (GateChange{was, is}); c.Removed() || c.Locked() || c.Flipped() {
			changes = append(changes, c)
		}
	}
	return changes
}
