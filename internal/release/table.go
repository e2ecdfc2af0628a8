// SPDX-License-Identifier: Apache-2.0

package release

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// maxTable bounds a table read from outside; the embedded one has 6 KiB.
const maxTable = 1 << 20

const asOfMark = "# as-of:"

var releaseColumns = []string{"minor", "released", "maintenance", "planned_end", "ended", "last_patch", "last_patch_date"}

var exceptionColumns = []string{"minor", "kind", "reason", "citation"}

// Merge reads a calendar in the format of the embedded one and puts its rows in
// the place of those with the same minor. Rows may only replace or continue the
// calendar, without holes. The as-of day becomes the later of the two. On an
// error, which names the line, the calendar stays as it was.
//
// The format: CSV with the header
//
//	minor,released,maintenance,planned_end,ended,last_patch,last_patch_date
//
// one row per minor, ascending; a date is "2026-08-26 measured CITATION", its
// origin one of measured, official, planned and estimated; released and
// planned_end are required; last_patch is like 1.37.2. Lines that start with #
// are comments, and one of them must be "# as-of: 2026-11-22".
func (c *Calendar) Merge(r io.Reader) error {
	rows, asOf, err := readReleases(r)
	if err != nil {
		return fmt.Errorf("reading a release calendar: %w", err)
	}
	if err := c.replace(rows, asOf); err != nil {
		return fmt.Errorf("merging a release calendar: %w", err)
	}
	return nil
}

// replace puts rows into the calendar, all or none.
func (c *Calendar) replace(rows []releaseRow, asOf time.Time) error {
	merged := slices.Clone(c.releases)
	for _, row := range rows {
		switch i := indexOf(merged, row.Minor); {
		case i >= 0 && i < len(merged):
			merged[i] = row.Release
		case i == len(merged):
			merged = append(merged, row.Release)
		default:
			return fmt.Errorf("line %d: %s leaves a hole: the calendar goes from %s to %s",
				row.line, row.Minor, merged[0].Minor, merged[len(merged)-1].Minor)
		}
	}
	if err := checkOrder(merged, rows); err != nil {
		return err
	}
	c.releases = merged
	if asOf.After(c.asOf) {
		c.asOf = asOf
	}
	return nil
}

func indexOf(releases []Release, m Minor) int {
	if len(releases) == 0 {
		return 0
	}
	return int(m - releases[0].Minor)
}

// checkOrder catches the wrong year in a date: minors are released in order.
func checkOrder(merged []Release, rows []releaseRow) error {
	lines := map[Minor]int{}
	for _, row := range rows {
		lines[row.Minor] = row.line
	}
	for i := range merged[1:] {
		older, newer := merged[i], merged[i+1]
		if older.Released.Day.Before(newer.Released.Day) {
			continue
		}
		return fmt.Errorf("line %d: %s is not released after %s",
			cmp.Or(lines[newer.Minor], lines[older.Minor]), newer.Minor, older.Minor)
	}
	return nil
}

type releaseRow struct {
	Release
	line int
}

func readReleases(r io.Reader) ([]releaseRow, time.Time, error) {
	var rows []releaseRow
	asOf, err := readTable(r, releaseColumns, func(line int, asOf time.Time, fields []string) error {
		parsed, err := parseRelease(fields, asOf)
		if err != nil {
			return err
		}
		if len(rows) > 0 && parsed.Minor <= rows[len(rows)-1].Minor {
			return fmt.Errorf("%s stands after %s: minors must ascend", parsed.Minor, rows[len(rows)-1].Minor)
		}
		rows = append(rows, releaseRow{parsed, line})
		return nil
	})
	if err == nil && len(rows) == 0 {
		err = errors.New("no rows")
	}
	return rows, asOf, err
}

func readExceptions(r io.Reader) ([]Exception, error) {
	var exceptions []Exception
	_, err := readTable(r, exceptionColumns, func(_ int, _ time.Time, fields []string) error {
		minor, err := ParseMinor(fields[0])
		if err != nil {
			return err
		}
		exceptions = append(exceptions, Exception{minor, ExceptionKind(fields[1]), fields[2], fields[3]})
		return nil
	})
	return exceptions, err
}

