// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"slices"

	"perennial.dev/perennial/internal/release"
)

// Flag is a command line flag of a component, by minor.
type Flag struct {
	Component string // kube-apiserver, kube-controller-manager, kube-proxy, kube-scheduler, kubelet
	Name      string // without dashes
	// Known: the component takes it; where it does not, it ends the start.
	Known Spans
	// Hidden: it is taken, but no help shows it.
	Hidden Spans
	// From Deprecated on its use is warned of. Removed: the first minor
	// that does not take it, or what the warning announces as that.
	Deprecated, Removed Change
	// Notice is what upstream says of the deprecation, in its words.
	Notice   string
	Defaults []FlagDefault // by minor; none where the default is computed
	Source
}

// FlagDefault is what a flag, or a field of a configuration file, is set to
// where nobody sets it, over minors in which that is the same.
type FlagDefault struct {
	Span
	Value string // as in Go source, without quotes: true, 10s, 0.0.0.0
	Source
}

type flagName struct{ component, name string }

var flagDefinition = definition{
	name:     "flags",
	columns:  []string{"component", "flag", "known", "hidden", "deprecated", "removed", "notice", "origin", "citation"},
	keys:     2,
	embedded: &flagsTable,
	clear:    func(s *Set) { s.flags = map[flagName]*Flag{} },
	put:      putFlag,
}

func putFlag(s *Set, r *record) error {
	flag := Flag{
		Component: r.name("component"), Name: r.name("flag"), Known: r.spans("known"), Hidden: r.spans("hidden"),
		Deprecated: r.change("deprecated"), Removed: r.change("removed"), Notice: r.text("notice"), Source: r.source(),
	}
	r.must(len(flag.Known) > 0, "known in no minor")
	r.must(flag.Known.cover(flag.Hidden), "hidden where it is not known")
	r.must(flag.Removed.IsZero() || !flag.Known.Has(flag.Removed.Minor), "removed in a minor that knows it")
	s.flags[flagName{flag.Component, flag.Name}] = &flag
	return r.err()
}

var defaultDefinition = definition{
	name:      "defaults",
	columns:   []string{"setting", "component", "first", "last", "value", "origin", "citation"},
	keys:      3,
	stretches: true,
	embedded:  &defaultsTable,
	clear:     func(s *Set) { s.defaults = map[flagName][]FlagDefault{} },
	put:       putDefault,
}

func putDefault(s *Set, r *record) error {
	key := flagName{r.name("component"), r.name("setting")}
	is := FlagDefault{Span: r.span("first", "last"), Value: r.text("value"), Source: r.source()}
	for _, other := range s.defaults[key] {
		r.must(is.First > other.Last || other.First > is.Last, "two rows for the same minor")
	}
	s.defaults[key] = append(s.defaults[key], is)
	return r.err()
}

func (s *Set) newestFlag() release.Minor {
	var newest release.Minor
	for _, flag := range s.flags {
		newest = max(newest, flag.Known.Last())
	}
	return newest
}

func (s *Set) newestDefault() release.Minor {
	var newest release.Minor
	for _, stretches := range s.defaults {
		for _, is := range stretches {
			newest = max(newest, is.Last)
		}
	}
	return newest
}

// Flag finds a flag of a component by its name without dashes. Not ok: no
// measured minor knows it.
func (s *Set) Flag(component, name string) (Flag, bool) {
	flag, ok := s.flags[flagName{component, name}]
	if !ok {
		return Flag{}, false
	}
	found := *flag
	found.Defaults = s.Defaults(component, "--"+name)
	return found, true
}

// Defaults are those of a setting of a component, by minor: a flag as
// "--max-pods", or a field of its configuration file as "failCgroupV1". A minor
// that none of them has is one in which the setting is not there, or its
// default is computed.
func (s *Set) Defaults(component, setting string) []FlagDefault {
	return slices.Clone(s.defaults[flagName{component, setting}])
}

// Default is that of one minor.
func (s *Set) Default(component, setting string, m release.Minor) (FlagDefault, bool) {
	for _, is := range s.defaults[flagName{component, setting}] {
		if is.Has(m) {
			return is, true
		}
	}
	return FlagDefault{}, false
}
