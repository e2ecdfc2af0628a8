// SPDX-License-Identifier: Apache-2.0

// Package icalendar has no code but a test: a reader of iCalendar files that is
// not the product's reads what the product wrote, and compares it with the JSON of
// the same timeline. It stands here because nothing but this test needs the reader.
package icalendar
