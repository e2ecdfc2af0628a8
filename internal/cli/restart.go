// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
)

type restartOptions struct {
	changeOptions
	acceptOutage bool
}

// restartable are the components that can be restarted.
var restartable = []string{layout.ControllerManager, layout.Scheduler, layout.Etcd, layout.APIServer, layout.Kubelet}

func newRestart(s Streams) *cobra.Command {
	o := &restartOptions{}
	cmd := &cobra.Command{
		Use: "restart COMPONENT", GroupID: "keep", Short: "A component: in place, proven",
		Long: `Ends the process of a component, after making sure that it is the one that was
looked at, and waits until its supervisor (the kubelet, systemd) has started it
again and it answers. Manifests are not touched. What will be felt is said
before.

etcd is only restarted where the other members keep the quorum, by what they
answer; where it is the only one, with --accept-outage. Its data are saved
beside the journal first.`,
		Args: cobra.ExactArgs(1), ValidArgs: restartable,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args[0]) },
	}
	o.addFlags(cmd)
	cmd.Flags().BoolVar(&o.acceptOutage, "accept-outage", false, "with --yes: restart etcd although the API will answer no writes meanwhile")
	return cmd
}

func (o *restartOptions) run(ctx context.Context, s Streams, name string) error {
	if !slices.Contains(restartable, name) {
		return usageError{fmt.Errorf("restarting %q: want one of %v", name, restartable)}
	}
	b, err := o.begin(ctx, s, "restart "+name)
	if err != nil {
		return err
	}
	defer b.close()
	seen, err := b.Look(ctx)
	if err != nil {
		return err
	}
	if err := plan.AtWork(seen); err != nil {
		return err
	}
	c, ok := seen.Layout.Component(name)
	if !ok || c.Process == nil {
		return hinted{fmt.Errorf("restarting %s: it does not run here", name), "perennial check says what was found"}
	}
	now := s.Now()
	todo := plan.New(planID(now), now, seen)
	step, err := plan.RestartStep(seen, c, "asked for")
	if err != nil {
		return fmt.Errorf("restarting %s: %w", name, err)
	}
	if name == layout.Etcd {
		members, err := o.etcdFirst(ctx, b, seen, todo.ID)
		if err != nil {
			return err
		}
		if members > 1 {
			step.Felt = fmt.Sprintf("nothing: %d other members answer meanwhile", members-1)
		}
	}
	step.Number = 1
	todo.Steps = append(todo.Steps, step)
	return o.propose(ctx, b, todo)
}
