// SPDX-License-Identifier: Apache-2.0

package document

import "bytes"

// header is what stands after the | or > of a block scalar.
type header struct {
	indent int  // as it is given; 0 where it follows from the first line
	chomp  byte // '-', '+' or 0
	folded bool
}

func (s *scanner) header() (h header, ok bool) {
	h.folded = s.text[s.at] == '>'
	s.at++
	for s.at < s.end {
		switch c := s.text[s.at]; {
		case c >= '1' && c <= '9' && h.indent == 0:
			h.indent = int(c - '0')
		case (c == '-' || c == '+') && h.chomp == 0:
			h.chomp = c
		default:
			return h, s.over()
		}
		s.at++
	}
	return h, true
}

// block reads a literal or folded block scalar and goes to the first line after
// it. What the lines look like that are deeper than its parent is all the same,
// which is why a manifest in a ConfigMap is nothing here.
func (s *scanner) block(parent int) {
	h, ok := s.header()
	if !ok || s.tab || s.write && h.folded {
		s.decline()
		return
	}
	indent := 0
	if h.indent > 0 {
		indent = max(parent, 0) + h.indent
	}
	s.scratch = s.scratch[:0]
	lead, kept := 0, 0 // the deepest blank line before the first; how long the text is without blank lines at its end
	for s.take() {
		if s.at == s.end && (indent == 0 || s.indent <= indent) {
			lead = max(lead, s.indent)
			s.scratch = append(s.scratch, '\n')
			continue
		}
		if indent == 0 {
			indent = max(s.indent, parent+1, 1)
			if lead > s.indent || s.text[s.at] == '\t' {
				s.decline()
				return
			}
		}
		if s.indent < indent {
			if s.text[s.at] == '\t' {
				s.decline()
			}
			break
		}
		if s.write {
			s.scratch = append(append(s.scratch, s.text[s.start+indent:s.end]...), '\n')
			kept = len(s.scratch)
		}
	}
	if s.write {
		s.string(chomped(s.scratch, kept, h.chomp), unsure)
	}
	s.last = scalar{is: unsure}
	s.resume()
}

// chomped ends the text of a block scalar as its header says.
func chomped(text []byte, kept int, chomp byte) []byte {
	switch {
	case chomp == '+':
		return text
	case kept == 0:
		return nil
	case chomp == '-':
		return bytes.TrimSuffix(text[:kept], []byte("\n"))
	}
	return text[:kept]
}

// resume makes the line at which a scalar ended the current one, unless it is
// a comment.
func (s *scanner) resume() {
	switch {
	case s.indent < 0:
	case s.text[s.at] == '#':
		s.advance()
	case s.tab:
		s.decline()
	}
}
