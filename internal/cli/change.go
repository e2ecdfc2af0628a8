// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/report"
	"perennial.dev/perennial/internal/timeline"
	"perennial.dev/perennial/internal/workbench"
)

// changeOptions are those of every command that changes something.
type changeOptions struct {
	kubernetesDir string
	state, lock   string
	output        string
	dryRun, yes   bool
	noColor       bool
	// What is done between the answer and the first step, and what after the
	// last one that was done; nil: nothing.
	first, last func(context.Context) error
	anyClock    bool
}

func (o *changeOptions) addFlags(cmd *cobra.Command) {
	o.addPlaces(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "table", "`format` of the plan: table, json, yaml")
	f.BoolVar(&o.dryRun, "dry-run", false, "show the plan and stop")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask; needed where there is no terminal")
	f.BoolVar(&o.noColor, "no-color", false, "no colours, as with NO_COLOR")
	f.BoolVar(&o.anyClock, "any-clock", false, "go on although something here is dated later than the clock says it is")
}

func (o *changeOptions) addPlaces(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.kubernetesDir, "kubernetes-dir", "/etc/kubernetes", "kubeadm's `directory` on the node")
	f.StringVar(&o.state, "state", workbench.DefaultState, "`directory` of the journal and the backups")
	f.StringVar(&o.lock, "lock", workbench.DefaultLock, "the lock's `file`; every changing program on a machine uses the same")
	_ = cmd.MarkFlagDirname("kubernetes-dir")
	_ = cmd.MarkFlagDirname("state")
}

// bench is what a changing command works with.
type bench struct {
	*workbench.Bench
	streams Streams
}

// look looks, and shows that it does.
func (b *bench) look(ctx context.Context) (plan.Seen, error) {
	shown := progressOf(b.streams, "looking at this node")
	defer shown.end()
	return b.Look(ctx)
}

// open takes the lock and opens the journal. Whoever only looks at the journal
// needs no lock.
func (o *changeOptions) open(s Streams, purpose string) (*bench, error) {
	scope, err := (&lookOptions{root: "/", kubernetesDir: o.kubernetesDir}).scope()
	if err != nil {
		return nil, err
	}
	if o.state, err = filepath.Abs(o.state); err != nil {
		return nil, fmt.Errorf("finding the directory %s: %w", o.state, err)
	}
	b, err := workbench.Open(workbench.Options{
		Scope: scope, State: o.state, Lock: o.lock, Purpose: purpose, Version: Version, Now: s.Now, AnyClock: o.anyClock,
		Tell: func(text string) { fmt.Fprintln(s.Err, text) },
	})
	if err != nil {
		return nil, err
	}
	return &bench{b, s}, nil
}

// propose shows a plan, asks, and does it.
func (o *changeOptions) propose(ctx context.Context, b *bench, p plan.Plan) error {
	if todo, err := o.show(b.streams, p); err != nil || !todo {
		return err
	}
	if err := b.Ready(p); err != nil {
		return err
	}
	if err := o.agreed(ctx, b.streams); err != nil {
		return err
	}
	if err := b.Disk.MakeDir(b.State); err != nil { // also says who else may write there
		return err
	}
	if o.first != nil {
		if err := o.first(ctx); err != nil {
			return fmt.Errorf("nothing was done: %w", err)
		}
	}
	return b.teller().run(ctx, func(tell func(execute.Event)) (execute.Outcome, error) {
		out, err := b.Do(ctx, p, tell)
		if err == nil && out.Result == journal.Done && o.last != nil {
			err = o.last(ctx)
		}
		return out, err
	})
}

// show shows a plan, and says whether there is anything to do of it.
func (o *changeOptions) show(s Streams, p plan.Plan) (todo bool, err error) {
	err = o.render(s, p)
	return !o.dryRun && len(p.Steps) > 0, err
}

// agreed asks, unless it was said before.
func (o *changeOptions) agreed(ctx context.Context, s Streams) error {
	if o.yes {
		return nil
	}
	return ask(ctx, s)
}

func (o *changeOptions) render(s Streams, p plan.Plan) error {
	format, err := report.ParseFormat(o.output, report.Documents...)
	if err != nil {
		return usageError{err}
	}
	width, color := display(s, o.noColor)
	return report.Plan(s.Out, format, p, report.Options{Width: width, Color: color})
}

// onTerminal says whether there is somebody to ask.
func onTerminal(s Streams) bool {
	file, ok := s.In.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

func noTerminal() error {
	return usageError{hinted{errors.New("there is no terminal to ask on"), "add --yes to do it, or --dry-run to only see the plan"}}
}

// ask asks on a terminal. An interrupt is an answer, too.
func ask(ctx context.Context, s Streams) error {
	if !onTerminal(s) {
		return noTerminal()
	}
	file := s.In.(*os.File)
	fmt.Fprint(s.Err, "\nDo this? [y/N] ")
	answers := make(chan string, 1)
	go func() {
		answer, _ := bufio.NewReader(file).ReadString('\n')
		answers <- answer
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(s.Err)
		return ctx.Err()
	case answer := <-answers:
		if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
			return errors.New("nothing was done")
		}
	}
	return nil
}

