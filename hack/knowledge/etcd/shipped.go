// SPDX-License-Identifier: Apache-2.0

// Package etcd measures which etcd kubeadm ships, and which flags each series
// of etcd takes.
package etcd

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

const constants = "k8s.io/kubernetes/cmd/kubeadm/app/constants"

// ShippedMinorColumns are those of one release's table.
var ShippedMinorColumns = []string{"version", "citation"}

// Shipped reads the version that kubeadm of a release puts on control planes.
func Shipped(tree *upstream.Tree) ([][]string, error) {
	p, err := tree.Package(constants)
	if err != nil {
		return nil, err
	}
	value, file, ok := p.Value("DefaultEtcdVersion")
	if !ok {
		return nil, fmt.Errorf("measuring the etcd of kubeadm %s: no DefaultEtcdVersion", tree.Release)
	}
	version, err := tree.Text(p, file, value)
	if err != nil {
		return nil, fmt.Errorf("measuring the etcd of kubeadm %s: %w", tree.Release, err)
	}
	version, _, _ = strings.Cut(version, "-") // the image's own number
	return [][]string{{version, tree.Cite(p.Path, file.Name)}}, nil
}

// ShippedColumns are those of the table for internal/rules.
var ShippedColumns = []string{"minor", "version", "origin", "citation"}

// ShippedComment heads the table for internal/rules.
const ShippedComment = `The etcd that kubeadm puts on control planes: one row per minor, written by
hack/knowledge, in the patch release that the citation names; an earlier or later
patch may ship another one.`

// MergeShipped puts the tables of all releases together: rows by minor.
func MergeShipped(byMinor map[int][][]string) [][]string {
	var rows [][]string
	for _, minor := range slices.Sorted(maps.Keys(byMinor)) {
		for _, row := range byMinor[minor] {
			rows = append(rows, []string{fmt.Sprintf("1.%d", minor), row[0], "measured", row[1]})
		}
	}
	return rows
}
