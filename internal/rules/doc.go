// SPDX-License-Identifier: Apache-2.0

// Package rules knows what each Kubernetes minor from 1.19 on knows, serves
// and refuses: the tables that say what an upgrade takes away.
//
// The knowledge is data, embedded from data/*.csv: one file per table with an
// as-of day, sorted, one row per line, each with its origin and a citation.
// hack/knowledge writes the tables, measured on the sources of the released Go
// modules; nothing is kept by hand. Planned removals are what the newest
// release announces, and upstream has departed from such announcements in both
// directions, so that a plan is never more than that.
//
// The package is pure.
package rules
