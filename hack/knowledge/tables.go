// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"perennial.dev/perennial/hack/knowledge/admission"
	"perennial.dev/perennial/hack/knowledge/apis"
	"perennial.dev/perennial/hack/knowledge/gates"
	"perennial.dev/perennial/hack/knowledge/table"
	"perennial.dev/perennial/hack/knowledge/upstream"
)

// kind is one of the tables: how it is measured by minor and put together.
type kind struct {
	file         string
	minorColumns []string
	measure      func(*upstream.Tree) ([][]string, error)
	comment      string
	columns      []string
	merge        func(byMinor map[int][][]string, releases []upstream.Release) ([][]string, error)
}

var kinds = []kind{
	{
		file: "apis.csv", minorColumns: apis.MinorColumns, comment: apis.Comment, columns: apis.Columns,
		measure: func(tree *upstream.Tree) ([][]string, error) {
			measured, err := apis.Measure(tree)
			return apis.Rows(measured), err
		},
		merge: func(byMinor map[int][][]string, releases []upstream.Release) ([][]string, error) {
			return apis.Merge(byMinor, func(minor int) string { return openAPIOf(minor, releases) })
		},
	},
	{
		file: "gates.csv", minorColumns: gates.MinorColumns, comment: gates.Comment, columns: gates.Columns,
		measure: func(tree *upstream.Tree) ([][]string, error) {
			measured, err := gates.Measure(tree)
			return gates.Rows(measured), err
		},
		merge: func(byMinor map[int][][]string, _ []upstream.Release) ([][]string, error) {
			return gates.Merge(byMinor), nil
		},
	},
	{
		file: "admission.csv", minorColumns: admission.MinorColumns, comment: admission.Comment, columns: admission.Columns,
		measure: func(tree *upstream.Tree) ([][]string, error) {
			measured, err := admission.Measure(tree)
			return admission.Rows(measured), err
		},
		merge: func(byMinor map[int][][]string, _ []upstream.Release) ([][]string, error) {
			return admission.Merge(byMinor), nil
		},
	},
}

func openAPIOf(minor int, releases []upstream.Release) string {
	for _, release := range releases {
		if release.Minor == minor {
			return apis.OpenAPI(release)
		}
	}
	return ""
}

// measure makes the tables of one release, by file name.
func measure(release upstream.Release) (map[string][]byte, error) {
	tree, err := upstream.Download(release)
	if err != nil {
		return nil, err
	}
	tables := map[string][]byte{}
	for _, kind := range kinds {
		rows, err := kind.measure(tree)
		if err != nil {
			return nil, err
		}
		comment := fmt.Sprintf("Measured on Kubernetes %s by hack/knowledge.", release)
		if tables[kind.file], err = table.Write(comment, "", kind.minorColumns, rows); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

// assemble puts the tables of all releases together, by file name.
func assemble(releases []upstream.Release, from, asOf string) (map[string][]byte, error) {
	tables := map[string][]byte{}
	for _, kind := range kinds {
		byMinor := map[int][][]string{}
		for _, release := range releases {
			path := filepath.Join(from, fmt.Sprintf("1.%d", release.Minor), kind.file)
			text, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			if byMinor[release.Minor], err = table.Read(text, kind.minorColumns); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
		rows, err := kind.merge(byMinor, releases)
		if err != nil {
			return nil, err
		}
		if tables[kind.file], err = table.Write(kind.comment, asOf, kind.columns, rows); err != nil {
			return nil, fmt.Errorf("%s: %w", kind.file, err)
		}
	}
	return tables, nil
}
