// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// When progress is shown, and how often: what is done soon needs none.
const (
	progressAfter = 2 * time.Second
	progressEvery = 250 * time.Millisecond
)

// progress counts on one line of a terminal while something takes long. The
// zero progress shows nothing.
type progress struct {
	to   io.Writer // nil shows nothing
	now  func() time.Time
	next time.Time
	seen int
	was  bool // something stands on the line
}

// newProgress shows what is done on standard error, if that is a terminal.
func newProgress(s Streams) *progress {
	file, ok := s.Err.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return &progress{}
	}
	return &progress{to: s.Err, now: s.Now, next: s.Now().Add(progressAfter)}
}

// step counts one more. Reading the clock is left for every 64th.
func (p *progress) step(what string) {
	if p.seen++; p.to == nil || p.seen%64 != 0 {
		return
	}
	if now := p.now(); now.After(p.next) {
		p.next, p.was = now.Add(progressEvery), true
		fmt.Fprintf(p.to, "\r%d %s looked at", p.seen, what)
	}
}

// end clears the line.
func (p *progress) end() {
	if p.was {
		fmt.Fprint(p.to, "\r\x1b[K")
		p.was = false
	}
}
