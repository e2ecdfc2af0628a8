// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/workbench"
)

type restartOptions struct {
	changeOptions
	handoverOptions
	cleanUp bool
}

// restartable are the components that can be restarted.
var restartable = []string{layout.ControllerManager, layout.Scheduler, layout.Etcd, layout.APIServer, layout.Kubelet}

func newRestart(s Streams) *cobra.Command {
	o := &restartOptions{}
	cmd := &cobra.Command{
		Use: "restart COMPONENT", GroupID: "keep", Short: "A component, without downtime if possible",
		Long: `Ends the process of a component, after making sure that it is the one that was
looked at, and waits until its supervisor (the kubelet, systemd) has started it
again and it answers. Manifests are not touched. What will be felt is said
before.

kube-apiserver is handed over: a standby API server runs as a second static pod,
new connections are steered to it while the first one is restarted, and nobody
notices. Where the node does not allow that, it is restarted in place, and how
long the API will be away is said and asked for first.

etcd is only restarted where the other members keep the quorum, by what they
answer; where it is the only one, with --accept-outage. Its data are saved
beside the journal first.`,
		Args: cobra.ExactArgs(1), ValidArgs: restartable,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args[0]) },
	}
	o.changeOptions.addFlags(cmd)
	o.handoverOptions.addFlags(cmd)
	cmd.Flags().BoolVar(&o.acceptOutage, "accept-outage", false, "with --yes: go on although the API will be away, or answer no writes, meanwhile")
	cmd.Flags().BoolVar(&o.cleanUp, "clean-up", false, "kube-apiserver: do not restart it, take away what an earlier handover has left behind")
	return cmd
}

func (o *restartOptions) run(ctx context.Context, s Streams, name string) error {
	if !slices.Contains(restartable, name) {
		return usageError{fmt.Errorf("restarting %q: want one of %v", name, restartable)}
	}
	if err := o.checkSteer(); err != nil {
		return err
	}
	begun := s.Now()
	b, err := o.begin(ctx, s, "restart "+name)
	if err != nil {
		return err
	}
	defer b.Close()
	seen, err := b.look(ctx)
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
	todo := plan.New(workbench.PlanID(now), now, seen)
	if name == layout.APIServer && !o.cleanUp {
		if id, ok := b.handedOver(begun, c.Process.Start); ok {
			fmt.Fprintf(s.Err, "\n%s was restarted by finishing the plan %s\n", name, id)
			return nil
		}
	}
	if name == layout.APIServer {
		return o.replace(ctx, b, seen, c, todo)
	}
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
	todo.Add(step)
	return o.propose(ctx, b, todo)
}

// replace replaces the API server, or takes away what was left when that was
// done before.
func (o *restartOptions) replace(ctx context.Context, b *bench, seen plan.Seen, api layout.Component, todo plan.Plan) error {
	if o.cleanUp {
		if err := o.leftovers(b, seen, api, &todo); err != nil {
			return err
		}
		return o.propose(ctx, b, todo)
	}
	if _, left := seen.Layout.Component(layout.APIServerStandby); left {
		return hinted{fmt.Errorf("restarting %s: a standby is there already", api.Name), "perennial restart kube-apiserver --clean-up takes it away"}
	}
	steps, err := b.Replace(ctx, seen, api, "asked for", o.replacing(), &todo)
	if err != nil {
		return err
	}
	todo.Add(steps...)
	if wanted := o.yes || o.steer != ""; wanted && !o.dryRun { // then nobody is asked, or was asked for something else
		if err := o.replacing().Outage(todo); err != nil {
			_ = o.render(b.streams, todo)
			return err
		}
	}
	return o.propose(ctx, b, todo)
}

// sameWish is how soon after a handover was cut off the same command means that
// one, and not another.
const sameWish = time.Hour

// handedOver finds a handover that was cut off a while ago and has been finished
// since an instant, by which an API server was started: whoever runs the same
// command again wants it finished, not done twice.
func (b *bench) handedOver(since, started time.Time) (id string, ok bool) {
	for _, past := range b.Journal.Plans() {
		var p plan.Plan
		switch {
		case past.Result != journal.Done || past.Ended.Before(since) || json.Unmarshal(past.Content, &p) != nil:
		case since.Sub(past.Begun) > sameWish || started.Before(past.Begun):
		case slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Bridge != nil && s.Stop != nil }):
			return past.ID, true
		}
	}
	return "", false
}
