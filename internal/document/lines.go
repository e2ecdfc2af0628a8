// SPDX-License-Identifier: Apache-2.0

package document

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// lines is a place in a text, on a line.
type lines struct {
	start  int // of the line
	at     int // what comes next on it
	end    int // of the line, without its break
	indent int // the column of what comes next; -1 at the end of the document
	line   int // from 0
	next   int // where the next line begins
	tab    bool
}

// advance goes to the next line that is neither blank nor a comment.
func (s *scanner) advance() {
	for s.take() {
		if s.at == s.end || s.text[s.at] == '#' {
			continue
		}
		if s.tab {
			s.decline()
		}
		return
	}
}

// take goes to the next line, and to the first character of it that is no
// space. Characters that end lines in YAML but nowhere else, and those that
// YAML forbids, make the scanner decline.
func (s *scanner) take() bool {
	if s.next >= len(s.text) {
		s.indent = -1
		return false
	}
	s.start, s.line = s.next, s.line+1
	if n := bytes.IndexByte(s.text[s.start:], '\n'); n >= 0 {
		s.end, s.next = s.start+n, s.start+n+1
	} else {
		s.end, s.next = len(s.text), len(s.text)
	}
	if s.end > s.start && s.text[s.end-1] == '\r' {
		s.end--
	}
	s.tab = false
	line := s.text[s.start:s.end]
	if !ordinary(line) && !s.unusual(line) {
		s.decline()
		return false
	}
	i := 0
	for i < len(line) && line[i] == ' ' {
		i++
	}
	s.at, s.indent = s.start+i, i
	return true
}

// ordinary says that a line holds nothing but printable ASCII.
func ordinary(line []byte) bool {
	const each, high = 0x0101010101010101, 0x8080808080808080
	for len(line) >= 8 {
		w := binary.LittleEndian.Uint64(line)
		delete := w ^ 0x7F*each
		if (w|(w-0x20*each)&^w|(delete-each)&^delete)&high != 0 {
			return false
		}
		line = line[8:]
	}
	for _, c := range line {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

// unusual says whether a line that is not ordinary is one that the scanner
// knows all the same, and notes tabs.
func (s *scanner) unusual(line []byte) bool {
	for i := 0; i < len(line); {
		r, n := utf8.DecodeRune(line[i:])
		switch {
		case r == '\t':
			s.tab = true
		case r < ' ' || r >= 0x7F && r < 0xA0 || r == '\u2028' || r == '\u2029' || r == '\uFEFF' || r == '\uFFFE' || r == '\uFFFF':
			return false
		case r == utf8.RuneError && n == 1:
			return false
		}
		i += n
	}
	return true
}
