// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"perennial.dev/perennial/lab/internal/api"
	"perennial.dev/perennial/lab/internal/clock"
	"perennial.dev/perennial/lab/internal/layout"
	"perennial.dev/perennial/lab/internal/program"
)

// demoLife outlives every loopback certificate, so that it is the first and
// only thing to end: 1 year up to Kubernetes 1.32, 3 years since 1.33.
const demoLife = 10 * year

const year = 365 * 24 * time.Hour

// lived is how long the demo's API server has run when it begins: 85 percent of
// its loopback certificate's life.
func lived(version string) time.Duration {
	life := 3 * year
	if program.Minor(version) < 33 {
		life = year
	}
	return life / 100 * 85
}

// demo tells the product's story on a lab of its own.
type demo struct {
	labs              *registry
	perennial         string // the product's binary
	recorded, version string
	lab               layout.Settings // without a name until it is there
	confined          error           // why the lab has no network of its own
	out, notes        io.Writer
	step              int
	bold              bool
}

func newDemo() *cobra.Command {
	d := demo{labs: &registry{}}
	cmd := &cobra.Command{
		Use: "demo --perennial PATH", Short: "Show what perennial says about a real control plane, and what then happens",
		Long: `Shows a recorded node at once, then builds and starts a real control plane, lets
perennial look at it, moves its clock past the end of the API server's loopback
certificate and shows what fails. Then it turns the clock back, lets perennial
restart the API server under its clients, and shows that nothing fails any more.
As root the restart is a handover without a failed request, where the machine
allows network namespaces and BPF; elsewhere it is one in place, which without
root the lab does itself.

The exit code is 0 only if all that was seen is what is promised. The lab is left
running; the next demo replaces it.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d.out, d.notes = cmd.OutOrStdout(), cmd.ErrOrStderr()
			d.bold = colourful(d.out)
			return d.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&d.labs.name, "name", "demo", "the name of the lab to make")
	cmd.Flags().StringVar(&d.perennial, "perennial", "", "the perennial binary")
	cmd.Flags().StringVar(&d.recorded, "recorded", "examples/recorded-node.jsonl", "the recorded node to show first")
	cmd.Flags().StringVar(&d.version, "version", defaultVersion, "full Kubernetes version")
	cmd.MarkFlagRequired("perennial")
	return cmd
}

func (d *demo) run(ctx context.Context) error {
	path, err := filepath.Abs(d.perennial)
	if err != nil {
		return err
	}
	d.perennial = path
	d.heading("A node as it was recorded (not live)")
	if err := d.check(ctx, "--replay", d.recorded); err != nil {
		return err
	}
	s, err := d.prepare(ctx)
	if err != nil {
		return err
	}
	loopback, err := api.Loopback(ctx, s.Endpoint())
	if err != nil {
		return err
	}
	end := loopback.NotAfter
	if err := d.foresee(ctx, s, end); err != nil {
		return err
	}
	d.heading("The same control plane, when that day has passed")
	bad, err := tell(ctx, s, past, d.out, d.notes)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, `
The API server says that it is ready, and no longer learns anything. No file
shows the certificate that has ended; perennial had named the instant,
%s. Only a restart of the API server replaces it.
`, end.UTC().Format(time.RFC3339))
	return d.mend(ctx, s, bad)
}

// past is how far beyond an end the demo goes.
const past = 24 * time.Hour

// prepare builds the programs and starts a fresh lab.
func (d *demo) prepare(ctx context.Context) (layout.Settings, error) {
	d.heading(fmt.Sprintf("A real control plane of Kubernetes %s, live; by its clock it has run for %d days", d.version, int(lived(d.version).Hours()/24)))
	began := time.Now()
	if _, err := build(ctx, d.version, d.notes); err != nil {
		return layout.Settings{}, err
	}
	built := time.Now()
	if err := down(ctx, d.labs); err != nil {
		return layout.Settings{}, err
	}
	s, err := d.up(ctx)
	if err != nil {
		return s, err
	}
	d.lab = s
	fmt.Fprintf(d.notes, "programs ready after %.1f s, control plane ready after another %.1f s\n", built.Sub(began).Seconds(), time.Since(built).Seconds())
	return s, d.check(ctx, "--kubernetes-dir", s.Kubernetes())
}

// up starts a lab that has aged, in a network of its own where the machine
// allows that.
func (d *demo) up(ctx context.Context) (layout.Settings, error) {
	o := upOptions{version: d.version, node: "cp1", certLife: life(demoLife), caLife: life(layout.DefaultCALife), clock: "-" + lived(d.version).String(), network: true}
	s, err := up(ctx, d.labs, o, pflag.NewFlagSet("", pflag.ContinueOnError), d.notes)
	if errors.Is(err, errNoNetwork) {
		d.confined, o.network = err, false
		s, err = up(ctx, d.labs, o, pflag.NewFlagSet("", pflag.ContinueOnError), d.notes)
	}
	if err != nil {
		return s, err
	}
	return s, clock.Set(s.Clock(), 0)
}

// foresee shows what perennial says about the days around the end, and makes
// sure that it has named the instant.
func (d *demo) foresee(ctx context.Context, s layout.Settings, end time.Time) error {
	for _, day := range []struct {
		title string
		at    time.Time
	}{{"What it will look like the day before", end.AddDate(0, 0, -1)}, {"... and the day after", end.AddDate(0, 0, 1)}} {
		d.heading(day.title)
		if err := d.checkBriefly(ctx, "--kubernetes-dir", s.Kubernetes(), "--at", day.at.UTC().Format(time.DateOnly)); err != nil {
			return err
		}
	}
	named, err := d.names(ctx, s, end)
	if err == nil && !named {
		err = fmt.Errorf("looking for the loopback certificate's end in perennial's JSON: %s is not in it", end.UTC().Format(time.RFC3339))
	}
	return err
}

// names says whether perennial finds something that has to do with an instant.
func (d *demo) names(ctx context.Context, s layout.Settings, instant time.Time) (bool, error) {
	var found bytes.Buffer
	err := d.perennially(ctx, &found, d.notes, "check", "--kubernetes-dir", s.Kubernetes(), "-o", "json")
	return strings.Contains(found.String(), instant.UTC().Format(time.RFC3339)), toleratesDue(err)
}

// perennially runs perennial where the lab's processes run.
func (d *demo) perennially(ctx context.Context, out, notes io.Writer, args ...string) error {
	cmd := exec.CommandContext(ctx, d.perennial, args...)
	cmd.Stdout, cmd.Stderr = out, notes
	var err error
	if cmd.Dir, err = os.Getwd(); err != nil {
		return err
	}
	if err := startInside(d.lab, cmd); err != nil {
		return err
	}
	return cmd.Wait()
}

func (d *demo) heading(title string) {
	d.step++
	text := fmt.Sprintf("%d. %s", d.step, title)
	if d.bold {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	fmt.Fprintf(d.out, "\n%s\n\n", text)
}

// check runs `perennial check` on the same terminal.
func (d *demo) check(ctx context.Context, args ...string) error {
	args = append([]string{"check"}, args...)
	fmt.Fprintf(d.out, "$ perennial %s\n", strings.Join(args, " "))
	return toleratesDue(d.perennially(ctx, d.out, d.notes, args...))
}

// checkBriefly shows the head of the report alone: the rest was seen before.
func (d *demo) checkBriefly(ctx context.Context, args ...string) error {
	const scope, head = 1, 8 // lines
	args = append([]string{"check"}, args...)
	fmt.Fprintf(d.out, "$ perennial %s | head\n", strings.Join(args, " "))
	var out bytes.Buffer
	err := d.perennially(ctx, &out, d.notes, args...)
	lines := strings.Split(out.String(), "\n")
	if len(lines) > head {
		lines = append(lines[scope:head], "...")
	}
	fmt.Fprintln(d.out, strings.Join(lines, "\n"))
	return toleratesDue(err)
}

// toleratesDue lets the exit codes pass that say something about the cluster:
// due (10), overdue (11), not all seen (12), needs a person (13).
func toleratesDue(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && slices.Contains([]int{10, 11, 12, 13}, exit.ExitCode()) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("running perennial check: %w", err)
	}
	return nil
}

func (d *demo) close(s layout.Settings) {
	fmt.Fprintf(d.out, `
The lab goes on running, in %s. To look further:
  %[3]s exec --name %[2]s -- kubectl get --raw '/readyz?verbose'
  %[3]s status --name %[2]s
  %[3]s down --name %[2]s
`, s.Dir, s.Name, os.Args[0])
}
