// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/report"
	"perennial.dev/perennial/internal/timeline"
)

type checkOptions struct {
	lookOptions
	upgradeOptions
	opener
	watchOptions
	output   string
	noColor  bool
	exitZero bool
}

func newCheck(s Streams) *cobra.Command {
	o := &checkOptions{}
	cmd := &cobra.Command{
		Use:     "check",
		GroupID: "look",
		Short:   "What will stop working, worst first",
		Long: `Looks at this node's control plane, or at API servers from outside, and puts
everything that will stop working on one timeline: certificates and CAs on disk
and as served, the API server's in-memory loopback certificate, processes that
still use what was replaced, faults that the next start would show, and the end
of the release's support. Nothing is changed.

With --to it also says what breaks on the way to another Kubernetes version, hop
by hop: what this node's components are told and no longer understand, and, on a
control plane, what the cluster's objects and their users still need. -f looks
at documents instead, --context at other clusters.

The exit code says what was found: 0 nothing due, 10 due, or a hop of the upgrade
blocks or breaks, 11 overdue or broken now, 12 nothing overdue seen but not
everything could be looked at.`,
		Example: `  sudo perennial check
  sudo perennial check -w
  perennial check --endpoint 10.0.0.1:6443
  sudo perennial check --to 1.37
  perennial check --to 1.37 --from 1.34 -R -f manifests/
  helm template CHART | perennial check --to 1.37 -f -
  perennial check --to 1.37 --context production --context staging
  perennial check --to 1.37 -R -f manifests/ -o sarif >upgrade.sarif
  perennial check --at 2027-06-01 -o json
  sudo perennial check --record node.jsonl && perennial check --replay node.jsonl
  perennial check -o json >report.json; perennial check --replay report.json -o markdown
  sudo perennial check --root /mnt/disk`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), s) },
	}
	o.lookOptions.addFlags(cmd)
	o.upgradeOptions.addFlags(cmd)
	o.opener.addFlags(cmd)
	o.watchOptions.addFlags(cmd)
	if s.isPlugin() {
		o.addPluginFlags(cmd)
	}
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "table", "`format`: "+formatNames())
	f.BoolVar(&o.noColor, "no-color", false, "no colours, as with NO_COLOR")
	f.BoolVar(&o.exitZero, "exit-zero", false, "exit with 0 whatever was found")
	_ = cmd.RegisterFlagCompletionFunc("output", completeFormats)
	return cmd
}

func (o *checkOptions) run(ctx context.Context, s Streams) error {
	format, err := parseFormat(o.output)
	if err != nil {
		return err
	}
	if s.isPlugin() {
		if err := o.asPlugin(); err != nil {
			return err
		}
	}
	if err := errors.Join(o.check(), o.checkWatch(format)); err != nil {
		return err
	}
	if o.watch {
		return o.watching(ctx, s, format)
	}
	all, err := o.timelines(ctx, s)
	if err != nil {
		return err
	}
	width, color := display(s, o.noColor)
	out := output{all, format, report.Options{Width: width, Color: color}, o.asOf}
	if err := out.write(s.Out); err != nil {
		return err
	}
	if err := o.show(ctx, s, out); err != nil {
		return err
	}
	return o.exit(all)
}

// timelines looks, or reads what was seen or said before: a timeline for each
// cluster.
func (o *checkOptions) timelines(ctx context.Context, s Streams) ([]timeline.Timeline, error) {
	if all, is, err := o.saved(&s); is || err != nil {
		return all, err
	}
	if o.to != "" {
		return o.before(ctx, s)
	}
	t, err := o.look(ctx, s)
	return []timeline.Timeline{t}, err
}

// exit is the worst of several reports' exit codes.
func (o *checkOptions) exit(all []timeline.Timeline) error {
	codes := make([]int, len(all))
	for n, t := range all {
		codes[n] = t.ExitCode
	}
	if code := timeline.WorstExit(codes...); code != timeline.ExitOK && !o.exitZero {
		return exit{code}
	}
	return nil
}
