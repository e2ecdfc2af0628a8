// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"path/filepath"

	"perennial.dev/perennial/hack/knowledge/admission"
	"perennial.dev/perennial/hack/knowledge/apis"
	"perennial.dev/perennial/hack/knowledge/configkinds"
	"perennial.dev/perennial/hack/knowledge/defaults"
	"perennial.dev/perennial/hack/knowledge/etcd"
	"perennial.dev/perennial/hack/knowledge/flags"
	"perennial.dev/perennial/hack/knowledge/gates"
	"perennial.dev/perennial/hack/knowledge/podsecurity"
	"perennial.dev/perennial/hack/knowledge/table"
	"perennial.dev/perennial/hack/knowledge/upstream"
	"perennial.dev/perennial/hack/knowledge/volumes"
)

// kind is one of the tables: how it is measured by minor and put together.
type kind struct {
	file         string
	minorColumns []string
	measure      func(*upstream.Tree) ([][]string, error)
	comment      string
	columns      []string
	merge        func(byMinor map[int][][]string, all measured) ([][]string, error)
}

var kinds = []kind{
	{
		file: "apis.csv", minorColumns: apis.MinorColumns, comment: apis.Comment, columns: apis.Columns,
		measure: func(tree *upstream.Tree) ([][]string, error) {
			measured, err := apis.Measure(tree)
			return apis.Rows(measured), err
		},
		merge: func(byMinor map[int][][]string, all measured) ([][]string, error) {
			return apis.Merge(byMinor, func(minor int) string { return openAPIOf(minor, all.releases) })
		},
	},
	{
		file: "gates.csv", minorColumns: gates.MinorColumns, comment: gates.Comment, columns: gates.Columns,
		measure: func(tree *upstream.Tree) ([][]string, error) {
			measured, err := gates.Measure(tree)
			return gates.Rows(measured), err
		},
		merge: func(byMinor map[int][][]string, _ measured) ([][]string, error) {
			return gates.Merge(byMinor), nil
		},
	},
	{
		file: "admission.csv", minorColumns: admission.MinorColumns, comment: admission.Comment, columns: admission.Columns,
		measure: func(tree *upstream.Tree) ([][]string, error) {
			measured, err := admission.Measure(tree)
			return admission.Rows(measured), err
		},
		merge: func(byMinor map[int][][]string, _ measured) ([][]string, error) {
			return admission.Merge(byMinor), nil
		},
	},
	{
		file: "flags.csv", minorColumns: flags.MinorColumns, comment: flags.Comment, columns: flags.Columns,
		measure: func(tree *upstream.Tree) ([][]string, error) {
			measured, err := flags.Measure(tree)
			return flags.Rows(measured), err
		},
		merge: func(byMinor map[int][][]string, _ measured) ([][]string, error) {
			return flags.Merge(byMinor), nil
		},
	},
	{
		file: "configkinds.csv", minorColumns: configkinds.MinorColumns, comment: configkinds.Comment, columns: configkinds.Columns,
		measure: func(tree *upstream.Tree) ([][]string, error) {
			measured, err := configkinds.Measure(tree)
			return configkinds.Rows(measured), err
		},
		merge: func(byMinor map[int][][]string, _ measured) ([][]string, error) {
			return configkinds.Merge(byMinor), nil
		},
	},
	{
		file: "defaults.csv", minorColumns: defaults.MinorColumns, comment: defaults.Comment, columns: defaults.Columns,
		measure: defaults.Measure,
		merge: func(byMinor map[int][][]string, all measured) ([][]string, error) {
			return defaults.Merge(byMinor, all.tables["flags.csv"]), nil
		},
	},
	{
		file: "volumes.csv", minorColumns: volumes.MinorColumns, comment: volumes.Comment, columns: volumes.Columns,
		measure: func(tree *upstream.Tree) ([][]string, error) {
			measured, err := volumes.Measure(tree)
			return volumes.Rows(measured), err
		},
		merge: func(byMinor map[int][][]string, _ measured) ([][]string, error) {
			return volumes.Merge(byMinor)
		},
	},
	{
		file: "podsecurity.csv", minorColumns: podsecurity.MinorColumns, comment: podsecurity.Comment, columns: podsecurity.Columns,
		measure: podsecurity.Measure,
		merge: func(byMinor map[int][][]string, _ measured) ([][]string, error) {
			return podsecurity.Merge(byMinor), nil
		},
	},
	{
		file: "etcd.csv", minorColumns: etcd.ShippedMinorColumns, comment: etcd.ShippedComment, columns: etcd.ShippedColumns,
		measure: etcd.Shipped,
		merge: func(byMinor map[int][][]string, _ measured) ([][]string, error) {
			return etcd.MergeShipped(byMinor), nil
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
	all, err := readMinors(releases, from)
	if err != nil {
		return nil, err
	}
	tables := map[string][]byte{}
	for _, kind := range kinds {
		rows, err := kind.merge(all.tables[kind.file], all)
		if err != nil {
			return nil, err
		}
		if tables[kind.file], err = table.Write(kind.comment, asOf, kind.columns, rows); err != nil {
			return nil, fmt.Errorf("%s: %w", kind.file, err)
		}
	}
	return tables, nil
}

// measured is what was measured of all releases: rows by minor, by file name.
type measured struct {
	releases []upstream.Release
	tables   map[string]map[int][][]string
}

func readMinors(releases []upstream.Release, from string) (measured, error) {
	all := measured{releases, map[string]map[int][][]string{}}
	for _, kind := range kinds {
		all.tables[kind.file] = map[int][][]string{}
		for _, release := range releases {
			path := filepath.Join(from, fmt.Sprintf("1.%d", release.Minor), kind.file)
			text, err := os.ReadFile(path)
			if err != nil {
				return measured{}, err
			}
			if all.tables[kind.file][release.Minor], err = table.Read(text, kind.minorColumns); err != nil {
				return measured{}, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	return all, nil
}

const etcdFlagsFile = "etcdflags.csv"

// etcdFlags makes the table of etcd's flags.
func etcdFlags(asOf string) ([]byte, error) {
	rows, err := etcd.Flags()
	if err != nil {
		return nil, err
	}
	return table.Write(etcd.FlagComment, asOf, etcd.FlagColumns, rows)
}
