// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/plan"
)

// between is the pause between two looks of a proof. A look takes about a
// twentieth of a second.
const between = 500 * time.Millisecond

// quiet are the expectations of a step, by their place, that nothing answered
// for before the step.
type quiet map[int]bool

// asked says whether an expectation is about what answers on a port. A proof
// that could not be had before a step is not insisted on afterwards: files must
// be renewable while the API is down, and most of all then.
func asked(e plan.Expect) bool {
	return e.Predicate == plan.WireEqualsDisk || e.Predicate == plan.Answers || e.Predicate == plan.Ready || e.Predicate == plan.LeaseHeld
}

// silent finds the expectations that cannot be seen now.
func (r *Runner) silent(ctx context.Context, s plan.Step) (quiet, error) {
	q := quiet{}
	if s.Bridge != nil || !slices.ContainsFunc(s.Expect, asked) {
		return q, nil // a handover goes on from proof to proof only
	}
	before := r.last
	if before == nil {
		seen, err := r.Eyes.Look(ctx)
		if err != nil {
			return q, err
		}
		before = &seen
	}
	for i, e := range s.Expect {
		if answer, _ := e.Holds(*before); asked(e) && answer == plan.Unknown {
			q[i] = true
		}
	}
	return q, nil
}

// untilSilent is how long is waited for an answer where none came before.
const untilSilent = time.Second

// proof is what a step is closed with.
type proof struct {
	answer   plan.Answer
	why      string
	unproven string // what was silent before, and still is
	patience time.Duration
}

// prove looks until every expectation of a step holds, or the patience for the
// ones that do not is over.
func (r *Runner) prove(ctx context.Context, s plan.Step, silent quiet) proof {
	start := r.Now()
	for {
		p := r.answers(ctx, s, silent)
		if waited := r.Now().Sub(start); waited >= p.patience || ctx.Err() != nil {
			return p
		}
		if r.Sleep(ctx, between) != nil {
			return proof{answer: plan.Unknown, why: "interrupted: " + p.why}
		}
	}
}

// answers looks once. The patience is that of the expectation that does not
// hold and may take longest.
func (r *Runner) answers(ctx context.Context, s plan.Step, silent quiet) proof {
	r.last = nil
	seen, err := r.Eyes.Look(ctx)
	if err != nil {
		return proof{answer: plan.Unknown, why: err.Error(), patience: r.longest(s)}
	}
	p := proof{answer: plan.Yes}
	var yes, open, still []string
	for i, e := range s.Expect {
		answer, why := e.Holds(seen)
		switch {
		case answer == plan.Yes:
			yes = append(yes, why)
			continue
		case answer == plan.Unknown && silent[i]:
			still = append(still, why)
			p.patience = max(p.patience, min(untilSilent, r.patience(e)))
			continue
		}
		open = append(open, why)
		p.patience = max(p.patience, r.patience(e))
		if p.answer != plan.No {
			p.answer = answer
		}
	}
	p.why, p.unproven = strings.Join(yes, "; "), strings.Join(still, "; ")
	if p.answer != plan.Yes {
		p.why = strings.Join(append(open, still...), "; ")
		return p
	}
	r.last = &seen
	return p
}

func (r *Runner) patience(e plan.Expect) time.Duration {
	if e.Within.Duration > 0 {
		return e.Within.Duration
	}
	return r.Patience[e.Predicate]
}

func (r *Runner) longest(s plan.Step) time.Duration {
	patience := time.Duration(0)
	for _, e := range s.Expect {
		patience = max(patience, r.patience(e))
	}
	return patience
}
