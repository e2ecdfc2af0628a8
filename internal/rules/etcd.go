// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"perennial.dev/perennial/internal/release"
)

// EtcdVersion is a version of etcd. The zero EtcdVersion is none.
type EtcdVersion struct{ Major, Minor, Patch int }

// ParseEtcdVersion reads "3.5.24", "v3.5.24" and, as image tags have it,
// "3.5.24-0".
func ParseEtcdVersion(text string) (EtcdVersion, error) {
	bare, _, _ := strings.Cut(strings.TrimPrefix(text, "v"), "-")
	parts := strings.Split(bare, ".")
	var numbers [3]int
	for i := range numbers {
		var err error
		if len(parts) != 3 {
			err = strconv.ErrSyntax
		} else if numbers[i], err = strconv.Atoi(parts[i]); numbers[i] < 0 {
			err = strconv.ErrSyntax
		}
		if err != nil {
			return EtcdVersion{}, fmt.Errorf("parsing etcd version %.40q: want a form like 3.5.24", text)
		}
	}
	return EtcdVersion{numbers[0], numbers[1], numbers[2]}, nil
}

// Compare orders versions.
func (v EtcdVersion) Compare(other EtcdVersion) int {
	return cmp.Or(cmp.Compare(v.Major, other.Major), cmp.Compare(v.Minor, other.Minor), cmp.Compare(v.Patch, other.Patch))
}

// String prints "3.5.24".
func (v EtcdVersion) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Series is "3.5".
func (v EtcdVersion) Series() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

func (r *record) etcdVersion(column string) EtcdVersion {
	version, err := ParseEtcdVersion(r.text(column))
	r.failed(column, err)
	return version
}

// EtcdShipped is the etcd that kubeadm of a minor puts on control planes.
type EtcdShipped struct {
	Minor   release.Minor
	Version EtcdVersion // in the patch release that was measured, which the citation names
	Source
}

var etcdDefinition = definition{
	name:     "etcd",
	columns:  []string{"minor", "version", "origin", "citation"},
	keys:     1,
	embedded: &etcdTable,
	clear:    func(s *Set) { s.etcdOf = map[release.Minor]EtcdShipped{} },
	put: func(s *Set, r *record) error {
		shipped := EtcdShipped{r.minor("minor"), r.etcdVersion("version"), r.source()}
		s.etcdOf[shipped.Minor] = shipped
		return r.err()
	},
}

// EtcdShipped is the etcd that kubeadm of a minor ships. Not ok: that is not
// known.
func (s *Set) EtcdShipped(m release.Minor) (EtcdShipped, bool) {
	shipped, ok := s.etcdOf[m]
	return shipped, ok
}

// EtcdFault is a known fault of a range of versions that loses or spoils data,
// or ends a start.
type EtcdFault struct {
	Name        string      // CamelCase, stable
	From, Until EtcdVersion // Until is the first version without it
	Effect, Fix string      // sentences for a person
	Source
}

var etcdFaultDefinition = definition{
	name:     "etcdfaults",
	columns:  []string{"name", "from", "until", "effect", "fix", "origin", "citation"},
	keys:     2,
	embedded: &etcdFaultsTable,
	clear:    func(s *Set) { s.etcdFaults = nil },
	put: func(s *Set, r *record) error {
		fault := EtcdFault{
			r.name("name"), r.etcdVersion("from"), r.etcdVersion("until"), r.name("effect"), r.name("fix"), r.source(),
		}
		r.must(fault.From.Compare(fault.Until) < 0, "ends before it begins")
		s.etcdFaults = append(s.etcdFaults, fault)
		return r.err()
	},
}

// EtcdFaults lists the known faults of a version, by name.
func (s *Set) EtcdFaults(v EtcdVersion) []EtcdFault {
	return slices.DeleteFunc(slices.Clone(s.etcdFaults), func(f EtcdFault) bool {
		return v.Compare(f.From) < 0 || v.Compare(f.Until) >= 0
	})
}

// EtcdStep is what a step from one series of etcd to the next needs.
type EtcdStep struct {
	From, To    string      // series: 3.5, 3.6
	Least       EtcdVersion // every member must have this at least, before the step
	Effect, Fix string
	Source
}

var etcdStepDefinition = definition{
	name:     "etcdsteps",
	columns:  []string{"from", "to", "least", "effect", "fix", "origin", "citation"},
	keys:     2,
	embedded: &etcdStepsTable,
	clear:    func(s *Set) { s.etcdSteps = nil },
	put: func(s *Set, r *record) error {
		s.etcdSteps = append(s.etcdSteps, EtcdStep{
			r.name("from"), r.name("to"), r.etcdVersion("least"), r.name("effect"), r.name("fix"), r.source(),
		})
		return r.err()
	},
}

// EtcdStep finds what an update from one version to another has to pass; not ok
// where no step in between asks for more than the version is.
func (s *Set) EtcdStep(from, to EtcdVersion) (EtcdStep, bool) {
	for _, step := range s.etcdSteps {
		if from.Series() == step.From && to.Series() != step.From && from.Compare(to) < 0 && from.Compare(step.Least) < 0 {
			return step, true
		}
	}
	return EtcdStep{}, false
}

// EtcdFlag is a command line flag of etcd, by series.
type EtcdFlag struct {
	Name   string
	Series []string // those that take it: 3.4 3.5 3.6
	// Deprecated are the series that warn of it.
	Deprecated []string
	// Replacement is what etcd names in its place; empty for nothing.
	Replacement string
	Source
}

var etcdFlagDefinition = definition{
	name:     "etcdflags",
	columns:  []string{"flag", "series", "deprecated", "replacement", "origin", "citation"},
	keys:     1,
	embedded: &etcdFlagsTable,
	clear:    func(s *Set) { s.etcdFlags = nil },
	put: func(s *Set, r *record) error {
		s.etcdFlags = append(s.etcdFlags, EtcdFlag{
			r.name("flag"), strings.Fields(r.name("series")), strings.Fields(r.text("deprecated")), r.text("replacement"), r.source(),
		})
		return r.err()
	},
}

// EtcdFlag finds a flag of etcd by its name without dashes. Not ok: no measured
// series knows it.
func (s *Set) EtcdFlag(name string) (EtcdFlag, bool) {
	for _, flag := range s.etcdFlags {
		if flag.Name == name {
			return flag, true
		}
	}
	return EtcdFlag{}, false
}

// Has reports that a series takes the flag. What a series that was not measured
// does is not known: see EtcdSeries.
func (f EtcdFlag) Has(series string) bool { return slices.Contains(f.Series, series) }

// EtcdSeries lists the measured series, oldest first.
func (s *Set) EtcdSeries() []string {
	var all []string
	for _, flag := range s.etcdFlags {
		all = append(all, flag.Series...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
