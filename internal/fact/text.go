// SPDX-License-Identifier: Apache-2.0

package fact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is a string that somebody else wrote: a name in a certificate, an
// argument of a process, the message of a server. It may hold anything, so it
// prints with every control and bidirectional character escaped, in text and
// in JSON alike. The bytes themselves are kept; JSON decodes to the same
// string, but for bytes that are no UTF-8, which become U+FFFD.
type Text string

// String returns the text with unsafe characters written as \x1b or \u202e.
// A backslash stays as it is: the result is for people, not for parsing.
func (t Text) String() string {
	if !t.hasHostile() {
		return string(t)
	}
	var b strings.Builder
	for i := 0; i < len(t); {
		r, n := utf8.DecodeRuneInString(string(t[i:]))
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, t[i])
		case hostile(r) && r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case hostile(r) && r > 0xFFFF:
			fmt.Fprintf(&b, `\U%08x`, r)
		case hostile(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
		i += n
	}
	return b.String()
}

// Format makes every verb of package fmt print the escaped form.
func (t Text) Format(f fmt.State, verb rune) {
	fmt.Fprintf(f, fmt.FormatString(f, verb), t.String())
}

// MarshalJSON escapes what encoding/json leaves as it is: C1 controls and
// bidirectional characters.
func (t Text) MarshalJSON() ([]byte, error) {
	plain, err := json.Marshal(string(t))
	if err != nil || !t.hasHostile() {
		return plain, err
	}
	return escapeJSON(plain), nil
}

// escapeJSON escapes within JSON on one line, in which all but ASCII stands
// inside strings.
func escapeJSON(plain []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(plain) {
		switch {
		case r < 0x7F:
			b.WriteByte(byte(r))
		case hostile(r) && r > 0xFFFF:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xD800+(r>>10), 0xDC00+(r&0x3FF))
		case hostile(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.Bytes()
}

func (t Text) hasHostile() bool {
	for _, r := range string(t) {
		if hostile(r) || r == utf8.RuneError {
			return true
		}
	}
	return false
}

// hostile says whether a character can move a terminal's cursor, hide or
// reorder what stands beside it: controls (Cc), and formats (Cf), which
// include the bidirectional controls, zero-width characters and tags; also the
// line and paragraph separators.
func hostile(r rune) bool {
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) ||
		r == '\u2028' || r == '\u2029'
}
