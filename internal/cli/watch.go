// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/report"
	"perennial.dev/perennial/internal/timeline"
)

// watchOptions say whether a command looks again and again.
type watchOptions struct {
	watch    bool
	interval time.Duration
}

func (o *watchOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVarP(&o.watch, "watch", "w", false, "look again and again: live on a terminal (q ends it), elsewhere a new report whenever something has changed")
	f.DurationVar(&o.interval, "interval", 10*time.Second, "with -w: how long between two looks")
}

// checkWatch refuses what cannot be watched.
func (o *checkOptions) checkWatch(format report.Format) error {
	watchable := []report.Format{report.FormatTable, report.FormatWide, report.FormatJSON, report.FormatYAML}
	switch {
	case !o.watch:
		return nil
	case o.interval < time.Second:
		return usageError{errors.New("reading --interval: a second is the least")}
	case o.replay != "" || o.record != "" || slices.Contains(o.files, "-"):
		return usageError{errors.New("-w looks again and again: leave out --replay, --record and -f -")}
	case !slices.Contains(watchable, format):
		return usageError{fmt.Errorf("-w goes with -o table, wide, json and yaml, not with %s", format)}
	}
	return nil
}

// watching looks until it is ended.
func (o *checkOptions) watching(ctx context.Context, s Streams, format report.Format) error {
	looks := make(chan lookResult)
	once := func(ctx context.Context) {
		quiet := s
		quiet.Err = io.Discard // the screen has no line for progress
		all, err := o.timelines(ctx, quiet)
		select {
		case looks <- lookResult{all, err, s.Now(), o.asOf}:
		case <-ctx.Done():
		}
	}
	if format == report.FormatTable || format == report.FormatWide {
		c, err := openScreen(s)
		if err != nil {
			return fmt.Errorf("taking the terminal: %w", err)
		}
		if c != nil {
			defer c.close()
			return (&live{o: o, screen: c, format: format, color: colored(s, o.noColor)}).run(ctx, once, looks)
		}
	}
	return o.follow(ctx, s, format, once, looks)
}

// lookResult is what one look of many gave.
type lookResult struct {
	all []timeline.Timeline
	err error
	at  time.Time

	asOf time.Time // the day of the knowledge about releases
}

// same says whether two looks saw the same: when was looked, and how long it is
// until an end, are no difference.
func same(a, b []timeline.Timeline) bool { return bytes.Equal(unclocked(a), unclocked(b)) }

func unclocked(all []timeline.Timeline) []byte {
	all = slices.Clone(all)
	for n := range all {
		all[n].At, all[n].ObservedAt, all[n].Headline = time.Time{}, time.Time{}, ""
	}
	text, _ := json.Marshal(all) // of what was made to be written
	return text
}

// follow writes a report whenever something has changed, as `kubectl get -w` does.
func (o *checkOptions) follow(ctx context.Context, s Streams, format report.Format, once func(context.Context), looks <-chan lookResult) error {
	width, color := display(s, o.noColor)
	var last []timeline.Timeline
	failed := ""
	for {
		go once(ctx)
		var r lookResult
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r = <-looks:
		}
		switch {
		case r.err != nil && (last == nil || ctx.Err() != nil):
			return r.err
		case r.err != nil:
			if text := r.err.Error(); text != failed {
				failed = text
				complain(s, "perennial: ", text)
			}
		case last == nil || !same(last, r.all):
			if err := further(s.Out, output{r.all, format, report.Options{Width: width, Color: color}, r.asOf}, last != nil); err != nil {
				return err
			}
			last, failed = r.all, ""
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(o.interval):
		}
	}
}

// further writes a report below those before it.
func further(w io.Writer, out output, more bool) error {
	if more {
		between := map[report.Format]string{report.FormatYAML: "---\n", report.FormatJSON: ""}
		text, is := between[out.format]
		if !is {
			text = "\n"
		}
		if _, err := io.WriteString(w, text); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return out.write(w)
}

// live is a report that is kept up to date on a terminal.
type live struct {
	o      *checkOptions
	screen *screen
	format report.Format
	color  bool

	last  []timeline.Timeline
	at    time.Time
	asOf  time.Time
	error string // why the last look failed; empty: it did not
	from  int    // the first line that is shown
	body  int    // lines of the report
}

// errQuit says that a person has ended it.
var errQuit = errors.New("quit")

func (l *live) run(ctx context.Context, once func(context.Context), looks <-chan lookResult) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	keys := l.screen.keys()
	timer := time.NewTimer(0)
	defer timer.Stop()
	if err := l.draw(); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			go once(ctx)
			continue
		case r := <-looks:
			timer.Reset(l.o.interval)
			if r.err != nil && l.last == nil {
				return r.err
			}
			l.take(r)
		case <-resized:
			l.screen.measure()
		case key := <-keys:
			switch err := l.press(key); {
			case errors.Is(err, errQuit):
				return l.o.exit(l.last)
			case err != nil:
				return err
			}
		}
		if err := l.draw(); err != nil {
			return err
		}
	}
}

func (l *live) take(r lookResult) {
	l.at, l.error = r.at, ""
	if r.err != nil {
		l.error = fact.Text(r.err.Error()).String()
		return
	}
	l.last, l.asOf = r.all, r.asOf
}

// press does what a key says.
func (l *live) press(key string) error {
	page := max(1, l.screen.height-2)
	switch key {
	case "q", "Q":
		return errQuit
	case "\x03": // Ctrl-C, which a raw terminal makes no signal of
		return exit{timeline.ExitInterrupted}
	case "\x1b[A", "\x1bOA", "k":
		l.from--
	case "\x1b[B", "\x1bOB", "j":
		l.from++
	case "\x1b[5~":
		l.from -= page
	case "\x1b[6~", " ":
		l.from += page
	case "\x1b[H", "\x1bOH", "g":
		l.from = 0
	case "\x1b[F", "\x1bOF", "G":
		l.from = l.body
	}
	return nil
}

// draw shows the report from a line on, and below it how things stand.
func (l *live) draw() error {
	var text bytes.Buffer
	if l.last != nil {
		o := report.Options{Width: l.screen.width, Color: l.color}
		if err := (output{l.last, l.format, o, l.asOf}).write(&text); err != nil {
			return err
		}
	}
	var lines []string
	for line := range strings.Lines(text.String()) {
		lines = append(lines, folded(strings.TrimRight(line, "\n"), l.screen.width)...)
	}
	room := max(1, l.screen.height-1)
	l.body = len(lines)
	l.from = max(0, min(l.from, l.body-room))
	shown := slices.Clone(lines[l.from:min(l.body, l.from+room)])
	for len(shown) < room {
		shown = append(shown, "")
	}
	if l.screen.height > 1 {
		shown = append(shown, folded(l.status(room), l.screen.width)[0])
	}
	return l.screen.draw(shown)
}

func (l *live) status(room int) string {
	if l.last == nil {
		return "looking; q ends"
	}
	text := l.at.Format("15:04:05") + ", every " + l.o.interval.String() + "; q ends"
	if l.body > room {
		text += fmt.Sprintf("; %d-%d of %d, j k", l.from+1, min(l.body, l.from+room), l.body)
	}
	if l.error != "" {
		text = l.at.Format("15:04:05") + " failed: " + l.error
	}
	return text
}
