// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/page"
	"perennial.dev/perennial/internal/publish"
	"perennial.dev/perennial/internal/timeline"
	"perennial.dev/perennial/internal/workbench"
)

// serveOptions are those of a look that is taken again and again.
type serveOptions struct {
	checkOptions
	listen string
	every  time.Duration
	state  string
}

// The address, and how often is looked. Less than minEvery would be one look after
// the other.
const (
	serveListen = "127.0.0.1:9465"
	serveEvery  = time.Minute
	minEvery    = 5 * time.Second
)

func newServe(s Streams) *cobra.Command {
	o := &serveOptions{}
	cmd := &cobra.Command{
		Use: "serve", GroupID: "look", Short: "The same as a page that stays up to date, for this machine's browser",
		Long: `Looks as perennial check does, again and again, and serves what it found as a page:
with the history of this node's changes and, where an agent keeps it, what that one
does next. The page brings itself up to date and keeps what is open in it.

It listens on a loopback address only, answers nobody who asks for another name, and
changes nothing. From elsewhere, reach it through SSH:

  ssh -L 9465:127.0.0.1:9465 NODE sudo perennial serve`,
		Example: `  sudo perennial serve
  perennial serve --endpoint 10.0.0.1:6443 --every 10m
  perennial serve --to 1.37 --context production --context staging --every 1h`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), s) },
	}
	o.lookOptions.addFlags(cmd)
	o.upgradeOptions.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.listen, "listen", serveListen, "loopback `address` to serve on, host:port; port 0 takes a free one")
	f.DurationVar(&o.every, "every", serveEvery, "time between two looks")
	f.BoolVar(&o.open, "open", false, "also open it in a browser (as root: say its address)")
	f.StringVar(&o.state, "state", workbench.DefaultState, "`directory` of the journal and of what the agent says")
	_ = cmd.MarkFlagDirname("state")
	return cmd
}

func (o *serveOptions) run(ctx context.Context, s Streams) error {
	switch {
	case o.every < minEvery:
		return usageError{fmt.Errorf("reading --every: %s is too often: want %s or more", o.every, minEvery)}
	case o.replay == "-" || slices.Contains(o.files, "-"):
		return usageError{errors.New("standard input can be read once only: give a file, since it is looked at again")}
	}
	if err := o.check(); err != nil {
		return err
	}
	listener, err := publish.Listen(ctx, o.listen)
	if err != nil {
		return err
	}
	// A look that is wrong in itself is told before anything is served.
	w := &watcher{options: o, streams: s, began: s.Now()}
	if err := w.look(ctx); err != nil {
		return errors.Join(err, listener.Close())
	}
	address := "http://" + listener.Addr().String() + "/"
	fmt.Fprintf(s.Err, "serving %s until it is ended (Ctrl-C)\n", address)
	o.browse(ctx, s, address)
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(ended)
		w.again(ctx)
	}()
	err = publish.Serve(ctx, listener, "the page", publish.NewPageServer(page.Policy(true), w.shown))
	cancel()
	<-ended
	return err
}

// browse opens the page in a browser, where that is wanted and possible.
func (o *serveOptions) browse(ctx context.Context, s Streams, address string) {
	if !o.open {
		return
	}
	program, why := desktop{system: runtime.GOOS, uid: os.Geteuid(), getenv: s.Getenv, find: exec.LookPath}.browser()
	if why == "" {
		why = launch(ctx, launchTimeout, program, address)
	}
	if why != "" {
		fmt.Fprintf(s.Err, "it was not opened: %s\n", fact.Text(why))
	}
}

// watcher looks at intervals and keeps the page of the last look that did not fail.
type watcher struct {
	options *serveOptions
	streams Streams
	began   time.Time

	// Of the loop alone.
	looks  int
	all    []timeline.Timeline
	failed string

	mutex sync.Mutex
	page  publish.Shown
}

func (w *watcher) shown() publish.Shown {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.page
}

// again looks until the context ends. A look that fails leaves what was seen before
// on the page, which says so.
func (w *watcher) again(ctx context.Context) {
	ticker := time.NewTicker(w.options.every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := w.look(ctx); err != nil && ctx.Err() == nil {
			w.failed = err.Error()
			complain(w.streams, "perennial: looking: ", w.failed)
			if err := w.render(); err != nil {
				complain(w.streams, "perennial: ", err.Error())
			}
		}
	}
}

// look looks once and shows it.
func (w *watcher) look(ctx context.Context) error {
	all, err := w.options.timelines(ctx, w.streams)
	if err != nil {
		return err
	}
	w.all, w.failed = all, ""
	return w.render()
}

func (w *watcher) render() error {
	w.looks++
	live := w.options.beside(w.streams)
	live.Version, live.Every, live.Failed = fmt.Sprintf("%d-%d", w.began.Unix(), w.looks), w.options.every, w.failed
	var b bytes.Buffer
	if err := page.Write(&b, w.all, page.Options{Live: &live}); err != nil {
		return err
	}
	state := page.State{Version: live.Version, Every: int(w.options.every / time.Second), Failed: fact.Text(w.failed).String()}
	for _, t := range w.all {
		if state.Seen.IsZero() || t.ObservedAt.Before(state.Seen) {
			state.Seen = t.ObservedAt
		}
	}
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.page = publish.Shown{Body: b.Bytes(), State: state}
	return nil
}
