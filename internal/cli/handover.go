// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/workbench"
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
	f.DurationVar(&o.patience, "patience", workbench.DefaultPatience, "kube-apiserver: how long it may take to come back")
	cmd.MarkFlagsMutuallyExclusive("in-place", "handover")
	cmd.MarkFlagsMutuallyExclusive("in-place", "steer")
	_ = cmd.RegisterFlagCompletionFunc("steer", cobra.FixedCompletions([]string{string(plan.ByLookup), string(plan.ByNAT)}, cobra.ShellCompDirectiveNoFileComp))
}

func (o *handoverOptions) replacing() workbench.Replacing {
	return workbench.Replacing{
		Quick: o.quick, InPlace: o.inPlace, Insist: o.handover, NoHold: o.noHold, AcceptOutage: o.acceptOutage,
		Steer: plan.Way(o.steer), Patience: o.patience,
	}
}

// checkSteer refuses a way to steer that there is not.
func (o *handoverOptions) checkSteer() error {
	switch plan.Way(o.steer) {
	case "", plan.ByLookup, plan.ByNAT:
		return nil
	}
	return usageError{fmt.Errorf("steering by %q: want %s or %s", o.steer, plan.ByLookup, plan.ByNAT)}
}

// leftovers takes away what an earlier handover has left behind.
func (o *restartOptions) leftovers(b *bench, seen plan.Seen, api layout.Component, p *plan.Plan) error {
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
