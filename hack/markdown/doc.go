// SPDX-License-Identifier: Apache-2.0

// Package markdown has no code but a test: a parser of CommonMark that is not the
// product's, with GitHub's extensions, reads the tickets that the product wrote and
// compares them with the JSON of the same timelines. It stands here because nothing
// but this test needs the parser.
package markdown
