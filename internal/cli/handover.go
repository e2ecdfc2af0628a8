// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/bridge"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/source"
)

// handoverOptions say how an API server is to be replaced.
type handoverOptions struct {
	quick, inPlace, handover, noHold, acceptOutage bool
	patience                                       time.Duration
	steer                                          string
}

func (o *handoverOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.quick, "quick", false, "kube-apiserver: do not wait for idle watches and slow requests; some of them begin anew")
	f.BoolVar(&o.inPlace, "in-place", false, "kube-apiserver: restart it without a standby; the API is away meanwhile")
	f.BoolVar(&o.handover, "handover", false, "kube-apiserver: with a standby also where other API servers answer, or the node is busy")
	f.BoolVar(&o.noHold, "no-hold", false, "kube-apiserver: do not hold kept connections for a moment; better where HTTP/1.1 clients write, worse for others")
	f.StringVar(&o.steer, "steer", "", "kube-apiserver: steer new connections in this `way` only: sk_lookup, nftables (default: the best that the node allows)")
	f.DurationVar(&o.patience, "patience", defaultPatience, "kube-apiserver: how long it may take to come back")
	cmd.MarkFlagsMutuallyExclusive("in-place", "handover")
	cmd.MarkFlagsMutuallyExclusive("in-place", "steer")
	_ = cmd.RegisterFlagCompletionFunc("steer", cobra.FixedCompletions([]string{string(plan.ByLookup), string(plan.ByNAT)}, cobra.ShellCompDirectiveNoFileComp))
}

// defaultPatience is longer than the kubelet's longest back-off, and a start.
const defaultPatience = 8 * time.Minute

// apiServer adds the steps that replace the API server to a plan: a handover
// where the node allows one, or else the restart in place with its outage.
func (o *handoverOptions) apiServer(ctx context.Context, b *bench, seen plan.Seen, api layout.Component, why string, p *plan.Plan) error {
	steps, err := o.steps(ctx, b, seen, api, why, p)
	p.Add(steps...)
	return err
}

// withoutDowntime hands the API server over where a plan restarts it.
func (o *handoverOptions) withoutDowntime(ctx context.Context, b *bench, seen plan.Seen, p *plan.Plan) error {
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool {
		return s.Verb == plan.Restart && s.Stop.Component == layout.APIServer
	})
	if i < 0 {
		return nil
	}
	api, _ := seen.Layout.Component(layout.APIServer)
	steps, err := o.steps(ctx, b, seen, api, p.Steps[i].Why, p)
	if err == nil {
		p.Exchange(p.Steps[i].Number, steps)
	}
	return err
}

// steps decides how the API server is replaced, and notes that in the plan.
func (o *handoverOptions) steps(ctx context.Context, b *bench, seen plan.Seen, api layout.Component, why string, p *plan.Plan) ([]plan.Step, error) {
	admin, _ := seen.Layout.Administrator()
	d := o.decide(ctx, b, seen, api, admin)
	p.Decision = d
	if len(d.Ends) > 0 {
		return nil, hinted{fmt.Errorf("restarting %s: %s", api.Name, d.Ends[0].Says), d.Ends[0].Next}
	}
	if d.Way == plan.InPlace {
		step, err := plan.RestartStep(seen, api, why)
		if err != nil {
			return nil, fmt.Errorf("restarting %s: %w", api.Name, err)
		}
		step.Felt = d.Felt()
		return []plan.Step{step}, nil
	}
	return plan.Handover(seen, api, why, plan.HandoverOptions{
		ID: p.ID, Way: d.Way, StandbyPort: d.StandbyPort, Guard: d.Guard, Etcd: d.Etcd, Hold: d.Hold && !o.noHold, Quick: o.quick,
		Pins: source.SteeringDir, Admin: admin, Patience: o.patience,
	})
}

func (o *handoverOptions) decide(ctx context.Context, b *bench, seen plan.Seen, api layout.Component, admin string) *plan.Decision {
	survey := bridge.Survey{Files: b.files, Admin: admin, Pins: source.SteeringDir, Version: Version, Steer: plan.Way(o.steer), Now: b.streams.Now, Sleep: sleep}
	fmt.Fprintln(b.streams.Err, "looking at what a handover would stand on ...")
	ground := survey.Ground(ctx, seen, api)
	ground.Insisted = o.handover
	d := ground.Decide()
	if o.inPlace {
		d.InPlace("asked for with --in-place")
	}
	return &d
}

// checkSteer refuses a way to steer that there is not.
func (o *handoverOptions) checkSteer() error {
	switch plan.Way(o.steer) {
	case "", plan.ByLookup, plan.ByNAT:
		return nil
	}
	return usageError{fmt.Errorf("steering by %q: want %s or %s", o.steer, plan.ByLookup, plan.ByNAT)}
}

// outage refuses an outage that nobody has accepted.
func (o *handoverOptions) outage(p plan.Plan, asked bool) error {
	d := p.Decision
	if d == nil || d.Way != plan.InPlace || d.Served || o.acceptOutage || !asked {
		return nil
	}
	var why []string
	for _, r := range d.Reasons {
		why = append(why, r.Says)
	}
	return hinted{
		fmt.Errorf("restarting %s: only in place (%s), and the API would be away for %s", layout.APIServer, strings.Join(why, "; "), d.Outage),
		"perennial restart kube-apiserver --dry-run shows all preflights; --accept-outage goes on",
	}
}

// leftovers takes away what an earlier handover has left behind.
func (o *restartOptions) leftovers(ctx context.Context, b *bench, seen plan.Seen, api layout.Component, p *plan.Plan) error {
	admin, _ := seen.Layout.Administrator()
	steps, err := plan.CleanUp(seen, api, plan.HandoverOptions{ID: p.ID, Guard: plan.GuardPolicy, Hold: true, Quick: o.quick, Admin: admin})
	if err != nil {
		return err
	}
	if len(steps) == 0 {
		fmt.Fprintln(b.streams.Err, "nothing of a handover was left behind")
	}
	p.Add(steps...)
	return nil
}

func (b *bench) crossing() bridge.Crossing {
	return bridge.Crossing{Disk: b.disk, Version: Version, Now: b.streams.Now}
}
