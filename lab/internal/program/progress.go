// SPDX-License-Identifier: Apache-2.0

package program

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress counts packages on one live line of a terminal, or on a line every
// 15 seconds elsewhere.
type progress struct {
	w     io.Writer
	live  bool
	title string
	total int
	start time.Time
	stop  chan struct{}
	done  sync.WaitGroup

	mu    sync.Mutex
	phase phase
	count int // modules fetched, or packages compiled
}

type phase int

const (
	fetching phase = iota
	compiling
	linking
)

func newProgress(w io.Writer, title string) *progress {
	f, isFile := w.(*os.File)
	p := &progress{w: w, title: title, start: time.Now(), stop: make(chan struct{})}
	p.live = isFile && term.IsTerminal(int(f.Fd()))
	every := 15 * time.Second
	if p.live {
		every = time.Second / 2
	}
	p.show()
	p.done.Go(func() {
		ticks := time.NewTicker(every)
		defer ticks.Stop()
		for {
			select {
			case <-ticks.C:
				p.show()
			case <-p.stop:
				return
			}
		}
	})
	return p
}

func (p *progress) fetched()  { p.step(fetching) }
func (p *progress) compiled() { p.step(compiling) }

func (p *progress) step(of phase) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.phase == of {
		p.count++
	}
}

func (p *progress) compiling(total int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase, p.count, p.total = compiling, 0, total
}

func (p *progress) linking() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase = linking
}

// line fits a terminal of 80 columns.
func (p *progress) line() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	doing := "linking"
	switch p.phase {
	case fetching:
		doing = fmt.Sprintf("%d modules fetched", p.count)
	case compiling:
		doing = fmt.Sprintf("%d of up to %d packages", p.count, p.total)
	}
	return fmt.Sprintf("%s: %s, %v", p.title, doing, since(p.start))
}

func (p *progress) show() {
	if p.live {
		fmt.Fprintf(p.w, "\r\x1b[K%s", p.line())
		return
	}
	fmt.Fprintln(p.w, p.line())
}

func (p *progress) finish(ok bool) {
	close(p.stop)
	p.done.Wait()
	if p.live {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	verb := "done"
	if !ok {
		verb = "failed"
	}
	fmt.Fprintf(p.w, "%s: %s after %v\n", p.title, verb, since(p.start))
}
