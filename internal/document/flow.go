// SPDX-License-Identifier: Apache-2.0

package document

import "bytes"

// flow reads flow style that ends on its line, and goes to the next one.
func (s *scanner) flow(r role, h int) {
	empty := s.at+1 < s.end && (s.text[s.at+1] == ']' || s.text[s.at+1] == '}')
	if (r == itemsRole || r == metadataRole || r == annotationsRole) && !empty {
		s.decline() // an object or its name may be in there
		return
	}
	if r == itemsRole && s.text[s.at] == '[' {
		s.heads[h].items = true
	}
	s.collection()
	if s.declined || !s.over() {
		return
	}
	s.last = scalar{is: notScalar}
	s.advance()
}

// collection reads a sequence or mapping in flow style.
func (s *scanner) collection() {
	if !s.deeper() {
		return
	}
	opened := s.text[s.at]
	closing := opened + 2 // in ASCII
	s.open(opened)
	s.at++
	for first := true; ; first = false {
		s.spaces()
		if s.at == s.end {
			s.decline()
			return
		}
		if s.text[s.at] == closing {
			break
		}
		if s.write && !first {
			s.out = append(s.out, ',')
		}
		if opened == '{' && !s.flowKey() {
			s.decline()
			return
		}
		s.flowValue()
		s.spaces()
		if s.declined || s.at == s.end || s.text[s.at] != ',' && s.text[s.at] != closing {
			s.decline()
			return
		}
		if s.text[s.at] == ',' {
			s.at++
		}
	}
	s.at++
	s.open(closing)
	s.depth--
}

// flowKey reads a key and its colon.
func (s *scanner) flowKey() bool {
	text, quoted, ok := s.flowScalar()
	if !ok || len(text) > 512 || s.at+1 >= s.end || s.text[s.at] != ':' || s.text[s.at+1] != ' ' {
		return false
	}
	s.at++
	s.spaces()
	s.member(text, quoted, true)
	return s.at < s.end && !s.declined
}

func (s *scanner) flowValue() {
	if c := s.text[s.at]; c == '[' || c == '{' {
		s.collection()
		return
	}
	text, quoted, ok := s.flowScalar()
	switch {
	case !ok:
		s.decline()
	case quoted:
		s.string(text, aString)
	default:
		s.word(text)
	}
}

// flowScalar reads a quoted scalar without escapes, or a plain one of
// characters that mean nothing in flow style.
func (s *scanner) flowScalar() (text []byte, quoted, ok bool) {
	rest := s.text[s.at:s.end]
	if c := rest[0]; c == '"' || c == '\'' {
		n := bytes.IndexByte(rest[1:], c)
		if n < 0 || bytes.IndexByte(rest[1:n+1], '\\') >= 0 || n+2 < len(rest) && rest[n+2] == c {
			return nil, false, false
		}
		s.at += n + 2
		return rest[1 : n+1], true, true
	}
	n := 0
	for n < len(rest) && n < 512 && class[rest[n]]&flowSafe != 0 {
		n++
	}
	switch {
	case n == 0 || n == 512:
		return nil, false, false
	case class[rest[0]]&keyStart == 0:
		// The indicators among them: a dash begins a word only before a letter.
		if rest[0] != '-' || n < 2 || class[rest[1]]&(keyStart|flowSafe) == 0 {
			return nil, false, false
		}
	}
	s.at += n
	return rest[:n], false, true
}
