// SPDX-License-Identifier: Apache-2.0

// Package markdown has no code but its tests, for which a parser of CommonMark that is
// not the product's, with GitHub's extensions, reads what is written in Markdown: the
// tickets of the product are compared with the JSON of the same timelines, and the
// pages that exist in two languages with each other, part by part. They stand here
// because nothing but they needs the parser.
package markdown
