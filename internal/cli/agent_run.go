// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/agent"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/install"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/publish"
	"perennial.dev/perennial/internal/report"
	"perennial.dev/perennial/internal/timeline"
	"perennial.dev/perennial/internal/unit"
)

func newAgentRun(s Streams) *cobra.Command {
	o, once, settle := &agentOptions{}, false, agent.DefaultSettle
	cmd := &cobra.Command{
		Use: "run", Short: "Run in the foreground, as a service does", Args: cobra.NoArgs,
		Long: `Looks, acts as its settings allow, and sleeps, until it is ended. SIGHUP makes it
read its settings and look at once; it also does where their file has changed.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), s, once, settle) },
	}
	o.addFlags(cmd)
	cmd.Flags().DurationVar(&settle, "settle", settle, "the longest time for which nothing is changed after the clock was set")
	cmd.Flags().BoolVar(&once, "once", false, "look once, do what is to be done now, and end; for a timer")
	return cmd
}

func (o *agentOptions) run(ctx context.Context, s Streams, once bool, settle time.Duration) error {
	m, err := o.machine(s)
	if err != nil {
		return err
	}
	if m.Calendar, err = (&lookOptions{}).calendar(); err != nil {
		return err
	}
	small()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	wake := make(chan struct{})
	go func() {
		for range hangup {
			wake <- struct{}{}
		}
	}()
	t := &told{machine: m, metrics: publish.NewMetrics(version(), runtime.Version(), m.Calendar.AsOf()), log: slog.New(logHandler(s)), socket: s.Getenv("NOTIFY_SOCKET")}
	a := &agent.Agent{Node: m, Publish: t.metrics, Log: t.log, Version: version(), Wake: wake, After: t.after, Now: s.Now, Settle: settle}
	if once {
		status, err := a.Once(ctx)
		if err == nil && status.Exit(s.Now()) != timeline.ExitOK {
			return exit{status.Exit(s.Now())}
		}
		return err
	}
	t.serve = func(ctx context.Context, addr string) error {
		server, err := publish.NewServer(t.metrics, a)
		if err != nil {
			return err
		}
		return server.Serve(ctx, addr)
	}
	defer t.listen("")
	// What was cut off may be finished first, and that may take long.
	if err := host.Notify(t.socket, host.Ready); err != nil {
		t.log.Error("the service manager cannot be told", "cause", err)
	}
	return a.Run(ctx)
}

// small keeps little memory: what a look takes is given back after it, and a
// collection more costs nothing that anybody waits for.
func small() {
	debug.SetGCPercent(30)
	debug.SetMemoryLimit(24 << 20)
}

// told is what is kept up to date for those who want to know.
type told struct {
	machine *agent.Machine
	metrics *publish.Metrics
	log     *slog.Logger
	serve   func(context.Context, string) error // nil: nobody is served
	addr    string                              // that is served on
	end     context.CancelFunc
	failed  chan error // gets why nothing is served on addr
	said    string     // the last such reason that was told
	socket  string     // of the service manager; empty: there is none
}

// after is called after a look.
func (t *told) after(p policy.Agent, line timeline.Timeline) error {
	t.listen(p.Listen)
	var errs []error
	if p.Textfile != "" {
		var text bytes.Buffer
		errs = append(errs, t.metrics.WriteText(&text), t.machine.Publish(p.Textfile, text.Bytes(), install.MetricsBegin))
	}
	if p.Calendar != "" {
		errs = append(errs, t.calendar(p.Calendar, line))
	}
	debug.FreeOSMemory()
	if err := t.alive(p.Every); err != nil {
		t.log.Error("the service manager cannot be told", "cause", err)
	}
	return errors.Join(errs...)
}

// alive tells the service manager that a look is done, and by when the next one
// has to be, a change before it included: the settings may have changed since the
// unit was written.
func (t *told) alive(every time.Duration) error {
	patience := every + unit.Watchdog
	return host.Notify(t.socket, fmt.Sprintf("%s\n%s\nWATCHDOG_USEC=%d", host.Ready, host.Alive, patience.Microseconds()))
}

// calendar leaves the file alone where no deadline has changed.
func (t *told) calendar(name string, line timeline.Timeline) error {
	var text bytes.Buffer
	if err := report.Calendar(&text, line, report.CalendarOptions{}); err != nil {
		return err
	}
	if old, err := t.machine.Published(name); err == nil && report.SameDeadlines(old, text.Bytes()) {
		return nil
	}
	return t.machine.Publish(name, text.Bytes(), install.CalendarBegin)
}

// listen serves on an address, and no longer on the one before; empty: on none.
// Where it could not, it tries again.
func (t *told) listen(addr string) {
	select {
	case err := <-t.failed:
		t.unserved(err)
	default:
	}
	if t.serve == nil || addr == t.addr {
		return
	}
	if t.end != nil {
		t.end()
		t.end = nil
	}
	if t.addr = addr; addr == "" {
		return
	}
	ctx, end := context.WithCancel(context.Background())
	failed := make(chan error, 1)
	t.end, t.failed = end, failed
	go func() {
		if err := t.serve(ctx, addr); err != nil {
			failed <- err
		}
	}()
	select {
	case err := <-failed:
		t.unserved(err)
	case <-time.After(100 * time.Millisecond): // a port that is taken is told at once
	}
}

// unserved tells, once, why nothing is served.
func (t *told) unserved(err error) {
	t.addr = ""
	if t.said != err.Error() {
		t.said = err.Error()
		t.log.Error("metrics are not served", "cause", err)
	}
}
