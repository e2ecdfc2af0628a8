// SPDX-License-Identifier: Apache-2.0

// Package schedule says when something may be changed without anybody watching:
// in which maintenance windows, how many changes a day, and by how much nodes
// keep out of each other's way.
//
// It is pure: time zones and instants come in as arguments.
package schedule
