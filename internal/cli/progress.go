// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"

	"perennial.dev/perennial/internal/fact"
)

// When progress is shown, and how often: what is done soon needs none.
const (
	progressAfter = 2 * time.Second
	progressEvery = 250 * time.Millisecond
)

// progress shows on one line of a terminal that something takes long, for how long,
// and how much of it is done. It goes on when nothing is counted: whoever waits for
// what does not answer is to see that, too. The zero progress shows nothing.
type progress struct {
	doing string
	unit  atomic.Pointer[string]
	seen  atomic.Int64

	mu      sync.Mutex
	to      io.Writer // nil shows nothing
	begun   time.Time
	now     func() time.Time
	stands  bool // something stands on the line
	stop    chan struct{}
	stopped sync.Once
}

// progressOf shows on standard error what is done, if that is a terminal.
func progressOf(s Streams, doing string) *progress {
	file, ok := s.Err.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return &progress{}
	}
	p := &progress{doing: doing, to: s.Err, now: s.Now, begun: s.Now(), stop: make(chan struct{})}
	go p.run()
	return p
}

func (p *progress) run() {
	ticks := time.NewTicker(progressEvery)
	defer ticks.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-ticks.C:
			p.show()
		}
	}
}

func (p *progress) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := p.now().Sub(p.begun)
	if p.to == nil || took < progressAfter {
		return
	}
	text := fmt.Sprintf("%s, %d s", fact.Text(p.doing), int(took.Seconds()))
	if unit := p.unit.Load(); unit != nil {
		text = fmt.Sprintf("%s: %d %s, %d s", fact.Text(p.doing), p.seen.Load(), *unit, int(took.Seconds()))
	}
	fmt.Fprintf(p.to, "\r%s\x1b[K", text)
	p.stands = true
}

// step counts one more of a unit, such as "objects".
func (p *progress) step(unit string) {
	if p.seen.Add(1) == 1 {
		p.unit.Store(&unit)
	}
}

// again counts from the beginning.
func (p *progress) again() { p.seen.Store(0) }

// end clears the line. Nothing is shown any more.
func (p *progress) end() {
	if p.stop != nil {
		p.stopped.Do(func() { close(p.stop) })
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stands {
		fmt.Fprint(p.to, "\r\x1b[K")
	}
	p.to, p.stands = nil, false
}
