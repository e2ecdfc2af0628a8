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
	count int
	phase string
}

func newProgress(w io.Writer, title string, total int) *progress {
	f, isFile := w.(*os.File)
	p := &progress{w: w, title: title, total: total, start: time.Now(), stop: make(chan struct{}), phase: "compiled"}
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

func (p *progress) compiled() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
}

func (p *progress) linking() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase = "compiled, linking"
}

func (p *progress) show() {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := fmt.Sprintf("%s: %d of at most %d packages %s, %v", p.title, p.count, p.total, p.phase, since(p.start))
	if p.live {
		fmt.Fprintf(p.w, "\r\x1b[K%s", line)
		return
	}
	fmt.Fprintln(p.w, line)
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
