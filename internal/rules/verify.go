// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/release"
)

// Verify checks what no single row shows: that the tables reach the same minor
// and fit together. Origins, citations, order and overlaps are checked when rows
// are read. It returns what is wrong, sorted.
func (s *Set) Verify() []error {
	var problems []string
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	reached := map[string]release.Minor{
		"apis": s.newestAPI(), "gates": s.newestGate(), "admission": s.newestPlugin(), "flags": s.newestFlag(),
		"configkinds": s.newestConfigKind(), "defaults": s.newestDefault(),
	}
	furthest := slices.Max(slices.Collect(maps.Values(reached)))
	for name, newest := range reached {
		if newest != furthest {
			wrong("table %s reaches %s, and another one %s", name, newest, furthest)
		}
	}
	for m := Oldest; m <= s.Newest(); m++ {
		if _, ok := s.EtcdShipped(m); !ok {
			wrong("table etcd: no row for %s", m)
		}
	}
	s.verifyAPIs(wrong)
	s.verifyGates(wrong)
	s.verifyVolumes(wrong)
	s.verifyFieldChanges(wrong)
	slices.Sort(problems)
	var errs []error
	for _, problem := range problems {
		errs = append(errs, fmt.Errorf("%s", problem))
	}
	return errs
}

// verifyAPIs: what a replacement names was there in some minor. That it is served
// where the old version goes is not asked: upstream names the newest one.
func (s *Set) verifyAPIs(wrong func(string, ...any)) {
	for _, api := range s.apis {
		if api.Replacement == (GroupVersionKind{}) {
			continue
		}
		if !slices.ContainsFunc(s.apis, func(other API) bool {
			return other.Group == api.Replacement.Group && other.Version == api.Replacement.Version
		}) {
			wrong("table apis: %s is replaced by %s, which no minor has", api.GroupVersionKind, api.Replacement)
		}
	}
}

// verifyGates: what a gate requires is known to the same components.
func (s *Set) verifyGates(wrong func(string, ...any)) {
	for name, stretches := range s.gates {
		for _, gate := range stretches {
			for _, required := range gate.Requires {
				for _, component := range gate.Components {
					if _, ok := s.Gate(component, required, gate.Last); !ok {
						wrong("table gates: %s requires %s, which %s %s does not know", name, required, component, gate.Last)
					}
				}
			}
		}
	}
}

// verifyVolumes: each has another field of the volume source.
func (s *Set) verifyVolumes(wrong func(string, ...any)) {
	seen := map[string]string{}
	for _, volume := range s.volumes {
		if other := seen[volume.Field]; other != "" || strings.Contains(volume.Field, " ") {
			wrong("table volumes: %s has the field %s of %s", volume.Plugin, volume.Field, other)
		}
		seen[volume.Field] = volume.Plugin
	}
}
