// SPDX-License-Identifier: Apache-2.0

// Package workbench is what changes a node, for a command and for the agent: the
// lock, the journal, eyes and hands together. It finishes what was cut off before
// anything new is done, and decides how the API server is replaced.
package workbench
