// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/bridge"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/source"
)

// Replacing says how an API server is to be replaced. The zero value is the best
// way that the node allows.
type Replacing struct {
	Quick        bool     // idle watches and slow requests are not waited for
	InPlace      bool     // without a standby
	Insist       bool     // with a standby also where other API servers answer, or the node is busy
	NoHold       bool     // kept connections are not held for a moment
	Steer        plan.Way // the only way to steer; empty: the best that the node allows
	Patience     time.Duration
	AcceptOutage bool
}

// DefaultPatience is longer than the kubelet's longest back-off, and a start.
const DefaultPatience = 8 * time.Minute

// WithoutDowntime hands the API server over where a plan restarts it.
func (b *Bench) WithoutDowntime(ctx context.Context, seen plan.Seen, r Replacing, p *plan.Plan) error {
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool {
		return s.Verb == plan.Restart && s.Stop.Component == layout.APIServer
	})
	if i < 0 {
		return nil
	}
	api, _ := seen.Layout.Component(layout.APIServer)
	steps, err := b.Replace(ctx, seen, api, p.Steps[i].Why, r, p)
	if err == nil {
		p.Exchange(p.Steps[i].Number, steps)
	}
	return err
}

// Replace decides how the API server is replaced, notes that in the plan, and
// returns the steps: a handover where the node allows one, or else the restart in
// place with its outage.
func (b *Bench) Replace(ctx context.Context, seen plan.Seen, api layout.Component, why string, r Replacing, p *plan.Plan) ([]plan.Step, error) {
	admin, _ := seen.Layout.Administrator()
	d := b.decide(ctx, seen, api, admin, r)
	p.Decision = d
	if len(d.Ends) > 0 {
		return nil, Hint(fmt.Errorf("restarting %s: %s", api.Name, d.Ends[0].Says), d.Ends[0].Next)
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
		ID: p.ID, Way: d.Way, StandbyPort: d.StandbyPort, Guard: d.Guard, Etcd: d.Etcd, Hold: d.Hold && !r.NoHold, Quick: r.Quick,
		Pins: source.SteeringDir, Admin: admin, Patience: r.Patience,
	})
}

func (b *Bench) decide(ctx context.Context, seen plan.Seen, api layout.Component, admin string, r Replacing) *plan.Decision {
	survey := bridge.Survey{Files: b.Files, Admin: admin, Pins: source.SteeringDir, Version: b.Version, Steer: r.Steer, Now: b.Now, Sleep: Sleep}
	if b.Tell != nil {
		b.Tell("looking at what a handover would stand on ...")
	}
	ground := survey.Ground(ctx, seen, api)
	ground.Insisted = r.Insist
	d := ground.Decide()
	if r.InPlace {
		d.InPlace("asked for with --in-place")
	}
	return &d
}

// Outage refuses an outage that nobody has accepted.
func (r Replacing) Outage(p plan.Plan) error {
	d := p.Decision
	if !d.Away() || r.AcceptOutage {
		return nil
	}
	var why []string
	for _, reason := range d.Reasons {
		why = append(why, reason.Says)
	}
	return Hint(
		fmt.Errorf("restarting %s: only in place (%s), and the API would be away for %s", layout.APIServer, strings.Join(why, "; "), d.Outage),
		"perennial restart kube-apiserver --dry-run shows all preflights; --accept-outage goes on",
	)
}
