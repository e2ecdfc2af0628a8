// SPDX-License-Identifier: Apache-2.0

package document

import "bytes"

// scalar is a scalar as far as it matters what an object is called.
type scalar struct {
	text []byte
	is   kindOf
}

// kindOf is what YAML takes a scalar for.
type kindOf uint8

const (
	notScalar kindOf = iota
	aString          // on one line, without escapes
	aNull
	aBool
	anInteger // decimal, as JSON writes it
	unsure    // maybe a number, a date or something else; or a string in several pieces
)

// What a byte may be at.
const (
	keyStart uint8 = 1 << iota // the first of a plain key
	keyRest                    // inside a plain key
	flowSafe                   // inside a plain scalar in flow style
	numeric                    // inside a number
)

var class = classes()

func classes() (class [256]uint8) {
	for c := range class {
		switch c := byte(c); {
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			class[c] = keyStart | keyRest | flowSafe
		case c >= '0' && c <= '9':
			class[c] = keyStart | keyRest | flowSafe | numeric
		}
	}
	for _, c := range []byte("_./$") {
		class[c] |= keyStart | keyRest | flowSafe
	}
	class['-'] |= keyRest | flowSafe
	for _, c := range []byte("+=@~%()<>^;*") {
		class[c] |= flowSafe
	}
	for _, c := range []byte("abcdefABCDEFxXoO_.+-") {
		class[c] |= numeric
	}
	return class
}

// words are the plain scalars that are no strings (YAML 1.1, as kubectl reads
// it).
var words = map[string]kindOf{
	"null": aNull, "Null": aNull, "NULL": aNull, "~": aNull,
	"y": aBool, "Y": aBool, "yes": aBool, "Yes": aBool, "YES": aBool, "on": aBool, "On": aBool, "ON": aBool,
	"n": aBool, "N": aBool, "no": aBool, "No": aBool, "NO": aBool, "off": aBool, "Off": aBool, "OFF": aBool,
	"true": aBool, "True": aBool, "TRUE": aBool, "false": aBool, "False": aBool, "FALSE": aBool,
	"<<": unsure, "=": unsure,
}

// truth is what the words for true begin with; "on" and "off" need a second
// letter.
func truth(word []byte) bool {
	switch word[0] {
	case 'y', 'Y', 't', 'T':
		return true
	case 'o', 'O':
		return word[1] == 'n' || word[1] == 'N'
	}
	return false
}

// classify says what YAML takes a plain scalar for.
func classify(text []byte) kindOf {
	if len(text) <= 5 {
		if is, ok := words[string(text)]; ok {
			return is
		}
		if len(text) == 0 {
			return aNull
		}
	}
	c := text[0]
	digits := text
	switch {
	case c == '-' || c == '+':
		digits = text[1:]
		if len(digits) == 0 || digits[0] != '.' && (digits[0] < '0' || digits[0] > '9') {
			return aString
		}
	case c == '.' || c >= '0' && c <= '9':
	default:
		return aString
	}
	if c != '+' && integer(digits) {
		return anInteger
	}
	if digits[0] == '.' || maybeNumber(digits) {
		return unsure
	}
	return aString
}

// maybeNumber says whether something that begins with a digit may be a number:
// octal, hexadecimal, with an exponent or with underscores. Dates are strings
// to JSON.
func maybeNumber(text []byte) bool {
	prefixed := len(text) > 1 && text[0] == '0' && (text[1]|' ' == 'x' || text[1]|' ' == 'b' || text[1]|' ' == 'o')
	underscore, dots := false, 0
	for i, c := range text {
		switch {
		case class[c]&numeric == 0:
			return false
		case c == '_':
			underscore = true
		case c == '.':
			dots++
		}
		if prefixed || underscore || i == 0 {
			continue
		}
		exponent := text[i-1]|' ' == 'e'
		if (c == '+' || c == '-') && !exponent || c >= 'A' && c|' ' != 'e' {
			return false
		}
	}
	return dots < 2 || underscore
}

// integer says whether digits are what JSON, too, takes for an integer that
// fits 64 bits. -0 is none.
func integer(digits []byte) bool {
	if len(digits) > 18 || digits[0] == '0' && len(digits) > 1 {
		return false
	}
	for _, d := range digits {
		if d < '0' || d > '9' {
			return false
		}
	}
	return true
}

// inline reads the scalar or the flow style that begins on this line and goes
// to the first line after it.
func (s *scanner) inline(parent int, r role, h int) {
	switch c := s.text[s.at]; c {
	case '"', '\'':
		s.quoted(parent, c)
	case '|', '>':
		s.block(parent)
	case '[', '{':
		s.flow(r, h)
	case '&', '*', '!', '%', '@', '`', ',', ']', '}', '#', '?':
		s.decline()
	case '-', ':':
		if s.at+1 == s.end || s.text[s.at+1] == ' ' {
			s.decline()
			return
		}
		s.plain(parent)
	default:
		s.plain(parent)
	}
}

