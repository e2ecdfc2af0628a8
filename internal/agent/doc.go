// SPDX-License-Identifier: Apache-2.0

// Package agent keeps one node alive: it looks, judges, waits for the turn of what
// is due, changes it and tells, for years and with the API away.
package agent
