// SPDX-License-Identifier: Apache-2.0

// Package docs has no code but its tests. They write the pages under docs/ that
// follow from tables in the program, and compare them with what is there:
//
//	go test ./internal/docs -update
//
// rewrites them.
package docs
