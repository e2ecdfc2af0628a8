// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"perennial.dev/perennial/internal/release"
)

const asOfMark = "# as-of:"

// definition is a table: its form, and how its rows become part of a Set.
type definition struct {
	name    string
	columns []string
	// keys is how many columns at the start tell a row from all others.
	keys int
	// stretches: rows of the same first column may be there once per stretch of
	// minors, so that a row of a user stands for all that it overlaps.
	stretches bool
	embedded  *[]byte
	// clear forgets what the rows before have put, put adds a row.
	clear func(*Set)
	put   func(*Set, *record) error
}

// rawTable is a table as it is written.
type rawTable struct {
	asOf  time.Time
	about string
	rows  []*record // sorted by their fields
}

// record is a row of a table. Its methods read a column each and collect what
// is wrong with it.
type record struct {
	columns, fields []string
	file            string // empty for what is embedded
	line            int
	problems        []error
}

func (r *record) failed(column string, err error) {
	if err != nil {
		r.problems = append(r.problems, fmt.Errorf("column %s: %w", column, err))
	}
}

func (r *record) text(column string) string {
	return r.fields[slices.Index(r.columns, column)]
}

// name is a text that must not be empty.
func (r *record) name(column string) string {
	text := r.text(column)
	if text == "" {
		r.failed(column, errors.New("is empty"))
	}
	return text
}

func (r *record) oneOf(column string, allowed ...string) string {
	text := r.text(column)
	if !slices.Contains(allowed, text) {
		r.failed(column, fmt.Errorf("%q: want one of %s", text, strings.Join(allowed, ", ")))
	}
	return text
}

func (r *record) bool(column string) bool {
	return r.oneOf(column, "true", "false") == "true"
}

func (r *record) minor(column string) release.Minor {
	minor, err := release.ParseMinor(r.text(column))
	r.failed(column, err)
	return minor
}

// maybeMinor is a minor, or 0 where the column is empty.
func (r *record) maybeMinor(column string) release.Minor {
	if r.text(column) == "" {
		return 0
	}
	return r.minor(column)
}

// span reads two columns.
func (r *record) span(first, last string) Span {
	span := Span{r.minor(first), r.minor(last)}
	if span.Last < span.First {
		r.failed(last, fmt.Errorf("%s is before %s", span.Last, span.First))
	}
	return span
}

func (r *record) spans(column string) Spans {
	spans, err := parseSpans(r.text(column))
	r.failed(column, err)
	return spans
}

func (r *record) change(column string) Change {
	change, err := parseChange(r.text(column))
	r.failed(column, err)
	return change
}

func (r *record) source() Source {
	s := Source{release.Origin(r.text("origin")), r.text("citation")}
	switch s.Origin {
	case release.Measured, release.Planned, release.Official:
	default:
		r.failed("origin", fmt.Errorf("%q: want measured, planned or official", s.Origin))
	}
	// What a user adds may be known from an address only.
	if !citationForm().MatchString(s.Citation) && (r.file == "" || !strings.HasPrefix(s.Citation, "https://")) {
		r.failed("citation", fmt.Errorf("%q: want module@version:path or repository@commit:path", s.Citation))
	}
	return s
}

// must notes what is wrong with the row as a whole.
func (r *record) must(holds bool, otherwise string) {
	if !holds {
		r.problems = append(r.problems, errors.New(otherwise))
	}
}

// err is everything that is wrong with the row, with its place.
func (r *record) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	err := errors.Join(r.problems...)
	if len(r.problems) > 1 {
		texts := make([]string, len(r.problems))
		for i, problem := range r.problems {
			texts[i] = problem.Error()
		}
		err = errors.New(strings.Join(texts, "; "))
	}
	return r.at(err)
}

