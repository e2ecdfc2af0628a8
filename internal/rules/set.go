// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/release"
)

// Oldest and what comes after it is in the tables; what holds in Oldest may
// have begun before.
const Oldest release.Minor = 19

// Source says where a row comes from.
type Source struct {
	Origin release.Origin // release.Measured or release.Planned; Official for what upstream only states
	// Citation is module@version:path or repository@commit:path; of a row that
	// a user added it may be an address.
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

// Has reports that a minor is in the span.
func (s Span) Has(m release.Minor) bool { return s.First <= m && m <= s.Last }

// Spans are ascending and do not touch.
type Spans []Span

// Has reports that a minor is in one of the spans.
func (s Spans) Has(m release.Minor) bool {
	return slices.ContainsFunc(s, func(span Span) bool { return span.Has(m) })
}

// Last is the last minor of the last span, 0 for none.
func (s Spans) Last() release.Minor {
	if len(s) == 0 {
		return 0
	}
	return s[len(s)-1].Last
}

// String prints the spans as "1.19-1.24 1.26-1.37".
func (s Spans) String() string {
	var parts []string
	for _, span := range s {
		parts = append(parts, span.First.String()+"-"+span.Last.String())
	}
	return strings.Join(parts, " ")
}

// cover reports that every minor of the other spans is in these.
func (s Spans) cover(others Spans) bool {
	for _, span := range others {
		for m := span.First; m <= span.Last; m++ {
			if !s.Has(m) {
				return false
			}
		}
	}
	return true
}

// Set holds the tables.
type Set struct {
	raw          map[string]*rawTable // by name
	apis         []API                // by group, version and kind
	byKind       map[GroupVersionKind]int
	gates        map[string][]Gate // by name
	admission    map[string]AdmissionPlugin
	flags        map[flagName]*Flag
	defaults     map[flagName][]FlagDefault
	configKinds  []ConfigKind
	volumes      []Volume
	checks       []PodSecurityVersion
	etcdOf       map[release.Minor]EtcdShipped
	etcdFaults   []EtcdFault
	etcdSteps    []EtcdStep
	etcdFlags    []EtcdFlag
	fieldChanges []FieldChange
}

// Load reads the embedded tables.
func Load() (*Set, error) {
	s := &Set{raw: map[string]*rawTable{}}
	for _, d := range definitions {
		if err := s.read(d, *d.embedded); err != nil {
			return nil, fmt.Errorf("reading the embedded table %s: %w", d.name, err)
		}
	}
	return s, nil
}

// read takes a whole table.
func (s *Set) read(d definition, text []byte) error {
	if err := d.checkHeader(text); err != nil {
		return err
	}
	table, err := d.parse(text, "")
	if err != nil {
		return err
	}
	if table.asOf.IsZero() {
		return fmt.Errorf("no line %q with the day of the data", asOfMark+" YYYY-MM-DD")
	}
	if err := d.sorted(table.rows); err != nil {
		return err
	}
	return s.take(d, table)
}

func (d definition) checkHeader(text []byte) error {
	fields, err := header(text)
	if err != nil {
		return err
	}
	if !slices.Equal(fields, d.columns) {
		return fmt.Errorf("header %q: want %s", strings.Join(fields, ","), strings.Join(d.columns, ","))
	}
	return nil
}

// sorted checks that each row is there once and in its place, so that a change
// of the data reads as what has changed.
func (d definition) sorted(rows []*record) error {
	for i := 1; i < len(rows); i++ {
		if slices.Compare(rows[i-1].fields[:d.keys], rows[i].fields[:d.keys]) >= 0 {
			return rows[i].at(errors.New("does not sort after the row before"))
		}
	}
	return nil
}

// take replaces a table and what is made of it.
func (s *Set) take(d definition, table *rawTable) error {
	d.clear(s)
	for _, row := range table.rows {
		row.problems = nil
		if err := d.put(s, row); err != nil {
			return err
		}
	}
	if s.raw == nil {
		s.raw = map[string]*rawTable{}
	}
	s.raw[d.name] = table
	return nil
}

// Merge adds what a user knows, from CSV with the header of one of the tables.
// With an as-of line it is a whole table, as hack/knowledge writes it, and
// replaces the one there is: so newer data needs no newer program. Without,
// its rows are added, and replace those with the same key; in the tables of
// gates and defaults, whose rows are stretches of minors, they replace those of
// the same name and component that they overlap. The name is for errors, which
// have the form NAME:LINE: ROW: column COLUMN: CAUSE. After an error the set is as
// it was.
func (s *Set) Merge(name string, r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, maxMerged+1))
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	if len(text) > maxMerged {
		return fmt.Errorf("reading %s: it is larger than %d MiB", name, maxMerged>>20)
	}
	fields, err := header(text)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	i := slices.IndexFunc(definitions, func(d definition) bool { return slices.Equal(d.columns, fields) })
	if i < 0 {
		return fmt.Errorf("reading %s: its header %q is that of no table: perennial rules list shows them", name, strings.Join(fields, ","))
	}
	d := definitions[i]
	added, err := d.parse(text, name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	was := s.raw[d.name]
	is := added
	if added.asOf.IsZero() {
		is = d.join(was, added)
	}
	slices.SortStableFunc(is.rows, func(a, b *record) int { return slices.Compare(a.fields[:d.keys], b.fields[:d.keys]) })
	err = d.sorted(is.rows)
	if err == nil {
		err = s.take(d, is)
	}
	if err != nil {
		// What was there could be read once and can be again.
		_ = s.take(d, was)
		return fmt.Errorf("reading %s: %w", name, err)
	}
	return nil
}

