// SPDX-License-Identifier: Apache-2.0

// Package table writes and reads tables in the form of internal/release/data:
// CSV with a head of comments, an as-of line and one row per line, sorted.
package table

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
)

// Write makes a table. The rows are sorted; two equal ones are an error, since
// they would mean that something was counted twice.
func Write(comment, asOf string, columns []string, rows [][]string) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("# SPDX-License-Identifier: Apache-2.0\n")
	for line := range strings.Lines(strings.TrimSpace(comment)) {
		out.WriteString("# " + strings.TrimSpace(line) + "\n")
	}
	if asOf != "" {
		out.WriteString("# as-of: " + asOf + "\n")
	}
	rows = slices.Clone(rows)
	slices.SortFunc(rows, slices.Compare[[]string])
	w := csv.NewWriter(&out)
	if err := w.Write(columns); err != nil {
		return nil, err
	}
	for i, row := range rows {
		if len(row) != len(columns) {
			return nil, fmt.Errorf("writing a table: row %q has %d fields instead of %d", row, len(row), len(columns))
		}
		if i > 0 && slices.Equal(row, rows[i-1]) {
			return nil, fmt.Errorf("writing a table: row %q is there twice", row)
		}
		if err := w.Write(row); err != nil {
			return nil, err
		}
	}
	w.Flush()
	return out.Bytes(), w.Error()
}

// Read reads the rows of a table that has these columns.
func Read(text []byte, columns []string) ([][]string, error) {
	r := csv.NewReader(bytes.NewReader(text))
	r.Comment = '#'
	records, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading a table: %w", err)
	}
	if len(records) == 0 || !slices.Equal(records[0], columns) {
		return nil, fmt.Errorf("reading a table: its columns are not %s", strings.Join(columns, ","))
	}
	return records[1:], nil
}

// Spans writes minors as "1.19-1.24 1.26-1.37", or "" for none.
func Spans(minors []int) string {
	minors = slices.Compact(slices.Sorted(slices.Values(minors)))
	var spans []string
	for i := 0; i < len(minors); {
		j := i
		for j+1 < len(minors) && minors[j+1] == minors[j]+1 {
			j++
		}
		spans = append(spans, fmt.Sprintf("1.%d-1.%d", minors[i], minors[j]))
		i = j + 1
	}
	return strings.Join(spans, " ")
}