// readTable reads CSV with a fixed header and an as-of comment and hands each
// row on with its line number.
func readTable(r io.Reader, columns []string, row func(line int, asOf time.Time, fields []string) error) (time.Time, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxTable+1))
	if err != nil {
		return time.Time{}, err
	}
	if len(text) > maxTable {
		return time.Time{}, fmt.Errorf("larger than %d bytes", maxTable)
	}
	asOf, err := findAsOf(text)
	if err != nil {
		return time.Time{}, err
	}
	table := csv.NewReader(bytes.NewReader(text))
	table.Comment = '#'
	table.FieldsPerRecord = len(columns)
	header, err := table.Read()
	if errors.Is(err, io.EOF) {
		return time.Time{}, errors.New("no header row")
	}
	if err != nil {
		return time.Time{}, err
	}
	if !slices.Equal(header, columns) {
		return time.Time{}, fmt.Errorf("header %s: want %s", quote(strings.Join(header, ",")), strings.Join(columns, ","))
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
		if err := row(line, asOf, fields); err != nil {
			return time.Time{}, fmt.Errorf("line %d: %w", line, err)
		}
	}
}

func findAsOf(text []byte) (time.Time, error) {
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		value, ok := strings.CutPrefix(line, asOfMark)
		if !ok {
			continue
		}
		day, err := time.Parse(time.DateOnly, strings.TrimSpace(value))
		if err != nil {
			return time.Time{}, fmt.Errorf("line %d: as-of %s is no day like 2026-11-22", number, quote(strings.TrimSpace(value)))
		}
		return day, nil
	}
	return time.Time{}, fmt.Errorf("no line %q with the day of the data", asOfMark+" YYYY-MM-DD")
}

// parseRelease reads one row; its fields are those of releaseColumns.
func parseRelease(fields []string, asOf time.Time) (Release, error) {
	var r Release
	var err error
	if r.Minor, err = parseBareMinor(fields[0]); err != nil {
		return Release{}, fmt.Errorf("minor %s: want a form like 1.37", quote(fields[0]))
	}
	for _, cell := range []struct {
		column string
		text   string
		date   *Date
	}{
		{"released", fields[1], &r.Released},
		{"maintenance", fields[2], &r.Maintenance},
		{"planned_end", fields[3], &r.PlannedEnd},
		{"ended", fields[4], &r.Ended},
		{"last_patch_date", fields[6], &r.LastPatchDate},
	} {
		if *cell.date, err = parseDate(cell.text, asOf); err != nil {
			return Release{}, fmt.Errorf("%s: %s: %w", r.Minor, cell.column, err)
		}
	}
	if fields[5] != "" {
		if r.LastPatch, err = ParseVersion(fields[5]); err != nil {
			return Release{}, fmt.Errorf("%s: last_patch: %w", r.Minor, err)
		}
	}
	if err := r.check(); err != nil {
		return Release{}, fmt.Errorf("%s: %w", r.Minor, err)
	}
	return r, nil
}

// parseDate reads "2026-08-26 measured CITATION", or nothing.
func parseDate(text string, asOf time.Time) (Date, error) {
	if text == "" {
		return Date{}, nil
	}
	parts := strings.SplitN(text, " ", 3)
	if len(parts) < 3 || strings.TrimSpace(parts[2]) == "" {
		return Date{}, fmt.Errorf("%s: want a day, an origin and a citation", quote(text))
	}
	day, err := time.Parse(time.DateOnly, parts[0])
	if err != nil {
		return Date{}, fmt.Errorf("%s is no day like 2026-11-22", quote(parts[0]))
	}
	origin := Origin(parts[1])
	switch origin {
	case Planned, Estimated:
	case Measured, Official:
		if day.After(asOf) {
			return Date{}, fmt.Errorf("%s is after the as-of day %s and cannot be %s yet",
				parts[0], asOf.Format(time.DateOnly), origin)
		}
	default:
		return Date{}, fmt.Errorf("origin %s: want measured, official, planned or estimated", quote(parts[1]))
	}
	return Date{Day: day, Origin: origin, Citation: parts[2]}, nil
}

func (r Release) check() error {
	switch {
	case r.Released.IsZero():
		return errors.New("no release date")
	case r.PlannedEnd.IsZero():
		return errors.New("no planned end")
	case !r.PlannedEnd.Day.After(r.Released.Day):
		return errors.New("the planned end is not after the release")
	case !r.Ended.IsZero() && !r.Ended.Day.After(r.Released.Day):
		return errors.New("the end is not after the release")
	case !r.Maintenance.IsZero() && !r.Maintenance.Day.After(r.Released.Day):
		return errors.New("maintenance does not start after the release")
	case !r.Maintenance.IsZero() && !r.Maintenance.Day.Before(r.PlannedEnd.Day):
		return errors.New("maintenance does not start before the planned end")
	case (r.LastPatch == Version{}) != r.LastPatchDate.IsZero():
		return errors.New("last_patch and last_patch_date go together")
	case r.LastPatch != Version{} && (r.LastPatch.Minor != r.Minor || r.LastPatch.Suffix != ""):
		return fmt.Errorf("last_patch %s is no upstream patch of this minor", r.LastPatch)
	}
	return nil
}
