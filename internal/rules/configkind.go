// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"slices"

	"perennial.dev/perennial/internal/release"
)

// ConfigKind is a kind of configuration file that a component reads, in one
// version.
type ConfigKind struct {
	Component string // as of Flag, or kubeadm
	GroupVersionKind
	// Known: the component reads it; where it does not, the file ends its start.
	Known Spans
	// From Deprecated on reading it is warned of. Removed: the first minor
	// that does not read it.
	Deprecated, Removed Change
	Source
}

var configKindDefinition = definition{
	name:     "configkinds",
	columns:  []string{"component", "group", "version", "kind", "known", "deprecated", "removed", "origin", "citation"},
	keys:     4,
	embedded: &configKindsTable,
	clear:    func(s *Set) { s.configKinds = nil },
	put:      putConfigKind,
}

func putConfigKind(s *Set, r *record) error {
	kind := ConfigKind{
		Component: r.name("component"), GroupVersionKind: GroupVersionKind{r.text("group"), r.name("version"), r.name("kind")},
		Known: r.spans("known"), Deprecated: r.change("deprecated"), Removed: r.change("removed"), Source: r.source(),
	}
	r.must(len(kind.Known) > 0, "known in no minor")
	r.must(kind.Removed.IsZero() || !kind.Known.Has(kind.Removed.Minor), "removed in a minor that knows it")
	s.configKinds = append(s.configKinds, kind)
	return r.err()
}

func (s *Set) newestConfigKind() release.Minor {
	var newest release.Minor
	for _, kind := range s.configKinds {
		newest = max(newest, kind.Known.Last())
	}
	return newest
}

// ConfigKind finds a kind of configuration file of a component. Not ok: no
// measured minor reads it.
func (s *Set) ConfigKind(component string, k GroupVersionKind) (ConfigKind, bool) {
	for _, kind := range s.configKinds {
		if kind.Component == component && kind.GroupVersionKind == k {
			return kind, true
		}
	}
	return ConfigKind{}, false
}

// AllConfigKinds lists all kinds of all components, by component, group, version
// and kind.
func (s *Set) AllConfigKinds() []ConfigKind { return slices.Clone(s.configKinds) }

// ConfigKinds lists the kinds that a component of a minor reads, by group,
// version and kind.
func (s *Set) ConfigKinds(component string, m release.Minor) []ConfigKind {
	return slices.DeleteFunc(slices.Clone(s.configKinds), func(kind ConfigKind) bool {
		return kind.Component != component || !kind.Known.Has(m)
	})
}
