// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"maps"
	"regexp"
	"slices"
	"strconv"

	"perennial.dev/perennial/hack/knowledge/table"
)

// MinorColumns are those of one release's table. default is empty where it is
// computed, and in quotes where it is known.
var MinorColumns = []string{"component", "flag", "hidden", "deprecated", "default", "notice", "citation"}

// Rows are the rows of one release's table.
func Rows(flags []Flag) [][]string {
	var rows [][]string
	for _, f := range flags {
		value := ""
		if f.HasDefault {
			value = strconv.Quote(f.Default)
		}
		rows = append(rows, []string{
			f.Component, f.Name, strconv.FormatBool(f.Hidden), strconv.FormatBool(f.Deprecated), value, f.Notice, f.Citation,
		})
	}
	return rows
}

// Columns are those of the table for internal/rules.
var Columns = []string{"component", "flag", "known", "hidden", "deprecated", "removed", "notice", "origin", "citation"}

// Comment heads the table for internal/rules.
const Comment = `Command line flags of the components: one per row, written by hack/knowledge.
known and hidden are spans of minors: the component takes it, and does not start
where an unknown one is set; no help shows it. The first minor measured is 1.19,
so that a span from there may have begun before. deprecated and removed are
"minor origin citation"; a planned removal is what the notice announces, which is
upstream's text of the deprecation.`

type history struct {
	known, hidden []int
	deprecated    int
	rows          map[int][]string // by minor
}

// announced finds a removal in what upstream says of a deprecation.
var announced = regexp.MustCompile(`(?i)remov\w+(?: after| in)?(?: the)?(?: release| version)? v?1\.(\d+)`)

// Merge puts the tables of all releases together: rows by minor.
func Merge(byMinor map[int][][]string) [][]string {
	minors := slices.Sorted(maps.Keys(byMinor))
	flags := map[[2]string]*history{}
	for _, minor := range minors {
		for _, row := range byMinor[minor] {
			key := [2]string{row[0], row[1]}
			if flags[key] == nil {
				flags[key] = &history{rows: map[int][]string{}}
			}
			flags[key].add(minor, row)
		}
	}
	var rows [][]string
	for key, h := range flags {
		rows = append(rows, h.row(key, minors, byMinor))
	}
	return rows
}

func (h *history) add(minor int, row []string) {
	h.known = append(h.known, minor)
	h.rows[minor] = row
	if row[2] == "true" {
		h.hidden = append(h.hidden, minor)
	}
	switch {
	case row[3] != "true":
		h.deprecated = 0 // a deprecation that was taken back
	case h.deprecated == 0:
		h.deprecated = minor
	}
}

func (h *history) row(key [2]string, minors []int, byMinor map[int][][]string) []string {
	last := h.known[len(h.known)-1]
	newest := h.rows[last]
	deprecated, removed := "", ""
	if h.deprecated != 0 {
		deprecated = change(h.deprecated, "measured", h.rows[h.deprecated][6])
	}
	if i := slices.Index(minors, last); i+1 < len(minors) {
		removed = change(minors[i+1], "measured", gone(key[0], newest[6], byMinor[minors[i+1]]))
	} else if found := announced.FindStringSubmatch(newest[5]); found != nil {
		if minor, err := strconv.Atoi(found[1]); err == nil && minor > last {
			removed = change(minor, "planned", newest[6])
		}
	}
	return []string{
		key[0], key[1], table.Spans(h.known), table.Spans(h.hidden), deprecated, removed, newest[5], "measured", newest[6],
	}
}

// gone cites where the flag was in the release that does not have it: the same
// file, if that still adds flags, else the component's sources.
func gone(component, was string, after [][]string) string {
	_, path, _ := cutCitation(was)
	first := ""
	for _, row := range after {
		if row[0] != component {
			continue
		}
		module, other, _ := cutCitation(row[6])
		if other == path {
			return row[6]
		}
		if first == "" && module == "k8s.io/kubernetes" {
			first = row[6]
		}
	}
	return first
}

var citation = regexp.MustCompile(`^(.*)@[^@:]+:(.*)$`)

func cutCitation(text string) (module, path string, ok bool) {
	found := citation.FindStringSubmatch(text)
	if found == nil {
		return "", "", false
	}
	return found[1], found[2], true
}

func change(minor int, origin, citation string) string {
	return "1." + strconv.Itoa(minor) + " " + origin + " " + citation
}