// teller tells a person what becomes of a plan.
type teller struct {
	streams  Streams
	undoable func(id string) bool
	waiting  *progress // for what is at work; never nil
}

func (b *bench) teller() *teller { return &teller{b.streams, b.Undoable, &progress{}} }

// progress tells of a step. Whoever waits for one sees for how long.
func (b *teller) progress(e execute.Event) {
	b.waiting.end()
	if e.Result == "" {
		defer func() { b.waiting = progressOf(b.streams, "    waiting") }()
	}
	switch {
	case e.Result == "" && e.Text != "":
		fmt.Fprintf(b.streams.Err, "    %s\n", fact.Text(e.Text))
		return
	case e.Result == "":
		fmt.Fprintf(b.streams.Err, "%2d  %s ...\n", e.Step.Number, fact.Text(e.Step.Title))
		return
	}
	fmt.Fprintf(b.streams.Err, "    %s: %s\n", e.Result, fact.Text(e.Text))
}

// conclude turns the outcome of a run into an exit code: what was stopped half
// way needs a person, unless it was a person who stopped it.
func (b *teller) conclude(ctx context.Context, out execute.Outcome, err error) error {
	done := 0
	for _, s := range out.Steps {
		if s.Result == journal.Done {
			done++
		}
	}
	if err == nil && out.Result == journal.Done {
		b.congratulate(out, done)
		return nil
	}
	if err == nil {
		err = failedBefore(out)
	}
	if err != nil {
		fmt.Fprintf(b.streams.Err, "\nstopped after %s: %s\n", steps(done), fact.Text(err.Error()))
	}
	switch {
	case ctx.Err() != nil:
		return exit{timeline.ExitInterrupted}
	case errors.Is(err, execute.ErrClock):
		complain(b.streams, "hint: ", "set the clock right (timedatectl timesync-status), or add --any-clock to believe it")
	}
	if len(out.Steps) == 0 && out.Result == journal.Failed {
		return exit{timeline.ExitFailed}
	}
	return exit{timeline.ExitNeedsPerson}
}

// failedBefore is what a run that was cut off had no time to say.
func failedBefore(out execute.Outcome) error {
	for _, s := range out.Steps {
		if s.Result != journal.Done {
			return fmt.Errorf("step %d had failed when the plan %s was cut off: %s", s.Number, out.Plan, s.Proof)
		}
	}
	return nil
}

// begin opens what a changing command works with, and finishes what an earlier
// run left. A dry run changes nothing, so it takes no lock and finishes nothing.
func (o *changeOptions) begin(ctx context.Context, s Streams, purpose string) (*bench, error) {
	if o.dryRun {
		return o.open(s, "")
	}
	b, err := o.open(s, purpose)
	if err != nil {
		return nil, err
	}
	if err := o.finishFirst(ctx, b); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *teller) congratulate(out execute.Outcome, done int) {
	unproven := 0
	for _, s := range out.Steps {
		if s.Unproven != "" {
			unproven++
		}
	}
	how := "done and proven"
	if unproven > 0 {
		how = fmt.Sprintf("done, %d of them not proven in all, since something did not answer (perennial check shows it when it does)", unproven)
	}
	back := ""
	if b.undoable(out.Plan) {
		back = fmt.Sprintf("; perennial undo %s takes it back", out.Plan)
	}
	fmt.Fprintf(b.streams.Err, "\n%s %s. perennial history show %s tells what%s.\n", steps(done), how, out.Plan, back)
}

func steps(n int) string {
	if n == 1 {
		return "1 step"
	}
	return fmt.Sprintf("%d steps", n)
}

// finishFirst finishes what an earlier run left, before anything new is done.
func (o *changeOptions) finishFirst(ctx context.Context, b *bench) error {
	return b.teller().finish(ctx, b.Journal.Unfinished(), b.Finish)
}

// finish finishes plans that were cut off.
func (b *teller) finish(ctx context.Context, cuts []journal.Plan, finish func(context.Context, journal.Plan, func(execute.Event)) (execute.Outcome, error)) error {
	for _, cut := range cuts {
		fmt.Fprintf(b.streams.Err, "finishing the plan %s, which was cut off\n", cut.ID)
		err := b.run(ctx, func(tell func(execute.Event)) (execute.Outcome, error) { return finish(ctx, cut, tell) })
		if err != nil {
			return err
		}
	}
	return nil
}

// run tells what becomes of a plan while it is done, and concludes it.
func (b *teller) run(ctx context.Context, do func(tell func(execute.Event)) (execute.Outcome, error)) error {
	out, err := do(b.progress)
	b.waiting.end()
	return b.conclude(ctx, out, err)
}
