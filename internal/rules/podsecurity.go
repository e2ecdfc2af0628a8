// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"slices"

	"perennial.dev/perennial/internal/release"
)

// PodSecurityVersion is where a Pod Security check begins or changes.
type PodSecurityVersion struct {
	Check string // its id in k8s.io/pod-security-admission: capabilities_restricted
	Level string // baseline or restricted
	// Since is the policy version from which on it checks as it does until the
	// next row of the same check. A namespace that enforces latest gets it with
	// the API server of that minor.
	Since release.Minor
	Source
}

var podSecurityDefinition = definition{
	name:     "podsecurity",
	columns:  []string{"check", "level", "since", "origin", "citation"},
	keys:     3,
	embedded: &podSecurityTable,
	clear:    func(s *Set) { s.checks = nil },
	put:      putCheck,
}

func putCheck(s *Set, r *record) error {
	s.checks = append(s.checks, PodSecurityVersion{
		Check: r.name("check"), Level: r.oneOf("level", "baseline", "restricted"), Since: r.podSecurityMinor(), Source: r.source(),
	})
	return r.err()
}

// podSecurityMinor is a minor, or 1.0 for what was always so.
func (r *record) podSecurityMinor() release.Minor {
	if r.text("since") == "1.0" {
		return 0
	}
	return r.minor("since")
}

// PodSecurityChanges lists the checks that begin or change after one minor and
// up to another.
func (s *Set) PodSecurityChanges(from, to release.Minor) []PodSecurityVersion {
	return slices.DeleteFunc(slices.Clone(s.checks), func(v PodSecurityVersion) bool { return v.Since <= from || v.Since > to })
}
