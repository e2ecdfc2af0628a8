// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"errors"
	"fmt"
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
	// upstream has recorded them since 1.36.
	Requires []string
	// Components are those that know the gate, by name.
	Components []string
	Source
}

var gateColumns = []string{
	"gate", "first", "last", "stage", "default", "locked", "min_compatibility", "requires", "components", "origin", "citation",
}

var stages = []string{"PreAlpha", "Alpha", "Beta", "GA", "Deprecated"}

func (s *Set) readGates(text []byte) error {
	gates := map[string][]Gate{}
	asOf, err := readTable(text, gateColumns, func(fields []string) error {
		gate, err := parseGate(fields)
		if err != nil {
			return fmt.Errorf("%s: %w", fields[0], err)
		}
		for _, other := range gates[gate.Name] {
			if gate.overlaps(other) {
				return fmt.Errorf("%s: two rows for the same component and minor", gate.Name)
			}
		}
		gates[gate.Name] = append(gates[gate.Name], gate)
		return nil
	})
	if err != nil {
		return err
	}
	s.note(asOf)
	s.gates = gates
	return nil
}

func parseGate(f []string) (Gate, error) {
	gate := Gate{Name: f[0], Stage: f[3], Requires: strings.Fields(f[7]), Components: strings.Fields(f[8])}
	var errs [6]error
	gate.First, errs[0] = release.ParseMinor(f[1])
	gate.Last, errs[1] = release.ParseMinor(f[2])
	gate.Default, errs[2] = parseBool(f[4])
	gate.Locked, errs[3] = parseBool(f[5])
	if f[6] != "" {
		gate.MinCompatibility, errs[4] = release.ParseMinor(f[6])
	}
	gate.Source, errs[5] = parseSource(f[9], f[10])
	if err := errors.Join(errs[:]...); err != nil {
		return Gate{}, err
	}
	switch {
	case gate.Name == "" || len(gate.Components) == 0:
		return Gate{}, errors.New("no name or no components")
	case gate.Last < gate.First:
		return Gate{}, errors.New("its last minor is before its first")
	case !slices.Contains(stages, gate.Stage):
		return Gate{}, fmt.Errorf("stage %q: want one of %s", gate.Stage, strings.Join(stages, ", "))
	}
	return gate, nil
}

func parseBool(text string) (bool, error) {
	if text != "true" && text != "false" {
		return false, fmt.Errorf("%q: want true or false", text)
	}
	return text == "true", nil
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
