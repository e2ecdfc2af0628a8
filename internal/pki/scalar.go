// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
)

// scalar is a place in YAML or JSON text that looks like a field of a mapping
// and its value. It is only a guess: whoever edits it parses the result and
// compares.
type scalar struct {
	name       edit // the field's name, without its quotes; text is unused
	start, end int  // the value, with its quotes or its block's header
	from, to   int  // what is written inside of them
	quote      byte // ' or ", 0 for none
	block      bool // a block scalar (| or >)
	alias      bool // a reference (*name)
}

const (
	maxPlaces = 100  // of one field in one file
	nearby    = 8192 // bytes between a field's name and the end of its value, beyond the value's own
)

// places finds where a field may stand with a value that is, white space
// aside, the given one, or that is a reference.
func places(data []byte, field, value string) []scalar {
	wanted := squeezed([]byte(value))
	var found []scalar
	for pos := 0; ; {
		i := bytes.Index(data[pos:], []byte(field))
		if i < 0 || len(found) > maxPlaces {
			return found
		}
		start := pos + i
		pos = start + len(field)
		s, ok := scalarAt(data[:min(len(data), pos+nearby+4*len(value))], start, pos)
		if ok && (s.alias || bytes.Equal(squeezed(data[s.from:s.to]), wanted)) {
			found = append(found, s)
		}
	}
}

// squeezed leaves out what the encodings of one base64 text differ in: white
// space, and the backslashes that JSON may put before slashes.
func squeezed(text []byte) []byte {
	var kept []byte
	for _, c := range text {
		if strings.IndexByte(" \t\r\n\\", c) < 0 {
			kept = append(kept, c)
		}
	}
	return kept
}

// scalarAt reads the rest of a field whose name stands between start and end.
func scalarAt(data []byte, start, end int) (scalar, bool) {
	s := scalar{name: edit{start: start, end: end}}
	pos := end
	if start > 0 {
		switch before := data[start-1]; {
		case before == '"' || before == '\'':
			if pos >= len(data) || data[pos] != before {
				return s, false
			}
			pos++
		case strings.IndexByte(" \t\r\n{,", before) < 0:
			return s, false
		}
	}
	pos = skipBlank(data, pos)
	if pos >= len(data) || data[pos] != ':' {
		return s, false
	}
	pos = skipProperties(data, pos+1)
	if pos >= len(data) {
		return s, false
	}
	s.start = pos
	switch c := data[pos]; c {
	case '"', '\'':
		return s.quoted(data, c)
	case '|', '>':
		return s.blockScalar(data)
	case '*':
		s.alias, s.end = true, len(data)
		if i := bytes.IndexAny(data[pos:], " \t\r\n,]}"); i >= 0 {
			s.end = pos + i
		}
	default:
		s.end = pos
		for s.end < len(data) && isBase64(data[s.end:s.end+1]) && data[s.end] != ' ' && data[s.end] != '\t' {
			s.end++
		}
	}
	s.from, s.to = s.start, s.end
	return s, s.end > s.start
}

// skipBlank passes white space and comments.
func skipBlank(data []byte, pos int) int {
	for pos < len(data) {
		switch c := data[pos]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			pos++
		case c == '#' && pos > 0 && strings.IndexByte(" \t\r\n", data[pos-1]) >= 0:
			end := bytes.IndexByte(data[pos:], '\n')
			if end < 0 {
				return len(data)
			}
			pos += end
		default:
			return pos
		}
	}
	return pos
}

// skipProperties passes tags (!!str) and anchors (&name) too.
func skipProperties(data []byte, pos int) int {
	for pos = skipBlank(data, pos); pos < len(data) && (data[pos] == '!' || data[pos] == '&'); pos = skipBlank(data, pos) {
		end := bytes.IndexAny(data[pos:], " \t\r\n")
		if end < 0 {
			return len(data)
		}
		pos += end
	}
	return pos
}

func (s scalar) quoted(data []byte, quote byte) (scalar, bool) {
	s.quote, s.from = quote, s.start+1
	for pos := s.from; pos < len(data); pos++ {
		switch {
		case quote == '"' && data[pos] == '\\':
			pos++
		case data[pos] == quote:
			s.to, s.end = pos, pos+1
			return s, true
		}
	}
	return s, false
}

// blockScalar reads a block scalar: its lines are indented like the first one.
func (s scalar) blockScalar(data []byte) (scalar, bool) {
	s.block = true
	newline := bytes.IndexByte(data[s.start:], '\n')
	if newline < 0 {
		return s, false
	}
	pos := s.start + newline + 1
	for line := range bytes.Lines(data[pos:]) {
		text := bytes.TrimRight(line, " \t\r\n")
		indent := len(text) - len(bytes.TrimLeft(text, " "))
		switch {
		case len(text) == 0:
		case s.from == 0 && indent > 0:
			s.from, s.to = pos+indent, pos+len(text)
		case s.from > 0 && indent >= s.from-lineStart(data, s.from):
			s.to = pos + len(text)
		default:
			s.end = s.to
			return s, s.from > 0
		}
		pos += len(line)
	}
	s.end = s.to
	return s, s.from > 0
}

func lineStart(data []byte, pos int) int { return bytes.LastIndexByte(data[:pos], '\n') + 1 }

// withBase64 writes a base64 text as the value, in the style of the old one.
// It needs no escapes in any style.
func (s scalar) withBase64(data []byte, text string) []byte {
	return apply(data, []edit{{s.from, s.to, []byte(text)}})
}

var plainPath = regexp.MustCompile(`^/[A-Za-z0-9._/+@-]*$`)

// withFile renames the field and writes a path as its value.
func (s scalar) withFile(data []byte, field, path string) ([]byte, error) {
	value, err := s.path(data, path)
	if err != nil {
		return nil, err
	}
	return apply(data, []edit{{s.name.start, s.name.end, []byte(field)}, {s.start, s.end, value}}), nil
}

// path quotes a path as the old value was quoted, or as it needs to be.
func (s scalar) path(data []byte, path string) ([]byte, error) {
	header, _, _ := bytes.Cut(data[s.start:s.end], []byte("\n"))
	switch {
	case s.block && bytes.IndexByte(header, '#') >= 0:
		return nil, errors.New("there is a comment inside the value")
	case s.quote == '\'':
		return []byte("'" + strings.ReplaceAll(path, "'", "''") + "'"), nil
	case s.quote == 0 && plainPath.MatchString(path):
		return []byte(path), nil
	}
	return json.Marshal(path)
}
