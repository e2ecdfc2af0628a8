// SPDX-License-Identifier: Apache-2.0

// Package admission measures which admission plugins a release of
// kube-apiserver knows and which run by default, and puts the releases
// together to one table.
package admission

import (
	"errors"
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strconv"

	"perennial.dev/perennial/hack/knowledge/table"
	"perennial.dev/perennial/hack/knowledge/upstream"
)

const options = "k8s.io/kubernetes/pkg/kubeapiserver/options"

// Plugin is an admission plugin of one release.
type Plugin struct {
	Name     string
	Default  bool
	Citation string
}

// Measure reads the list of all plugins and the one of those that run by
// default, which DefaultOffAdmissionPlugins takes away from it.
func Measure(tree *upstream.Tree) ([]Plugin, error) {
	plugins, err := measure(tree)
	if err != nil {
		return nil, fmt.Errorf("measuring the admission plugins of %s: %w", tree.Release, err)
	}
	return plugins, nil
}

func measure(tree *upstream.Tree) ([]Plugin, error) {
	p, err := tree.Package(options)
	if err != nil {
		return nil, err
	}
	value, file, ok := p.Value("AllOrderedPlugins")
	list, isList := value.(*ast.CompositeLit)
	if !ok || !isList {
		return nil, errors.New("no list AllOrderedPlugins")
	}
	names, err := texts(tree, p, file, list.Elts)
	if err != nil {
		return nil, err
	}
	on, err := defaults(tree, p)
	if err != nil {
		return nil, err
	}
	var plugins []Plugin
	for _, name := range names {
		plugins = append(plugins, Plugin{name, on[name], tree.Cite(options, file.Name)})
		delete(on, name)
	}
	for name := range on {
		return nil, fmt.Errorf("%s runs by default and is not in the list", name)
	}
	return plugins, nil
}

// defaults reads the set from which DefaultOffAdmissionPlugins subtracts, and
// what a gate adds to it in an if: a plugin that runs by default only with a
// gate cannot be told in one word, and ends the measurement.
func defaults(tree *upstream.Tree, p *upstream.Package) (map[string]bool, error) {
	function, file, ok := p.Func("DefaultOffAdmissionPlugins")
	if !ok || len(function.Body.List) != 2 {
		return nil, errors.New("DefaultOffAdmissionPlugins is not a set and a difference")
	}
	assign, ok := function.Body.List[0].(*ast.AssignStmt)
	if !ok || len(assign.Rhs) != 1 {
		return nil, errors.New("DefaultOffAdmissionPlugins does not begin with a set")
	}
	call, ok := assign.Rhs[0].(*ast.CallExpr)
	if !ok {
		return nil, errors.New("DefaultOffAdmissionPlugins does not begin with a set")
	}
	names, err := texts(tree, p, file, call.Args)
	on := map[string]bool{}
	for _, name := range names {
		on[name] = true
	}
	return on, err
}

func texts(tree *upstream.Tree, p *upstream.Package, file upstream.File, list []ast.Expr) ([]string, error) {
	var found []string
	for _, item := range list {
		text, err := tree.Text(p, file, item)
		if err != nil {
			return nil, err
		}
		found = append(found, text)
	}
	return found, nil
}

// MinorColumns are those of one release's table.
var MinorColumns = []string{"plugin", "default", "citation"}

// Rows are the rows of one release's table.
func Rows(plugins []Plugin) [][]string {
	var rows [][]string
	for _, p := range plugins {
		rows = append(rows, []string{p.Name, strconv.FormatBool(p.Default), p.Citation})
	}
	return rows
}

// Columns are those of the table for internal/rules.
var Columns = []string{"plugin", "known", "default", "origin", "citation"}

// Comment heads the table for internal/rules.
const Comment = `Admission plugins of kube-apiserver: one per row, written by hack/knowledge.
known and default are spans of minors: it may be enabled or disabled, and
kube-apiserver does not start where an unknown one is; it runs unless disabled.
1.19 is the first minor measured: a span from there may have begun before.`

// Merge puts the tables of all releases together: rows by minor.
func Merge(byMinor map[int][][]string) [][]string {
	known, byDefault, citation := map[string][]int{}, map[string][]int{}, map[string]string{}
	for _, minor := range slices.Sorted(maps.Keys(byMinor)) {
		for _, row := range byMinor[minor] {
			name := row[0]
			known[name] = append(known[name], minor)
			if row[1] == "true" {
				byDefault[name] = append(byDefault[name], minor)
			}
			citation[name] = row[2]
		}
	}
	var rows [][]string
	for name := range known {
		rows = append(rows, []string{name, table.Spans(known[name]), table.Spans(byDefault[name]), "measured", citation[name]})
	}
	return rows
}
