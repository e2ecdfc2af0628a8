// SPDX-License-Identifier: Apache-2.0

package credential

import (
	"fmt"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
)

// renewers says what else on the node renews.
func (j *judge) renewers() {
	for _, r := range j.layout.Renewers {
		f := finding.Finding{
			Code: finding.OtherRenewer, ID: fact.NodeID(j.layout.Node, r.Name), Class: finding.Notice, Keeper: finding.KeeperPerson,
			Effect: "it " + r.Does, Reason: r.String() + " is installed", Evidence: finding.Evidence{Path: r.Path},
			Fix: renewerFix(r),
		}
		switch {
		case r.AtWork:
			f.Reason = r.String() + " is at work"
		case r.PID != 0:
			f.Reason = r.String() + " runs"
		case r.Line == fact.RenewerLeftover:
			f.Reason = r.String() + " is there"
		}
		if r.Line != fact.RenewerLeftover {
			f.Evidence.Notes = []fact.Text{fact.Text(r.Line)}
		}
		j.add(f)
	}
}

func renewerFix(r layout.Renewer) string {
	switch {
	case r.AtWork:
		return "wait until it has ended"
	case r.PID != 0:
		return "let one of the two renew: kubectl get daemonset -A | grep " + quote(r.Name)
	case len(r.Name) > 6 && r.Name[len(r.Name)-6:] == ".timer":
		return "let one of the two renew: systemctl disable --now " + quote(r.Name)
	case r.Line == fact.RenewerLeftover:
		return fmt.Sprintf("nothing now; remove %s when it is not needed, it holds private keys", quote(r.Path))
	}
	return "let one of the two renew: look at " + quote(r.Path)
}
