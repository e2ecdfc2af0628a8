// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/checkpoint"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/workbench"
)

type pruneOptions struct {
	changeOptions
	dir      string
	older    string
	count    int
	share    string
	maxBytes string
}

func newCheckpointPrune(s Streams) *cobra.Command {
	o := &pruneOptions{}
	cmd := &cobra.Command{
		Use: "prune", Short: "Remove archives by age, number or share of the disk: plan, ask, do, prove", Args: cobra.NoArgs,
		Long: `Removes archives of checkpoints on this node that are older than --older-than, that
are not among the newest --keep of their container, or, the oldest first, as many
as it takes to come below --max-share or --max-size. Shows the plan and asks.

What is removed is gone: no copy is kept, and there is no undo. An archive that
was written to since the plan was made is left alone, and so is what has no name
that a kubelet gives, and what was written to less than ten minutes ago.`,
		Example: `  sudo perennial checkpoint prune --older-than 30d
  sudo perennial checkpoint prune --keep 3 --max-share 5% --dry-run`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), s) },
	}
	o.addFlags(cmd)
	addCheckpointDir(cmd, &o.dir)
	f := cmd.Flags()
	f.StringVar(&o.older, "older-than", "", "those older than this `duration`, such as 30d or 12h")
	f.IntVar(&o.count, "keep", 0, "all but this `number` of the newest of each container")
	f.StringVar(&o.share, "max-share", "", "the oldest, until all together take at most this `share` of the file system, such as 5%")
	f.StringVar(&o.maxBytes, "max-size", "", "the oldest, until all together take at most this `size`, such as 20Gi")
	return cmd
}

func (o *pruneOptions) run(ctx context.Context, s Streams) error {
	keep, share, err := o.bounds()
	if err != nil {
		return usageError{err}
	}
	dir := filepath.Clean(o.dir)
	if !filepath.IsAbs(dir) {
		return usageError{fmt.Errorf("reading --dir: %q is no absolute path", fact.Text(o.dir))}
	}
	b, err := o.begin(ctx, s, "checkpoint prune")
	if err != nil {
		return err
	}
	defer b.Close()
	b.Scope.Checkpoints = dir
	seen, err := b.Look(ctx)
	if err != nil {
		return err
	}
	if share > 0 {
		if keep.Bytes, err = shareOf(seen, dir, share, keep.Bytes); err != nil {
			return err
		}
	}
	now := s.Now()
	todo, err := plan.ForPruning(seen, dir, keep, workbench.PlanID(now), now)
	if err != nil {
		return hinted{err, "run it as root"}
	}
	return o.propose(ctx, b, todo)
}

// bounds reads the flags: at least one of them has to say what goes.
func (o *pruneOptions) bounds() (keep checkpoint.Keep, share float64, err error) {
	if o.older == "" && o.count == 0 && o.share == "" && o.maxBytes == "" {
		return keep, 0, hinted{errors.New("nothing says which archives go"), "give --older-than, --keep, --max-share or --max-size"}
	}
	if o.older != "" {
		if keep.Age, err = policy.ParseDuration(o.older); err != nil || keep.Age <= 0 {
			return keep, 0, fmt.Errorf("reading --older-than: want a duration such as 30d, not %q", fact.Text(o.older))
		}
	}
	if keep.Count = o.count; o.count < 0 {
		return keep, 0, fmt.Errorf("reading --keep: %d is no number of archives", o.count)
	}
	if o.share != "" {
		text, percent := strings.CutSuffix(o.share, "%")
		share, err = strconv.ParseFloat(text, 64)
		if err != nil || !percent || math.IsNaN(share) || share <= 0 || share >= 100 {
			return keep, 0, fmt.Errorf("reading --max-share: want a share such as 5%%, not %q", fact.Text(o.share))
		}
	}
	if o.maxBytes != "" {
		if keep.Bytes, err = parseSize(o.maxBytes); err != nil {
			return keep, 0, fmt.Errorf("reading --max-size: %w", err)
		}
	}
	return keep, share / 100, nil
}

// parseSize reads a number of bytes with one of Kubernetes' binary suffixes.
func parseSize(text string) (int64, error) {
	number, factor := text, int64(1)
	for i, suffix := range []string{"Ki", "Mi", "Gi", "Ti"} {
		if n, ok := strings.CutSuffix(text, suffix); ok {
			number, factor = n, int64(1)<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/factor {
		return 0, fmt.Errorf("want a size such as 20Gi, not %q", fact.Text(text))
	}
	return n * factor, nil
}

// shareOf is a share of the file system in bytes; the smaller of it and another
// bound, where there is one.
func shareOf(seen plan.Seen, dir string, share float64, bound int64) (int64, error) {
	for _, f := range seen.Facts {
		c, ok := f.(fact.Checkpoints)
		if !ok || c.Dir != dir {
			continue
		}
		if c.Volume == 0 {
			return 0, fmt.Errorf("measuring the file system of %s: it does not tell its size; use --max-size", fact.Text(dir))
		}
		bytes := max(1, int64(share*float64(c.Volume)))
		if bound > 0 {
			bytes = min(bytes, bound)
		}
		return bytes, nil
	}
	return bound, nil
}