// plain reads a plain scalar, which goes on over lines that are deeper than
// its parent.
func (s *scanner) plain(parent int) {
	first, comment := s.plainLine()
	if s.declined {
		return
	}
	s.scratch = append(s.scratch[:0], first...)
	several := false
	for !comment {
		blanks, more := s.follow()
		if !more || s.indent <= parent || s.text[s.at] == '#' {
			break
		}
		if s.tab {
			s.decline()
			return
		}
		var text []byte
		text, comment = s.plainLine()
		several = true
		if s.write {
			s.fold(blanks)
			s.scratch = append(s.scratch, text...)
		}
	}
	if comment || s.indent >= 0 && s.text[s.at] == '#' {
		s.advance()
	} else if s.indent >= 0 && s.tab {
		s.decline()
	}
	if several {
		s.string(s.scratch, unsure)
		return
	}
	s.word(first)
}

// plainLine reads what of the line belongs to a plain scalar.
func (s *scanner) plainLine() (text []byte, comment bool) {
	line := s.text[s.at:s.end]
	for i, c := range line {
		if c == ':' && (i+1 == len(line) || line[i+1] == ' ') {
			s.decline()
			return nil, false
		}
		if c == '#' && i > 0 && line[i-1] == ' ' {
			line, comment = line[:i], true
			break
		}
	}
	return bytes.TrimRight(line, " "), comment
}

// follow goes to the next line that is not blank, be it a comment, and counts
// the blank ones.
func (s *scanner) follow() (blanks int, more bool) {
	for s.take() {
		if s.at < s.end {
			return blanks, true
		}
		blanks++
	}
	return blanks, false
}

// fold writes a line break as YAML folds it: into a space, or, where blank
// lines follow, into as many breaks as there are of those.
func (s *scanner) fold(blanks int) {
	if blanks == 0 {
		s.scratch = append(s.scratch, ' ')
	}
	for range blanks {
		s.scratch = append(s.scratch, '\n')
	}
}

// word writes a plain scalar of one line.
func (s *scanner) word(text []byte) {
	is := classify(text)
	s.last = scalar{text, is}
	if !s.write {
		return
	}
	switch is {
	case aString:
		s.out = appendString(s.out, text)
	case aNull:
		s.out = append(s.out, "null"...)
	case aBool:
		if truth(text) {
			s.out = append(s.out, "true"...)
		} else {
			s.out = append(s.out, "false"...)
		}
	case anInteger:
		if string(text) == "-0" {
			text = text[1:]
		}
		s.out = append(s.out, text...)
	default:
		s.decline()
	}
}

func (s *scanner) string(text []byte, is kindOf) {
	s.last = scalar{text, is}
	if s.write {
		s.out = appendString(s.out, text)
	}
}

// quoted reads a quoted scalar, which may go on over lines that are deeper than
// its parent.
func (s *scanner) quoted(parent int, quote byte) {
	from := s.at + 1
	s.scratch = s.scratch[:0]
	is := aString
	for {
		end, closed, escaped := s.closing(from, quote)
		if s.declined {
			return
		}
		if escaped {
			is = unsure
		}
		text := s.text[from:end]
		if closed {
			s.at = end + 1
			if is == aString {
				s.finish(text, is)
				return
			}
			if s.write {
				s.append(text, quote)
			}
			s.finish(s.scratch, is)
			return
		}
		is = unsure
		text = bytes.TrimRight(text, " ")
		if s.write {
			s.append(text, quote)
			if quote == '"' && len(text) > 0 && text[len(text)-1] == '\\' {
				s.decline()
				return
			}
		}
		blanks, more := s.follow()
		if !more || s.indent <= parent || s.tab {
			s.decline()
			return
		}
		from = s.at
		if s.write {
			s.fold(blanks)
		}
	}
}

// finish ends a quoted scalar: nothing may stand after it but a comment.
func (s *scanner) finish(text []byte, is kindOf) {
	if !s.over() {
		return
	}
	s.string(text, is)
	s.advance()
	if s.tab && s.indent >= 0 {
		s.decline()
	}
}

// over says whether the line ends here, but for a comment; else it declines.
func (s *scanner) over() bool {
	at := s.at
	s.spaces()
	if s.at < s.end && (s.text[s.at] != '#' || s.at == at) {
		s.decline()
		return false
	}
	return true
}

// closing finds the closing quote on this line, or the line's end.
func (s *scanner) closing(from int, quote byte) (end int, closed, escaped bool) {
	for i := from; i < s.end; i++ {
		switch c := s.text[i]; {
		case c == quote && quote == '\'' && i+1 < s.end && s.text[i+1] == '\'':
			i++
			escaped = true
		case c == quote:
			return i, true, escaped
		case c == '\\' && quote == '"':
			escaped = true
			i++
			if i < s.end && bytes.IndexByte([]byte(`nrt"\/`), s.text[i]) < 0 {
				s.decline()
				return
			}
		}
	}
	return s.end, false, escaped
}

// append writes a piece of a quoted scalar without its escapes.
func (s *scanner) append(text []byte, quote byte) {
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\'' && quote == '\'':
			i++
		case c == '\\' && quote == '"' && i+1 < len(text):
			i++
			c = text[i]
			switch c {
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			}
		}
		s.scratch = append(s.scratch, c)
	}
}

const hex = "0123456789abcdef"

// appendString writes a JSON string of what is valid UTF-8.
func appendString(out, text []byte) []byte {
	out = append(out, '"')
	from := 0
	for i, c := range text {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		out = append(out, text[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\n':
			out = append(out, '\\', 'n')
		case '\t':
			out = append(out, '\\', 't')
		case '\r':
			out = append(out, '\\', 'r')
		default:
			out = append(out, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(out, text[from:]...), '"')
}