// maxMerged bounds a user's file. The largest table is a quarter of a MiB.
const maxMerged = 16 << 20

// join puts rows over a table.
func (d definition) join(was, added *rawTable) *rawTable {
	is := &rawTable{asOf: was.asOf, about: was.about, rows: slices.Clone(added.rows)}
	for _, row := range was.rows {
		if !slices.ContainsFunc(added.rows, func(other *record) bool { return d.replaces(other, row) }) {
			is.rows = append(is.rows, row)
		}
	}
	return is
}

func (d definition) replaces(row, other *record) bool {
	if !d.stretches {
		return d.key(row) == d.key(other)
	}
	a, b := row.span("first", "last"), other.span("first", "last")
	if row.fields[0] != other.fields[0] || a.First > b.Last || b.First > a.Last {
		return false
	}
	if slices.Contains(d.columns, "components") {
		ours, theirs := strings.Fields(row.text("components")), strings.Fields(other.text("components"))
		return slices.ContainsFunc(ours, func(c string) bool { return slices.Contains(theirs, c) })
	}
	return row.fields[1] == other.fields[1]
}

// AsOf is the day on which the oldest table was written, at midnight UTC.
func (s *Set) AsOf() time.Time {
	var oldest time.Time
	for _, table := range s.raw {
		if oldest.IsZero() || table.asOf.Before(oldest) {
			oldest = table.asOf
		}
	}
	return oldest
}

// staleAfter is one release cycle of 15 weeks, and a little: after that a minor
// is surely missing.
const staleAfter = 120 * 24 * time.Hour

// Stale reports that the tables are older than 120 days, with a sentence for
// the user; the sentence is empty while they are fresh.
func (s *Set) Stale(now time.Time) (bool, string) {
	age := now.Sub(s.AsOf())
	if age <= staleAfter {
		return false, ""
	}
	return true, fmt.Sprintf("the rules are %d days old (as of %s): what newer releases remove is missing from them",
		int(age.Hours()/24), s.AsOf().Format(time.DateOnly))
}

// Newest is the newest minor that was measured in all tables. What a later one
// does is not known but for what is planned.
func (s *Set) Newest() release.Minor {
	return min(s.newestAPI(), s.newestGate(), s.newestPlugin(), s.newestFlag(), s.newestConfigKind())
}

// Known reports that a minor was measured.
func (s *Set) Known(m release.Minor) bool { return Oldest <= m && m <= s.Newest() }

// Table is a table as it is written.
type Table struct {
	Name, About string
	AsOf        time.Time
	Columns     []string
	Keys        int        // how many columns at the start tell a row from all others
	Rows        [][]string // sorted
}

// Tables lists all tables with what was merged into them. The caller may keep
// the slices.
func (s *Set) Tables() []Table {
	var tables []Table
	for _, d := range definitions {
		raw := s.raw[d.name]
		table := Table{Name: d.name, About: raw.about, AsOf: raw.asOf, Columns: slices.Clone(d.columns), Keys: d.keys}
		for _, row := range raw.rows {
			table.Rows = append(table.Rows, slices.Clone(row.fields))
		}
		tables = append(tables, table)
	}
	return tables
}
