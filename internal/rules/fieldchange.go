// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"slices"
	"strings"
)

// FieldChange is what an object of a kind has to say otherwise in a later version
// than in this one, beside its apiVersion.
type FieldChange struct {
	GroupVersionKind
	To     []string // apiVersions
	Change string   // a clause: spec.group is spec.groups
	Source
}

var fieldChangeDefinition = definition{
	name:     "fieldchanges",
	columns:  []string{"group", "version", "kind", "to", "change", "origin", "citation"},
	keys:     4,
	embedded: &fieldChangesTable,
	clear:    func(s *Set) { s.fieldChanges = nil },
	put: func(s *Set, r *record) error {
		s.fieldChanges = append(s.fieldChanges, FieldChange{
			GroupVersionKind{r.text("group"), r.name("version"), r.name("kind")}, strings.Fields(r.name("to")), r.name("change"), r.source(),
		})
		return r.err()
	},
}

// FieldChange finds what changes for a kind between a version and another
// apiVersion. Not ok: it takes the same fields.
func (s *Set) FieldChange(from GroupVersionKind, to string) (FieldChange, bool) {
	for _, c := range s.fieldChanges {
		if c.GroupVersionKind == from && slices.Contains(c.To, to) {
			return c, true
		}
	}
	return FieldChange{}, false
}

// verifyFieldChanges: both ends were there in some minor.
func (s *Set) verifyFieldChanges(wrong func(string, ...any)) {
	for _, c := range s.fieldChanges {
		for _, apiVersion := range append([]string{c.APIVersion()}, c.To...) {
			if _, ok := s.API(ParseAPIVersion(apiVersion, c.Kind)); !ok {
				wrong("table fieldchanges: %s: no minor has %s", c.GroupVersionKind, ParseAPIVersion(apiVersion, c.Kind))
			}
		}
	}
}
