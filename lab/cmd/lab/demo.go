// SPDX-License-Identifier: Apache-2.0

package main

import (
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
	"perennial.dev/perennial/lab/internal/layout"
)

// demoLife outlives every loopback certificate, so that it is the first and
// only thing to end: 1 year up to Kubernetes 1.32, 3 years since 1.33.
const demoLife = 10 * 365 * 24 * time.Hour

// demo tells the product's story on a lab of its own.
type demo struct {
	labs              *registry
	perennial         string // the product's binary
	recorded, version string
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
certificate and shows what fails. The lab is left running; the next demo
replaces it.`,
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
	if _, err := tell(ctx, s, 24*time.Hour, d.out, d.notes); err != nil {
		return err
	}
	d.close(s, end)
	return nil
}

// prepare builds the programs and starts a fresh lab.
func (d *demo) prepare(ctx context.Context) (layout.Settings, error) {
	d.heading("A real control plane of Kubernetes " + d.version + ", live")
	began := time.Now()
	if _, err := build(ctx, d.version, d.notes); err != nil {
		return layout.Settings{}, err
	}
	built := time.Now()
	if err := down(ctx, d.labs); err != nil {
		return layout.Settings{}, err
	}
	o := upOptions{version: d.version, node: "cp1", certLife: life(demoLife), caLife: life(layout.DefaultCALife)}
	s, err := up(ctx, d.labs, o, pflag.NewFlagSet("", pflag.ContinueOnError), d.notes)
	if err != nil {
		return s, err
	}
	fmt.Fprintf(d.notes, "programs ready after %.1f s, control plane ready after another %.1f s\n", built.Sub(began).Seconds(), time.Since(built).Seconds())
	return s, d.check(ctx, "--kubernetes-dir", s.Kubernetes())
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
	out, err := exec.CommandContext(ctx, d.perennial, "check", "--kubernetes-dir", s.Kubernetes(), "-o", "json").Output()
	if err := toleratesDue(err); err != nil {
		return err
	}
	if instant := end.UTC().Format(time.RFC3339); !strings.Contains(string(out), instant) {
		return fmt.Errorf("looking for the loopback certificate's end in perennial's JSON: %s is not in it", instant)
	}
	return nil
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
	cmd := exec.CommandContext(ctx, d.perennial, args...)
	cmd.Stdout, cmd.Stderr = d.out, d.notes
	return toleratesDue(cmd.Run())
}

// checkBriefly shows the head of the report alone: the rest was seen before.
func (d *demo) checkBriefly(ctx context.Context, args ...string) error {
	const scope, head = 1, 8 // lines
	args = append([]string{"check"}, args...)
	fmt.Fprintf(d.out, "$ perennial %s | head\n", strings.Join(args, " "))
	out, err := exec.CommandContext(ctx, d.perennial, args...).Output()
	lines := strings.Split(string(out), "\n")
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

func (d *demo) close(s layout.Settings, end time.Time) {
	fmt.Fprintf(d.out, `
The API server says that it is ready, and no longer learns anything. No file
shows the certificate that has ended; perennial had named the instant,
%s. Only a restart of the API server replaces it.

The lab goes on running, in %s. To look further:
  %[4]s exec --name %[3]s -- kubectl get --raw '/readyz?verbose'
  %[4]s clock --name %[3]s reset && %[4]s restart --name %[3]s kube-apiserver
  %[4]s down --name %[3]s
`, end.UTC().Format(time.RFC3339), s.Dir, s.Name, os.Args[0])
}
