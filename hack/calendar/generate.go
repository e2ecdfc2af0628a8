// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const asOfMark = "# as-of: "

const tableHead = `# SPDX-License-Identifier: Apache-2.0
# The release calendar: one minor release per row, written by hack/calendar.
# Dates are "day origin citation". A measured day is that of the tagged commit
# in UTC. last_patch is the final patch, or the last one seen on the as-of day.
`

var tableColumns = []string{"minor", "released", "maintenance", "planned_end", "ended", "last_patch", "last_patch_date"}

// modules answers for a module proxy.
type modules interface {
	// versions lists the known versions of a module.
	versions(module string) ([]string, error)
	// published is the time of a version's commit; not ok if the proxy does
	// not have it.
	published(module, version string) (at time.Time, ok bool, err error)
}

type generator struct {
	asOf    time.Time
	modules modules
	// cited are module versions to measure before others, so that a check
	// repeats a measurement instead of making another one.
	cited map[string]bool
}

// The patch and the calendar are those of k8s.io/kubernetes. k8s.io/api is
// published some hours later from the same tag; proxies list it more
// completely, and it stands in where they lack the other.
const (
	mainModule    = "k8s.io/kubernetes"
	stagingModule = "k8s.io/api"
)

func (g generator) generate(official []byte) ([]byte, error) {
	rows, err := readOfficial(official)
	if err != nil {
		return nil, fmt.Errorf("reading official.csv: %w", err)
	}
	listed, err := g.modules.versions(stagingModule)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	out.WriteString(tableHead + asOfMark + g.asOf.Format(time.DateOnly) + "\n")
	table := csv.NewWriter(&out)
	if err := table.Write(tableColumns); err != nil {
		return nil, err
	}
	for _, row := range rows {
		fields, err := g.row(row, listed)
		if err != nil {
			return nil, fmt.Errorf("measuring 1.%d: %w", row.minor, err)
		}
		if err := table.Write(fields); err != nil {
			return nil, err
		}
	}
	table.Flush()
	return out.Bytes(), table.Error()
}

type officialRow struct {
	minor                                    int
	released, maintenance, plannedEnd, ended string
	finalPatch                               int // -1: upstream names none yet
}

func readOfficial(text []byte) ([]officialRow, error) {
	table := csv.NewReader(bytes.NewReader(text))
	table.Comment = '#'
	table.FieldsPerRecord = 6
	records, err := table.ReadAll()
	if err != nil {
		return nil, err
	}
	var rows []officialRow
	for _, f := range records[1:] {
		minor, err := strconv.Atoi(strings.TrimPrefix(f[0], "1."))
		if err != nil {
			return nil, err
		}
		final := -1
		if f[5] != "" {
			if final, err = strconv.Atoi(strings.TrimPrefix(f[5], f[0]+".")); err != nil {
				return nil, err
			}
		}
		rows = append(rows, officialRow{minor, f[1], f[2], f[3], f[4], final})
	}
	return rows, nil
}

func (g generator) row(o officialRow, listed []string) ([]string, error) {
	name := fmt.Sprintf("1.%d", o.minor)
	fields := []string{name, o.released, o.maintenance, o.plannedEnd, o.ended, "", ""}
	if strings.Contains(o.released, " planned ") || strings.Contains(o.released, " estimated ") {
		return fields, nil
	}
	if o.released == "" {
		released, err := g.measure(o.minor, 0)
		if err != nil {
			return nil, err
		}
		fields[1] = released.cell()
	}
	for _, patch := range candidates(o, listed) {
		date, err := g.measure(o.minor, patch)
		if err != nil {
			return nil, err
		}
		if !date.day.After(g.asOf) {
			fields[5], fields[6] = fmt.Sprintf("%s.%d", name, patch), date.cell()
			return fields, nil
		}
	}
	return nil, fmt.Errorf("no patch up to %s", g.asOf.Format(time.DateOnly))
}

// candidates are the patches of a minor that may be its last, newest first.
func candidates(o officialRow, listed []string) []int {
	var patches []int
	prefix := fmt.Sprintf("v0.%d.", o.minor)
	for _, version := range listed {
		rest, ok := strings.CutPrefix(version, prefix)
		if !ok {
			continue
		}
		if patch, err := strconv.Atoi(rest); err == nil { // pre-releases are no patches
			patches = append(patches, patch)
		}
	}
	if o.finalPatch >= 0 {
		patches = append(patches, o.finalPatch)
	}
	slices.Sort(patches)
	slices.Reverse(patches)
	return slices.Compact(patches)
}

type measurement struct {
	day    time.Time
	source string // module@version
}

func (m measurement) cell() string {
	return m.day.Format(time.DateOnly) + " measured " + m.source
}

// measure fails for a patch that nobody has: it is listed somewhere, so passing
// over it would quietly write an older one.
func (g generator) measure(minor, patch int) (measurement, error) {
	sources := g.sources(minor, patch)
	for _, source := range sources {
		module, version, _ := strings.Cut(source, "@")
		at, ok, err := g.modules.published(module, version)
		if err != nil {
			return measurement{}, err
		}
		if ok {
			return measurement{at.UTC().Truncate(24 * time.Hour), source}, nil
		}
	}
	return measurement{}, fmt.Errorf("the module proxy has none of %s", strings.Join(sources, " and "))
}

func (g generator) sources(minor, patch int) []string {
	sources := []string{
		fmt.Sprintf("%s@v1.%d.%d", mainModule, minor, patch),
		fmt.Sprintf("%s@v0.%d.%d", stagingModule, minor, patch),
	}
	if g.cited[sources[1]] {
		slices.Reverse(sources)
	}
	return sources
}

var citation = regexp.MustCompile(`measured (\S+@v[0-9.]+)`)

func citedModules(table []byte) map[string]bool {
	cited := map[string]bool{}
	for _, match := range citation.FindAllSubmatch(table, -1) {
		cited[string(match[1])] = true
	}
	return cited
}

func writtenAsOf(table []byte) (time.Time, error) {
	for line := range strings.Lines(string(table)) {
		if day, ok := strings.CutPrefix(line, asOfMark); ok {
			return time.Parse(time.DateOnly, strings.TrimSpace(day))
		}
	}
	return time.Time{}, fmt.Errorf("no line %q in the table", asOfMark)
}
