// SPDX-License-Identifier: Apache-2.0

package page

import (
	"fmt"
	"regexp"
	"time"
	"unicode/utf8"

	"perennial.dev/perennial/internal/fact"
)

// plain makes safe to show what may hold anything.
func plain[T ~string](s T) string { return fact.Text(s).String() }

// longest is how much of one text is shown, in bytes: a name in a certificate may
// have any length.
const longest = 2000

// short is a text that is safe to show and of bearable length.
func short[T ~string](s T) string {
	return clip(plain(s), longest)
}

func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	cut := most
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return fmt.Sprintf("%s … and %d more bytes", text[:cut], len(text)-cut)
}

// elide leaves the start and the end of a text that has more than most characters.
func elide(text string, most int) string {
	r := []rune(text)
	if len(r) <= most {
		return text
	}
	head := most / 2
	return string(r[:head]) + "…" + string(r[len(r)-(most-head-1):])
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func minute(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// piece is a part of a sentence. The one that answers when is in two parts, of which
// the first stays on one line.
type piece struct{ Text, When, Left string }

var (
	instant = regexp.MustCompile(`(on \d{4}-\d\d-\d\d|today at \d\d:\d\d UTC)( \([^()]*\))`)
	stop    = regexp.MustCompile(`\. \p{Lu}`)
)

// sentences cuts a headline into its first sentence and the others, at most
// longest of both.
func sentences(headline string) (first, rest []piece) {
	text := short(headline)
	if at := stop.FindStringIndex(text); at != nil {
		return pieces(text[:at[0]+1]), pieces(text[at[0]+2:])
	}
	return pieces(text), nil
}

func pieces(text string) []piece {
	var all []piece
	for {
		at := instant.FindStringSubmatchIndex(text)
		if at == nil {
			return append(all, piece{Text: text})
		}
		all = append(all, piece{Text: text[:at[0]]}, piece{When: text[at[2]:at[3]], Left: text[at[4]:at[5]]})
		text = text[at[1]:]
	}
}

func (p piece) String() string { return p.Text + p.When + p.Left }

// longHeadline is the length from which a headline is set smaller, in letters.
const longHeadline = 110

func lengthOf(all []piece) int {
	n := 0
	for _, p := range all {
		n += utf8.RuneCountInString(p.String())
	}
	return n
}
