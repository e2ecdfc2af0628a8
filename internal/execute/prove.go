// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"strings"
	"time"

	"perennial.dev/perennial/internal/plan"
)

// between is the pause between two looks of a proof. A look takes about a
// twentieth of a second.
const between = 500 * time.Millisecond

// prove looks until every expectation of a step holds, or the patience for the
// ones that do not is over.
func (r *Runner) prove(ctx context.Context, s plan.Step) (plan.Answer, string) {
	start := r.Now()
	for {
		answer, proof, patience := r.answers(ctx, s)
		if answer == plan.Yes || r.Now().Sub(start) >= patience {
			return answer, proof
		}
		if r.Sleep(ctx, between) != nil {
			return plan.Unknown, "interrupted: " + proof
		}
	}
}

// answers looks once. The patience is that of the expectation that does not
// hold and may take longest.
func (r *Runner) answers(ctx context.Context, s plan.Step) (plan.Answer, string, time.Duration) {
	seen, err := r.Eyes.Look(ctx)
	if err != nil {
		return plan.Unknown, err.Error(), r.longest(s)
	}
	worst, patience := plan.Yes, time.Duration(0)
	var yes, open []string
	for _, e := range s.Expect {
		answer, why := e.Holds(seen)
		if answer == plan.Yes {
			yes = append(yes, why)
			continue
		}
		open = append(open, why)
		patience = max(patience, r.Patience[e.Predicate])
		if worst != plan.No {
			worst = answer
		}
	}
	if worst == plan.Yes {
		return plan.Yes, strings.Join(yes, "; "), 0
	}
	return worst, strings.Join(open, "; "), patience
}

func (r *Runner) longest(s plan.Step) time.Duration {
	patience := time.Duration(0)
	for _, e := range s.Expect {
		patience = max(patience, r.Patience[e.Predicate])
	}
	return patience
}
