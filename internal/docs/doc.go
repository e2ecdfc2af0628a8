// SPDX-License-Identifier: Apache-2.0

// Package docs has no code but its tests. They write the parts of the pages
// under docs/ that follow from tables in the program, and compare them with
// what is there. Such a part stands between two lines of its page:
//
//	<!-- generated: NAME -->
//	<!-- end -->
//
// and is written anew by
//
//	go test ./internal/docs -update
//
// What is written by hand is held to the program as well: links lead somewhere,
// and the commands and flags that a page shows exist.
package docs
