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
	"time"

	"perennial.dev/perennial/internal/release"
)

const asOfMark = "# as-of:"

// readTable reads CSV with a fixed header and an as-of comment and hands each
// row on. An error names the line.
func readTable(text []byte, columns []string, row func(fields []string) error) (asOf time.Time, err error) {
	if asOf, err = findAsOf(text); err != nil {
		return time.Time{}, err
	}
	table := csv.NewReader(bytes.NewReader(text))
	table.Comment = '#'
	header, err := table.Read()
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the header: %w", err)
	}
	if !slices.Equal(header, columns) {
		return time.Time{}, fmt.Errorf("header %q: want %s", strings.Join(header, ","), strings.Join(columns, ","))
	}
	for {
		fields, err := table.Read()
		if errors.Is(err, io.EOF) {
			return asOf, nil
		}
		if err != nil {
			return time.Time{}, err
		}
		line, _ := table.FieldPos(0)
		if err := row(fields); err != nil {
			return time.Time{}, fmt.Errorf("line %d: %w", line, err)
		}
	}
}

func findAsOf(text []byte) (time.Time, error) {
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, asOfMark); ok {
			return time.Parse(time.DateOnly, strings.TrimSpace(value))
		}
	}
	return time.Time{}, fmt.Errorf("no line %q with the day of the data", asOfMark+" YYYY-MM-DD")
}

// citationForm is module@version:path or repository@commit:path.
var citationForm = regexp.MustCompile(`^[a-z0-9.-]+(/[A-Za-z0-9._-]+)+@(v[0-9]+\.[0-9]+\.[0-9]+|[0-9a-f]{7,40}):[A-Za-z0-9._/-]+$`)

func parseSource(origin, citation string) (Source, error) {
	s := Source{release.Origin(origin), citation}
	if s.Origin != release.Measured && s.Origin != release.Planned {
		return Source{}, fmt.Errorf("origin %q: want measured or planned", origin)
	}
	if !citationForm.MatchString(citation) {
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
