// SPDX-License-Identifier: Apache-2.0

// Package execute does what a plan says: each step is checked, written to the
// journal, backed up, done, proven and closed, in this order, so that a crash
// at any point leaves a node that can start and a record from which the next
// run finishes.
//
// Everything that changes the machine goes through Hands, and everything that
// is believed of it comes through Eyes.
package execute
