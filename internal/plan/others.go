// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"errors"
	"fmt"

	"perennial.dev/perennial/internal/fact"
)

// AtWork is an error for each program that renews or changes the control plane
// of this node now. Two that do so at once leave what neither has planned.
func AtWork(seen Seen) error {
	var errs []error
	for _, r := range seen.Layout.Renewers {
		if r.AtWork {
			errs = append(errs, fmt.Errorf("planning: %s is at work on this node (%s); wait until it has ended", r, fact.Text(r.Line)))
		}
	}
	return errors.Join(errs...)
}

// others names what else renews, where there is something to do.
func (p *planner) others() {
	for _, r := range p.seen.Layout.Renewers {
		if len(p.Steps) > 0 && !r.AtWork {
			p.note(fact.NodeID(p.seen.Layout.Node, r.Name), "%s is left as it is: it %s", r, r.Does)
		}
	}
}