func (r *record) at(err error) error {
	name := strings.Join(r.fields[:min(len(r.fields), 2)], " ")
	if r.file == "" {
		return fmt.Errorf("line %d: %s: %w", r.line, name, err)
	}
	return fmt.Errorf("%s:%d: %s: %w", r.file, r.line, name, err)
}

func (d definition) key(r *record) string { return strings.Join(r.fields[:d.keys], "\x00") }

// parse reads CSV with a header. The as-of day is zero where the text has none.
// file is for errors, empty for what is embedded.
func (d definition) parse(text []byte, file string) (*rawTable, error) {
	t := &rawTable{}
	var err error
	if t.about, t.asOf, err = readHead(text); err != nil {
		return nil, err
	}
	reader := csv.NewReader(bytes.NewReader(text))
	reader.Comment = '#'
	if _, err := reader.Read(); err != nil { // the header is known
		return nil, fmt.Errorf("reading the header: %w", err)
	}
	for {
		fields, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := reader.FieldPos(0)
		t.rows = append(t.rows, &record{columns: d.columns, fields: fields, file: file, line: line})
	}
}

// readHead reads the comments above the header: what the table is about, and
// its as-of day.
func readHead(text []byte) (about string, asOf time.Time, err error) {
	var lines []string
	for line := range strings.Lines(string(text)) {
		comment, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		if value, ok := strings.CutPrefix(line, asOfMark); ok {
			if asOf, err = time.Parse(time.DateOnly, strings.TrimSpace(value)); err != nil {
				return "", time.Time{}, fmt.Errorf("reading the day of the data: %w", err)
			}
			continue
		}
		if !strings.Contains(comment, "SPDX-License-Identifier") {
			lines = append(lines, strings.TrimSpace(comment))
		}
	}
	return strings.Join(lines, " "), asOf, nil
}

// header is the first line that is no comment, as fields.
func header(text []byte) ([]string, error) {
	reader := csv.NewReader(bytes.NewReader(text))
	reader.Comment = '#'
	fields, err := reader.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the header: %w", err)
	}
	return fields, nil
}

// citationForm is module@version:path or repository@commit:path.
var citationForm = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9.-]+(/[A-Za-z0-9._-]+)+@(v[0-9]+\.[0-9]+\.[0-9]+|[0-9a-f]{7,40}):[A-Za-z0-9._/-]+$`)
})

func parseSource(origin, citation string) (Source, error) {
	s := Source{release.Origin(origin), citation}
	if s.Origin != release.Measured && s.Origin != release.Planned {
		return Source{}, fmt.Errorf("origin %q: want measured or planned", origin)
	}
	if !citationForm().MatchString(citation) {
		return Source{}, fmt.Errorf("citation %q: want module@version:path or repository@commit:path", citation)
	}
	return s, nil
}

// parseChange reads "1.37 measured CITATION", or nothing.
func parseChange(text string) (Change, error) {
	if text == "" {
		return Change{}, nil
	}
	parts := strings.Split(text, " ")
	if len(parts) != 3 {
		return Change{}, fmt.Errorf("change %q: want a minor, an origin and a citation", text)
	}
	minor, err := release.ParseMinor(parts[0])
	if err != nil {
		return Change{}, err
	}
	source, err := parseSource(parts[1], parts[2])
	return Change{minor, source}, err
}

// parseSpans reads "1.19-1.24 1.26-1.37", or nothing.
func parseSpans(text string) (Spans, error) {
	var spans Spans
	for part := range strings.FieldsSeq(text) {
		first, last, _ := strings.Cut(part, "-")
		span := Span{}
		var err1, err2 error
		span.First, err1 = release.ParseMinor(first)
		span.Last, err2 = release.ParseMinor(last)
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("span %q: %w", part, err)
		}
		if span.Last < span.First || len(spans) > 0 && span.First <= spans[len(spans)-1].Last+1 {
			return nil, fmt.Errorf("span %q: not ascending", part)
		}
		spans = append(spans, span)
	}
	return spans, nil
}
