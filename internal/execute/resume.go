// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
)

// Resume finishes a plan that was cut off: a step without an outcome is looked
// at, and finished or taken back; then the rest is done. Where the files are
// neither what they were before nor what they should become, nothing is
// touched and a person is told.
func (r *Runner) Resume(ctx context.Context, cut journal.Plan) (Outcome, error) {
	var p plan.Plan
	if err := json.Unmarshal(cut.Content, &p); err != nil {
		return Outcome{Plan: cut.ID, Result: journal.Failed}, fmt.Errorf("reading the plan %s from the journal: %w", cut.ID, err)
	}
	out := Outcome{Plan: p.ID, Result: journal.Done}
	for _, s := range p.Steps {
		done, begun := tried(cut, s.Number)
		if !begun {
			break
		}
		if done.Outcome == nil {
			result, err := r.resumeStep(ctx, p, s, done.Intent.Files, &out)
			if err != nil || result != journal.Done {
				return out, err
			}
			continue
		}
		out.Steps = append(out.Steps, StepResult{s.Number, done.Outcome.Result, string(done.Outcome.Proof)})
		if done.Outcome.Result != journal.Done {
			out.Result = done.Outcome.Result
			return out, r.record(journal.End{Plan: p.ID, Result: out.Result})
		}
	}
	return r.from(ctx, p, out)
}

func tried(cut journal.Plan, number int) (journal.Try, bool) {
	for _, s := range cut.Steps {
		if s.Number == number {
			return s.Last(), true
		}
	}
	return journal.Try{}, false
}

// resumeStep finishes the step that was cut off. A restart that may or may not
// have happened is proven by the process's start, and done again where the old
// process still runs.
func (r *Runner) resumeStep(ctx context.Context, p plan.Plan, s plan.Step, changes []journal.File, out *Outcome) (journal.Result, error) {
	r.tell(s, "", "finishing what was cut off")
	for _, c := range changes {
		now, err := r.Hands.Digest(ctx, c.Path)
		if err != nil {
			return "", err
		}
		if now != c.Before && now != c.After {
			return "", fmt.Errorf("finishing step %d (%s) of the plan %s: %s is neither what it was (%s) nor what it should become (%s): another program has changed it; nothing was touched, put one of the two back from %s or %s",
				s.Number, s.Title, p.ID, c.Path, c.Before, c.After, c.Backup, c.Staged)
		}
	}
	if v := verbs[s.Verb]; v.act != nil {
		if answer, _, _ := r.answers(ctx, s); answer != plan.Yes {
			if err := v.act(r, ctx, s); err != nil && !errors.Is(err, ErrGone) {
				return "", err
			}
		}
	}
	result, proof, err := r.finish(ctx, s, changes)
	if result == "" {
		return "", err
	}
	out.Steps = append(out.Steps, StepResult{s.Number, result, proof})
	if closing := r.record(journal.Outcome{Plan: p.ID, Step: s.Number, Result: result, Proof: fact.Text(proof)}); closing != nil {
		return "", closing
	}
	r.tell(s, result, proof)
	if result == journal.Done {
		return result, nil
	}
	out.Result = result
	return result, errors.Join(err, r.record(journal.End{Plan: p.ID, Result: result}))
}

// ErrGone is a process that has ended before it was stopped.
var ErrGone = errors.New("the process has ended already")
