// SPDX-License-Identifier: Apache-2.0

package document

import (
	"bytes"
	"encoding/json"
)

// The functions of this file walk JSON that json.Valid has accepted, without
// building anything of it: an object of a megabyte costs no memory that way.

// blank skips white space.
func blank(text []byte, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t') {
		i++
	}
	return i
}

// afterString gives the end of the string that begins at i.
func afterString(text []byte, i int) int {
	for i++; i < len(text); i++ {
		switch text[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(text)
}

// afterValue gives the end of the value that begins at i, len(text) where it
// does not end.
func afterValue(text []byte, i int) int {
	depth := 0
	for i < len(text) {
		switch text[i] {
		case '"':
			i = afterString(text, i)
		case '{', '[':
			depth++
			i++
			continue
		case '}', ']':
			depth--
			i++
		case ' ', '\n', '\r', '\t', ',', ':':
			i++
			continue
		default:
			for i < len(text) && !ends[text[i]] {
				i++
			}
		}
		if depth <= 0 {
			return i
		}
	}
	return len(text)
}

// ends are the bytes that end a number or a word.
var ends = [256]bool{'{': true, '}': true, '[': true, ']': true, '"': true, ',': true, ':': true, ' ': true, '\n': true, '\r': true, '\t': true}

// members calls visit for each member of the object that begins at i, with the
// key as it is written, quotes included, and where the value begins; visit
// gives the value's end, so that no byte is walked twice. The result is the
// object's end.
func members(text []byte, i int, visit func(key []byte, from int) int) int {
	for i = blank(text, i+1); i < len(text) && text[i] == '"'; {
		end := afterString(text, i)
		i = blank(text, visit(text[i:end], blank(text, blank(text, end)+1)))
		if i < len(text) && text[i] == ',' {
			i = blank(text, i+1)
		}
	}
	return min(i+1, len(text))
}

// elements does with the array that begins at i what members does with an
// object.
func elements(text []byte, i int, visit func(from int) int) int {
	for i = blank(text, i+1); i < len(text) && text[i] != ']'; {
		i = blank(text, visit(i))
		if i < len(text) && text[i] == ',' {
			i = blank(text, i+1)
		}
	}
	return min(i+1, len(text))
}

// member finds a member of an object, the last one of this name; nil where
// there is none.
func member(object []byte, name string) []byte {
	var found []byte
	if len(object) == 0 || object[0] != '{' {
		return nil
	}
	members(object, 0, func(key []byte, from int) int {
		to := afterValue(object, from)
		if isKey(key, name) {
			found = object[from:to]
		}
		return to
	})
	return found
}

// isKey compares a key as it is written with a name; one that is written with
// escapes is decoded.
func isKey(quoted []byte, name string) bool {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return len(quoted) == len(name)+2 && string(quoted[1:len(quoted)-1]) == name
	}
	return unquote(quoted) == name
}

// unquote decodes a string; it is empty for what is none.
func unquote(value []byte) string {
	if len(value) < 2 || value[0] != '"' {
		return ""
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(bytes.ToValidUTF8(value[1:len(value)-1], []byte("\uFFFD")))
	}
	var text string
	if json.Unmarshal(value, &text) != nil {
		return ""
	}
	return text
}
