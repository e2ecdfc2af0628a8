// SPDX-License-Identifier: Apache-2.0

package rules

import (
	_ "embed"
	"fmt"
	"strings"
	"time"

	"perennial.dev/perennial/internal/release"
)

// Oldest and what comes after it is in the tables; what holds in Oldest may
// have begun before.
const Oldest release.Minor = 19

// Source says where a row comes from.
type Source struct {
	Origin release.Origin // release.Measured or release.Planned
	// Citation is module@version:path or repository@commit:path.
	Citation string
}

// Change is something that happened or is to happen with a minor. The zero
// Change means that neither is known.
type Change struct {
	Minor release.Minor
	Source
}

// IsZero reports that there is no change.
func (c Change) IsZero() bool { return c.Minor == 0 }

// In reports that the change has happened in a minor.
func (c Change) In(m release.Minor) bool { return !c.IsZero() && c.Minor <= m }

// Span is a stretch of minors, both ends included.
type Span struct{ First, Last release.Minor }

// Spans are ascending and do not touch.
type Spans []Span

// Has reports that a minor is in one of the spans.
func (s Spans) Has(m release.Minor) bool {
	for _, span := range s {
		if span.First <= m && m <= span.Last {
			return true
		}
	}
	return false
}

// String prints the spans as "1.19-1.24 1.26-1.37".
func (s Spans) String() string {
	var parts []string
	for _, span := range s {
		parts = append(parts, span.First.String()+"-"+span.Last.String())
	}
	return strings.Join(parts, " ")
}

// Set holds the tables.
type Set struct {
	asOf      time.Time
	newest    release.Minor
	apis      []API // by group, version and kind
	byKind    map[GroupVersionKind]int
	gates     map[string][]Gate // by name
	admission map[string]AdmissionPlugin
}

//go:embed data/apis.csv
var apisTable []byte

//go:embed data/gates.csv
var gatesTable []byte

//go:embed data/admission.csv
var admissionTable []byte

// Load reads the embedded tables.
func Load() (*Set, error) {
	s := &Set{}
	if err := s.readAPIs(apisTable); err != nil {
		return nil, fmt.Errorf("reading the embedded table of API kinds: %w", err)
	}
	if err := s.readGates(gatesTable); err != nil {
		return nil, fmt.Errorf("reading the embedded table of feature gates: %w", err)
	}
	if err := s.readAdmission(admissionTable); err != nil {
		return nil, fmt.Errorf("reading the embedded table of admission plugins: %w", err)
	}
	return s, nil
}

// AsOf is the day on which the oldest table was written, at midnight UTC.
func (s *Set) AsOf() time.Time { return s.asOf }

// Newest is the newest minor that was measured. What a later one does is not
// known but for what is planned.
func (s *Set) Newest() release.Minor { return s.newest }

// Known reports that a minor was measured.
func (s *Set) Known(m release.Minor) bool { return Oldest <= m && m <= s.newest }

func (s *Set) note(asOf time.Time) {
	if s.asOf.IsZero() || asOf.Before(s.asOf) {
		s.asOf = asOf
	}
}
