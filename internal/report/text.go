// SPDX-License-Identifier: Apache-2.0

package report

import (
	"strings"
	"unicode"

	"perennial.dev/perennial/internal/fact"
)

// plain is the visible form of a string that somebody else may have written.
func plain[T ~string](s T) string { return fact.Text(s).String() }

// wideRunes are the East Asian wide and fullwidth blocks and the emoji (UAX 11),
// coarsely: a terminal that disagrees about one rune shifts one line.
var wideRunes = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, {Lo: 0x2e80, Hi: 0x303e, Stride: 1}, {Lo: 0x3041, Hi: 0xa4cf, Stride: 1},
		{Lo: 0xa960, Hi: 0xa97f, Stride: 1}, {Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, {Lo: 0xf900, Hi: 0xfaff, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1}, {Lo: 0xff01, Hi: 0xff60, Stride: 1}, {Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1}, {Lo: 0x1f680, Hi: 0x1f9ff, Stride: 1}, {Lo: 0x20000, Hi: 0x3fffd, Stride: 1}},
}

func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case unicode.Is(wideRunes, r):
		return 2
	}
	return 1
}

// width is the number of columns that a string takes.
func width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// elide shortens a string to at most limit columns, with an ellipsis in the
// middle: names differ at both ends.
func elide(s string, limit int) string {
	if width(s) <= limit {
		return s
	}
	if limit < 1 {
		return ""
	}
	head := take(s, limit/2)
	return head + "…" + takeLast(s, limit-1-width(head))
}

// take is the longest prefix of at most limit columns.
func take(s string, limit int) string {
	n := 0
	for i, r := range s {
		if n += runeWidth(r); n > limit {
			return s[:i]
		}
	}
	return s
}

func takeLast(s string, limit int) string {
	r, n := []rune(s), 0
	for i := len(r) - 1; i >= 0; i-- {
		if n += runeWidth(r[i]); n > limit {
			return string(r[i+1:])
		}
	}
	return s
}

func pad(s string, to int) string {
	return s + strings.Repeat(" ", max(0, to-width(s)))
}

// wrap breaks text at spaces into lines of at most limit columns, and a word
// that is longer than a line where the line ends. 0 is no limit.
func wrap(text string, limit int) []string {
	if limit <= 0 {
		return []string{strings.Join(strings.Fields(text), " ")}
	}
	var lines []string
	line, used := "", 0
	for word := range strings.FieldsSeq(text) {
		for _, piece := range chop(word, limit) {
			w := width(piece)
			if used > 0 && used+1+w > limit {
				lines, line, used = append(lines, line), "", 0
			}
			if used > 0 {
				line, used = line+" ", used+1
			}
			line, used = line+piece, used+w
		}
	}
	return append(lines, line)
}

// chop cuts a word into pieces of at most limit columns; most are one piece.
func chop(word string, limit int) []string {
	var pieces []string
	for {
		head := take(word, limit)
		if len(head) == len(word) || head == "" { // the rest fits, or one rune is wider than the line
			break
		}
		pieces, word = append(pieces, head), word[len(head):]
	}
	return append(pieces, word)
}

// Styles are SGR parameters (ECMA-48), from the 16 colours that every terminal
// theme defines.
const (
	bold   = "1"
	faint  = "2"
	red    = "31;1"
	green  = "32"
	yellow = "33"
	purple = "35"
)

// page collects lines.
type page struct {
	b     strings.Builder
	width int
	color bool
}

// styled wraps text in a style; the style ends on the same line.
func (p *page) styled(style, text string) string {
	if !p.color || style == "" || text == "" {
		return text
	}
	return "\x1b[" + style + "m" + text + "\x1b[0m"
}

// line writes a line that fits already.
func (p *page) line(text string) {
	p.b.WriteString(strings.TrimRight(text, " "))
	p.b.WriteByte('\n')
}

// gap writes an empty line, but not two and none at the top.
func (p *page) gap() {
	if s := p.b.String(); s != "" && !strings.HasSuffix(s, "\n\n") {
		p.b.WriteByte('\n')
	}
}

// text writes wrapped text; lines after the first are indented.
func (p *page) text(style, text string, indent int) {
	for i, l := range wrap(text, p.room(indent)) {
		if i > 0 {
			l = strings.Repeat(" ", indent) + p.styled(style, l)
		} else {
			l = p.styled(style, l)
		}
		p.line(l)
	}
}

// room is what is left of the width beside an indentation; at least a few
// columns, since a narrower terminal wraps by itself.
func (p *page) room(indent int) int {
	if p.width <= 0 {
		return 0
	}
	return max(16, p.width-indent)
}

// finished is everything written, without empty lines at the end.
func (p *page) finished() string { return strings.TrimRight(p.b.String(), "\n") + "\n" }
