// SPDX-License-Identifier: Apache-2.0

package gates

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// MinorColumns are those of one release's table.
var MinorColumns = []string{"gate", "components", "stage", "default", "locked", "min_compatibility", "requires", "removal", "citation"}

// Rows are the rows of one release's table.
func Rows(gates []Gate) [][]string {
	var rows [][]string
	for _, g := range gates {
		compat := ""
		if g.MinCompat != 0 {
			compat = "1." + strconv.Itoa(g.MinCompat)
		}
		removal := ""
		if g.Removal != 0 {
			removal = "1." + strconv.Itoa(g.Removal)
		}
		rows = append(rows, []string{
			g.Name, strings.Join(g.Components, " "), g.Stage, strconv.FormatBool(g.Default), strconv.FormatBool(g.Locked),
			compat, strings.Join(g.Requires, " "), removal, g.Citation,
		})
	}
	return rows
}

// Columns are those of the table for internal/rules.
var Columns = []string{
	"gate", "first", "last", "stage", "default", "locked", "min_compatibility", "requires", "components", "removed", "origin", "citation",
}

// Comment heads the table for internal/rules.
const Comment = `Feature gates: one row per gate, set of components and stretch of minors in which
nothing about it changed, written by hack/knowledge. A gate that no row has for a minor is unknown
to its components, which then do not start where it is set. 1.19 is the first
minor measured: what starts there may have begun before. A locked gate cannot be
set to anything but its default. min_compatibility: the default holds from this
--min-compatibility-version on. requires: gates that must be on where this one
is; upstream has recorded them since 1.35. removed is "minor origin citation": what a
comment beside the gate announces. The component kubeadm has gates of its own, in
featureGates of its ClusterConfiguration.`

// Merge puts the tables of all releases together: rows by minor.
func Merge(byMinor map[int][][]string) [][]string {
	type stretch struct {
		first, last int
		row         []string
	}
	open := map[string]*stretch{}
	var all []*stretch
	for _, minor := range slices.Sorted(maps.Keys(byMinor)) {
		for _, row := range byMinor[minor] {
			key := row[0] + " " + row[1]
			s := open[key]
			if s != nil && s.last == minor-1 && slices.Equal(s.row[:len(row)-2], row[:len(row)-2]) {
				s.last, s.row = minor, row
				continue
			}
			s = &stretch{minor, minor, row}
			open[key] = s
			all = append(all, s)
		}
	}
	var rows [][]string
	for _, s := range all {
		r, removed := s.row, ""
		if r[7] != "" {
			removed = r[7] + " planned " + r[8]
		}
		rows = append(rows, []string{
			r[0], "1." + strconv.Itoa(s.first), "1." + strconv.Itoa(s.last), r[2], r[3], r[4], r[5], r[6], r[1], removed, "measured", r[8],
		})
	}
	return rows
}
