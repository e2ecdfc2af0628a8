// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/report"
)

type checkOptions struct {
	lookOptions
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

The exit code says what was found: 0 nothing due, 10 due, 11 overdue or broken
now, 12 nothing overdue seen but not everything could be looked at.`,
		Example: `  sudo perennial check
  perennial check --endpoint 10.0.0.1:6443
  perennial check --at 2027-06-01 -o json
  sudo perennial check --record node.jsonl && perennial check --replay node.jsonl
  sudo perennial check --root /mnt/disk`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), s) },
	}
	o.addFlags(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "table", "`format`: "+formatNames())
	f.BoolVar(&o.noColor, "no-color", false, "no colours, as with NO_COLOR")
	f.BoolVar(&o.exitZero, "exit-zero", false, "exit with 0 whatever was found")
	_ = cmd.RegisterFlagCompletionFunc("output", completeFormats)
	return cmd
}

func (o *checkOptions) run(ctx context.Context, s Streams) error {
	format, err := report.ParseFormat(o.output)
	if err != nil {
		return usageError{err}
	}
	t, err := o.look(ctx, s)
	if err != nil {
		return err
	}
	width, color := display(s, o.noColor)
	if err := report.Timeline(s.Out, format, t, report.Options{Width: width, Color: color}); err != nil {
		return err
	}
	if t.ExitCode == 0 || o.exitZero {
		return nil
	}
	return exit{t.ExitCode}
}
