// SPDX-License-Identifier: Apache-2.0

// Package rules knows what each Kubernetes minor from 1.19 on knows, serves
// and refuses: the tables that say what an upgrade takes away.
//
// The knowledge is data, embedded from data/*.csv: one file per table with an
// as-of day, sorted, one row per line, each with its origin and a citation.
// hack/knowledge writes the tables, measured on the sources of the released Go
// modules. What no source says, etcd's faults and what its steps need, stands in
// two tables kept by hand. Planned removals are what the newest release
// announces, and upstream has departed from such announcements in both
// directions, so that a plan is never more than that.
//
// Users add rows, or newer tables, with Set.Merge.
//
// The package is pure.
package rules
