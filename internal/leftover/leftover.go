// SPDX-License-Identifier: Apache-2.0

// Package leftover judges what was left when a change of this machine was cut
// off: the change itself, and what a handover of the API server has put up and
// not taken away again. None of it stops anything from working, and none of it
// is meant to stay.
package leftover

import (
	"fmt"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
)

// fix takes all of it away; nothing is restarted.
const fix = "perennial restart kube-apiserver --clean-up"

const reason = "a handover is under way, or was cut off"

// Judge finds what is there of a handover.
func Judge(l layout.Layout, facts []fact.Fact) []finding.Finding {
	var all []finding.Finding
	add := func(code finding.Code, name, effect string, evidence finding.Evidence) {
		all = append(all, finding.Finding{
			Code: code, ID: fact.NodeID(l.Node, name), End: finding.Now(), Class: finding.Weakness, Keeper: finding.KeeperPerson,
			Effect: effect, Reason: reason, Evidence: evidence, Fix: fix,
		})
	}
	if c, ok := l.Component(layout.APIServerStandby); ok {
		add(finding.StandbyLeft, layout.APIServerStandby, "a second API server runs on this node and takes its memory", finding.Evidence{Path: c.Manifest})
	}
	for _, f := range facts {
		switch f := f.(type) {
		case fact.Unfinished:
			all = append(all, unfinished(l, f))
		case fact.Steering:
			effect := "nothing: no connection is steered"
			if f.On {
				effect = fmt.Sprintf("new connections to port %d reach the standby, and the API server again when that ends", f.Port)
			}
			add(finding.SteeringLeft, "api-steering", effect, finding.Evidence{Notes: []fact.Text{fact.Text(f.Way + ": " + f.Place)}})
		case fact.Guard:
			if f.Present {
				add(finding.GuardLeft, "endpoints-guard", "the endpoints of the service kubernetes cannot be emptied, also not when its last API server ends", finding.Evidence{Notes: []fact.Text{fact.Text(f.Way + ": " + f.Place)}})
			}
		case fact.Held:
			add(finding.HoldLeft, fmt.Sprintf("held-connections-%d", f.PID), "nothing: the filters on its connections have let everything through since seconds after they were put there",
				finding.Evidence{Notes: []fact.Text{fact.Text(fmt.Sprintf("%d connections of process %d", f.Sockets, f.PID))}})
		}
	}
	return all
}

func unfinished(l layout.Layout, f fact.Unfinished) finding.Finding {
	reason := "begun " + f.Begun.UTC().Format(time.RFC3339)
	if f.Step != "" {
		reason += fmt.Sprintf("; the last step that was begun: %s", f.Step)
	}
	return finding.Finding{
		Code: finding.ChangeUnfinished, ID: fact.NodeID(l.Node, "plan-"+f.Plan), End: finding.Now(), Class: finding.Weakness, Keeper: finding.KeeperPerson,
		Effect: "what it was to do is not done, or not proven; every component can start as it is", Reason: reason,
		Fix: "perennial renew", // whatever changes something finishes it first
	}
}
