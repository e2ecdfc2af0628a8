// SPDX-License-Identifier: Apache-2.0

// Package credential judges the credentials of a layout: it joins what lies on
// disk, what is served on the wire and which identity a process uses, and says
// what ends, what is broken and what is weak. It is a pure function over
// facts; it does not know today's date.
package credential
