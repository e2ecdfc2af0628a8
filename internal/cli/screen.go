// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"golang.org/x/term"
)

// What a terminal is told (ECMA-48, and xterm's private modes that every terminal
// of today has).
const (
	enterScreen = "\x1b[?1049h\x1b[?25l\x1b[?7l" // another screen, no cursor, cut what is too long
	leaveScreen = "\x1b[?7h\x1b[?25h\x1b[?1049l"
	beginFrame  = "\x1b[?2026h" // show nothing until the end of the frame
	endFrame    = "\x1b[?2026l"
	clearScreen = "\x1b[2J"
	clearLine   = "\x1b[K"
)

// screen is a terminal of which this program has all lines. Only what has changed is
// written.
type screen struct {
	out           *os.File
	in            *os.File // nil: no keys
	cooked        *term.State
	width, height int
	shown         []string // nil: nothing is known of what is there
}

// openScreen takes a terminal; nil where there is none that can be written line by
// line.
func openScreen(s Streams) (*screen, error) {
	out, ok := s.Out.(*os.File)
	if !ok || !term.IsTerminal(int(out.Fd())) || s.Getenv("TERM") == "dumb" || s.Getenv("TERM") == "" {
		return nil, nil
	}
	c := &screen{out: out}
	if in, ok := s.In.(*os.File); ok && term.IsTerminal(int(in.Fd())) {
		cooked, err := term.MakeRaw(int(in.Fd()))
		if err != nil {
			return nil, err
		}
		c.in, c.cooked = in, cooked
	}
	c.measure()
	_, err := io.WriteString(out, enterScreen)
	return c, err
}

// close leaves the terminal as it was.
func (c *screen) close() {
	_, _ = io.WriteString(c.out, leaveScreen) // a terminal that is gone needs nothing
	if c.cooked != nil {
		_ = term.Restore(int(c.in.Fd()), c.cooked)
	}
}

// measure asks for the size. After a change nothing is known of what is shown.
func (c *screen) measure() {
	width, height, err := term.GetSize(int(c.out.Fd()))
	if err != nil || width < 1 || height < 1 {
		width, height = 80, 24
	}
	c.width, c.height, c.shown = width, height, nil
}

// draw shows lines from the top and writes those that are not there yet.
func (c *screen) draw(lines []string) error {
	lines = lines[:min(len(lines), c.height)]
	var b strings.Builder
	if c.shown == nil {
		b.WriteString(clearScreen)
		c.shown = []string{}
	}
	for n := range max(len(lines), len(c.shown)) {
		line := ""
		if n < len(lines) {
			line = lines[n]
		}
		if n < len(c.shown) && c.shown[n] == line || n >= len(c.shown) && line == "" {
			continue
		}
		b.WriteString(at(n+1) + line + clearLine)
	}
	c.shown = append([]string{}, lines...)
	if b.Len() == 0 {
		return nil
	}
	_, err := io.WriteString(c.out, beginFrame+b.String()+endFrame)
	return err
}

func at(line int) string { return "\x1b[" + strconv.Itoa(line) + ";1H" }

// keys sends what is typed, until reading ends.
func (c *screen) keys() <-chan string {
	typed := make(chan string)
	if c.in == nil {
		return typed
	}
	go func() {
		buffer := make([]byte, 64)
		for {
			n, err := c.in.Read(buffer)
			if err != nil {
				return
			}
			for _, key := range key.FindAllString(string(buffer[:n]), -1) {
				typed <- key
			}
		}
	}()
	return typed
}

// key is a key as a terminal sends it: a control sequence, or a character.
var key = regexp.MustCompile(`(?s)\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|.`)

// styled is a piece of a line: a change of style, or a character.
var styled = regexp.MustCompile(`\x1b\[[0-9;]*m|(?s).`)

// folded breaks a line that is longer than the width. A style goes on below.
func folded(line string, width int) []string {
	var all []string
	var b strings.Builder
	used, style := 0, ""
	for _, piece := range styled.FindAllString(line, -1) {
		if piece[0] == '\x1b' {
			style = piece
			b.WriteString(piece)
			continue
		}
		if used == width {
			if style != "" && style != resetStyle {
				b.WriteString(resetStyle)
			}
			all = append(all, b.String())
			b.Reset()
			used = 0
			if style != resetStyle {
				b.WriteString(style)
			}
		}
		b.WriteString(piece)
		used++
	}
	return append(all, b.String())
}

const resetStyle = "\x1b[0m"
