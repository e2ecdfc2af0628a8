// SPDX-License-Identifier: Apache-2.0

// Package docs reads the command lines out of the repository's pages, for the tests
// that hold them: internal/cli gives each to the program's own commands, and
// internal/e2e runs them.
//
// Its own tests write the parts of the pages under docs/ that follow from tables in
// the program, and compare them with what is there. Such a part stands between two
// lines of its page:
//
//	<!-- generated: NAME -->
//	<!-- end -->
//
// and is written anew by
//
//	go test ./internal/docs -update
//
// What is written by hand is held to the repository as well: links lead somewhere,
// targets of make and tests that a page names exist.
package docs
