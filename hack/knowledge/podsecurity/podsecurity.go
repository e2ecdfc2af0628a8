// SPDX-License-Identifier: Apache-2.0

// Package podsecurity measures with which policy versions the checks of Pod
// Security begin or change.
package podsecurity

import (
	"errors"
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

const policy = "k8s.io/pod-security-admission/policy"

// MinorColumns are those of one release's table.
var MinorColumns = []string{"check", "level", "since", "citation"}

// Measure reads the checks of a release; none before 1.22.
func Measure(tree *upstream.Tree) ([][]string, error) {
	p, err := tree.Package(policy)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, file := range p.Files {
		ast.Inspect(file.Syntax, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok || err != nil {
				return err == nil
			}
			if name, ok := literal.Type.(*ast.Ident); ok && name.Name == "Check" {
				var found [][]string
				found, err = check(tree, p, file, literal)
				rows = append(rows, found...)
			}
			return true
		})
	}
	if err != nil {
		return nil, fmt.Errorf("measuring the Pod Security checks of %s: %w", tree.Release, err)
	}
	return rows, nil
}

func check(tree *upstream.Tree, p *upstream.Package, file upstream.File, literal *ast.CompositeLit) ([][]string, error) {
	var id, level string
	var versions []string
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return nil, fmt.Errorf("%s: a check without names of fields", file.Name)
		}
		var err error
		switch pair.Key.(*ast.Ident).Name {
		case "ID":
			id, err = tree.Text(p, file, pair.Value)
		case "Level":
			selector, ok := pair.Value.(*ast.SelectorExpr)
			if !ok {
				return nil, fmt.Errorf("%s: a level that is no name", file.Name)
			}
			level = strings.ToLower(strings.TrimPrefix(selector.Sel.Name, "Level"))
		case "Versions":
			versions, err = since(pair.Value)
		}
		if err != nil {
			return nil, err
		}
	}
	var rows [][]string
	for _, version := range versions {
		rows = append(rows, []string{id, level, version, tree.Cite(p.Path, file.Name)})
	}
	if id == "" || level == "" || len(rows) == 0 {
		return nil, fmt.Errorf("%s: a check without id, level or versions", file.Name)
	}
	return rows, nil
}

// since reads MinimumVersion: api.MajorMinorVersion(1, 25) of each version.
func since(e ast.Expr) ([]string, error) {
	var found []string
	ast.Inspect(e, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) != 2 {
			return true
		}
		if fun, ok := call.Fun.(*ast.SelectorExpr); ok && fun.Sel.Name == "MajorMinorVersion" {
			major, ok1 := call.Args[0].(*ast.BasicLit)
			minor, ok2 := call.Args[1].(*ast.BasicLit)
			if ok1 && ok2 {
				found = append(found, major.Value+"."+minor.Value)
			}
		}
		return true
	})
	if len(found) == 0 {
		return nil, errors.New("a check without versions")
	}
	return found, nil
}

// Columns are those of the table for internal/rules.
var Columns = []string{"check", "level", "since", "origin", "citation"}

// Comment heads the table for internal/rules.
const Comment = `Pod Security checks: one row per check, level and policy version from which on it
checks as it does until the next row, written by hack/knowledge. 1.0 is from the
beginning. Namespaces that enforce latest get a version with the API server of that
minor.`

// Merge keeps the newest release's word for each row of any.
func Merge(byMinor map[int][][]string) [][]string {
	rows := map[string][]string{}
	for _, minor := range slices.Sorted(maps.Keys(byMinor)) {
		for _, row := range byMinor[minor] {
			rows[strings.Join(row[:3], " ")] = []string{row[0], row[1], row[2], "measured", row[3]}
		}
	}
	return slices.Collect(maps.Values(rows))
}
