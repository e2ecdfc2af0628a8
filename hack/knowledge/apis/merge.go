// SPDX-License-Identifier: Apache-2.0

package apis

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"perennial.dev/perennial/hack/knowledge/table"
)

// MinorColumns are those of one release's table, which is kept so that a new
// release can be added without measuring the others again.
var MinorColumns = []string{
	"group", "version", "kind", "resource", "scope", "registered", "served", "default", "gate",
	"introduced", "deprecated", "removed", "replacement", "registered_by", "served_by", "lifecycle_by",
}

// Rows are the rows of one release's table.
func Rows(kinds map[Key]*Kind) [][]string {
	var rows [][]string
	for _, k := range kinds {
		rows = append(rows, []string{
			k.Group, k.Version, k.Kind, k.Resource, scope(k),
			strconv.FormatBool(k.Registered), strconv.FormatBool(k.Served), strconv.FormatBool(k.Default), k.Gate,
			minor(k.Lifecycle.Introduced), minor(k.Lifecycle.Deprecated), minor(k.Lifecycle.Removed),
			k.Lifecycle.Replacement.text(), k.RegisteredBy, k.ServedBy, k.LifecycleBy,
		})
	}
	return rows
}

// scope is empty where nothing says it: the kind is not served.
func scope(k *Kind) string {
	switch {
	case !k.Served:
		return ""
	case k.Namespaced:
		return "namespaced"
	}
	return "cluster"
}

func minor(m int) string {
	if m == 0 {
		return ""
	}
	return "1." + strconv.Itoa(m)
}

// text is "group/version Kind", with "core" for the group without a name.
func (k Key) text() string {
	switch {
	case k == Key{}:
		return ""
	case k.Group == "":
		return "core/" + k.Version + " " + k.Kind
	}
	return k.Group + "/" + k.Version + " " + k.Kind
}

// read turns rows back; the replacement stays text.
func read(rows [][]string) ([]minorRow, error) {
	var all []minorRow
	for _, f := range rows {
		row := minorRow{
			key: Key{f[0], f[1], f[2]}, resource: f[3], scope: f[4],
			registered: f[5] == "true", served: f[6] == "true", byDefault: f[7] == "true", gate: f[8],
			replacement: f[12], registeredBy: f[13], servedBy: f[14], lifecycleBy: f[15],
		}
		var err1, err2 error
		row.deprecated, err1 = parseMinor(f[10])
		row.removed, err2 = parseMinor(f[11])
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("reading %s: %w", row.key.text(), err)
		}
		all = append(all, row)
	}
	return all, nil
}

type minorRow struct {
	minor                               int
	key                                 Key
	resource, scope, gate, replacement  string
	registered, served, byDefault       bool
	deprecated, removed                 int
	registeredBy, servedBy, lifecycleBy string
}

func parseMinor(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	return strconv.Atoi(strings.TrimPrefix(text, "1."))
}

// Columns are those of the table for internal/rules.
var Columns = []string{
	"group", "version", "kind", "resource", "scope", "gate", "registered", "served", "default",
	"deprecated", "removed", "replacement", "origin", "citation",
}

// Comment heads the table for internal/rules.
const Comment = `API kinds: what kube-apiserver knows and serves, one kind in one version per row,
written by hack/knowledge. registered, served and default are spans of minors:
its type is there and stored objects can be decoded; it is in discovery when
everything is enabled; it is in discovery with default flags. The first minor
measured is 1.19, so that a span from there may have begun before. gate is the
feature gate without which it is not served. deprecated and removed are "minor
origin citation"; removed is empty for what is only sent to a subresource, whose
versions discovery does not show. served is read from the OpenAPI document in
k8s.io/kubernetes, default from DefaultAPIResourceConfigSource of the three
servers in one.`

// Merge puts the tables of all releases together: rows by minor.
func Merge(byMinor map[int][][]string, openAPIOf func(minor int) string) ([][]string, error) {
	newest := slices.Max(slices.Collect(maps.Keys(byMinor)))
	kinds := map[Key][]minorRow{}
	for _, m := range slices.Sorted(maps.Keys(byMinor)) {
		rows, err := read(byMinor[m])
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			row.minor = m
			kinds[row.key] = append(kinds[row.key], row)
		}
	}
	var merged [][]string
	for key, rows := range kinds {
		merged = append(merged, mergeKind(key, rows, newest, openAPIOf))
	}
	return merged, nil
}

func mergeKind(key Key, rows []minorRow, newest int, openAPIOf func(minor int) string) []string {
	var registered, served, byDefault []int
	var resource, scope, gate, citation string
	for _, row := range rows {
		if row.registered {
			registered = append(registered, row.minor)
		}
		if row.byDefault {
			byDefault = append(byDefault, row.minor)
		}
		switch {
		case row.served:
			served = append(served, row.minor)
			resource, scope, gate, citation = row.resource, row.scope, row.gate, row.servedBy
		case len(served) == 0:
			citation = row.registeredBy
		}
	}
	// The newest release that has the type knows best what was planned: dates
	// have been moved.
	last := rows[len(rows)-1]
	return []string{
		key.Group, key.Version, key.Kind, resource, scope, gate,
		table.Spans(registered), table.Spans(served), table.Spans(byDefault),
		deprecated(last, served, newest), removed(rows, served, newest, openAPIOf), last.replacement, "measured", citation,
	}
}

// deprecated is empty for a kind that went away before it came to that.
func deprecated(last minorRow, served []int, newest int) string {
	gone := len(served) > 0 && served[len(served)-1] < last.deprecated && served[len(served)-1] < newest
	if last.deprecated == 0 || gone {
		return ""
	}
	return cell(last.deprecated, newest, last.lifecycleBy)
}

func cell(at, newest int, citation string) string {
	origin := "measured"
	if at > newest {
		origin = "planned"
	}
	return minor(at) + " " + origin + " " + citation
}

// removed is the first release that does not serve a kind any more, which may
// be earlier than what its type has announced, and otherwise the announcement.
func removed(rows []minorRow, served []int, newest int, openAPIOf func(minor int) string) string {
	last := rows[len(rows)-1]
	// Discovery names one version of what is sent to a subresource; the server
	// takes others too, past what their types announce
	// (EvictionREST.AcceptsGroupVersion), so that nothing here shows a removal.
	if slices.ContainsFunc(rows, func(row minorRow) bool { return strings.Contains(row.resource, "/") }) {
		return ""
	}
	if len(served) == 0 || served[len(served)-1] == newest {
		if last.removed == 0 {
			return ""
		}
		return cell(last.removed, newest, last.lifecycleBy)
	}
	gone := served[len(served)-1] + 1
	for _, row := range slices.Backward(rows) {
		if row.removed == gone {
			return cell(gone, newest, row.lifecycleBy)
		}
	}
	return cell(gone, newest, openAPIOf(gone))
}
