// SPDX-License-Identifier: Apache-2.0

package document

import "bytes"

// split cuts a text at the lines that begin with the document markers --- and
// ..., which are markers even where a scalar has not ended. line is where the
// document begins, from 0. odd says that it has directives or begins on the
// marker's own line, which is then a part of it.
func split(text []byte, document func(text []byte, line int, odd bool)) {
	m := markers{text: text, dashes: -1, dots: -1}
	from, next, odd := 0, 0, false
	line, counted := 0, 0
	for {
		at, after, plain := m.find(next)
		next = after
		if isDirective(text[from:at]) && at < len(text) && !odd {
			odd = true // they belong to the document that follows
			continue
		}
		line += bytes.Count(text[counted:from], []byte("\n"))
		counted = from
		document(text[from:at], line, odd)
		if at == len(text) {
			return
		}
		from, odd = after, !plain
		if odd {
			from = at
		}
	}
}

// markers finds the marker lines in a text, one after the other.
type markers struct {
	text         []byte
	dashes, dots int // the next line that begins so; -1 at first
}

// find gives the first marker line from the beginning of a line on, where it
// ends, and whether nothing but a comment stands on it.
func (m *markers) find(line int) (at, after int, plain bool) {
	for {
		m.dashes, m.dots = m.line(m.dashes, line, "\n---"), m.line(m.dots, line, "\n...")
		at = min(m.dashes, m.dots)
		if at >= len(m.text) {
			return len(m.text), len(m.text), true
		}
		rest := m.text[at+3:]
		after = len(m.text)
		if n := bytes.IndexByte(rest, '\n'); n >= 0 {
			rest, after = rest[:n], at+3+n+1
		}
		words := bytes.TrimLeft(rest, " \t\r")
		if len(rest) == 0 || len(words) < len(rest) {
			return at, after, len(words) == 0 || words[0] == '#'
		}
		line = after
	}
}

// line finds the next line that begins with a sign, unless it is known.
func (m *markers) line(known, from int, sign string) int {
	switch {
	case known >= from:
		return known
	case bytes.HasPrefix(m.text[from:], []byte(sign[1:])):
		return from
	}
	if n := bytes.Index(m.text[from:], []byte(sign)); n >= 0 {
		return from + n + 1
	}
	return len(m.text)
}

// isDirective says whether a text begins with a directive, such as %YAML 1.2.
func isDirective(text []byte) bool {
	at := significant(text)
	return at < len(text) && text[at] == '%' && (at == 0 || text[at-1] == '\n')
}

// significant gives the first character that is neither white space nor in a
// comment.
func significant(text []byte) int {
	for at := 0; at < len(text); {
		switch text[at] {
		case ' ', '\t', '\r', '\n':
			at++
		case '#':
			n := bytes.IndexByte(text[at:], '\n')
			if n < 0 {
				return len(text)
			}
			at += n
		default:
			return at
		}
	}
	return len(text)
}
