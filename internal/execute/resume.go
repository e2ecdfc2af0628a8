// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"

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
	if err := r.sweep(ctx, p); err != nil {
		return out, err
	}
	var problems []error
	left := p.Steps
	for i, s := range p.Steps {
		done, begun := tried(cut, s.Number)
		if !begun && (out.Result == journal.Done || s.Always) {
			break
		}
		left = p.Steps[i+1:]
		switch {
		case !begun:
		case done.Outcome == nil:
			e := r.resumeStep(ctx, p, s, done.Intent.Files)
			if problems = append(problems, e.err); e.result == "" {
				return out, errors.Join(problems...)
			}
			if err := r.close(p, s, e, &out); err != nil {
				return out, errors.Join(append(problems, err)...)
			}
		default:
			out.Steps = append(out.Steps, StepResult{Number: s.Number, Result: done.Outcome.Result, Proof: string(done.Outcome.Proof)})
			if done.Outcome.Result != journal.Done && out.Result == journal.Done {
				out.Result = done.Outcome.Result
			}
		}
	}
	if out.Result == journal.Done && slices.ContainsFunc(left, dated) {
		if err := r.clock(ctx); err != nil {
			return out, errors.Join(append(problems, err)...)
		}
	}
	out, err := r.from(ctx, p, left, out)
	return out, errors.Join(append(problems, err)...)
}

// sweep removes what was half-written when the plan was cut off. Some of it
// holds keys.
func (r *Runner) sweep(ctx context.Context, p plan.Plan) error {
	var dirs []string
	for _, s := range p.Steps {
		dirs = append(dirs, path.Join(r.State, "backup", p.ID, strconv.Itoa(s.Number)))
		for _, f := range s.Files {
			if f.Written {
				dirs = append(dirs, path.Dir(f.Path))
			}
		}
	}
	slices.Sort(dirs)
	return r.Hands.Sweep(ctx, slices.Compact(dirs)...)
}

func tried(cut journal.Plan, number int) (journal.Try, bool) {
	for _, s := range cut.Steps {
		if s.Number == number {
			return s.Last(), true
		}
	}
	return journal.Try{}, false
}

// resumeStep finishes the step that was cut off. What nothing answers for now
// may be what the step has broken, so it is waited for as long as if it had
// answered; only then is it left unproven, since what else is to be renewed may
// be what it needs to answer again.
func (r *Runner) resumeStep(ctx context.Context, p plan.Plan, s plan.Step, changes []journal.File) ending {
	r.tell(s, "", "")
	r.tell(s, "", "finishing what was cut off")
	r.resuming = true
	defer func() { r.resuming = false }()
	for _, c := range changes {
		now, err := r.Hands.Digest(ctx, c.Path)
		if err != nil {
			return ending{err: err}
		}
		if now != c.Before && now != c.After {
			return r.leave(ctx, p, s, c)
		}
	}
	if err := r.clock(ctx); err != nil && dated(s) {
		// No clock is needed to make files agree; to prove them, it is.
		return ending{err: errors.Join(err, r.place(ctx, changes))}
	}
	if v := verbs[s.Verb]; v.act != nil {
		if err := v.act(r, ctx, s); err != nil {
			return r.notActed(ctx, s, err)
		}
	}
	e := r.finish(ctx, s, changes, nil)
	if e.result != "" && !e.unknown || e.err == nil || ctx.Err() != nil {
		return e
	}
	silent, err := r.silent(ctx, s)
	if err != nil || len(silent) == 0 {
		return e
	}
	return r.finish(ctx, s, changes, silent)
}

// leave leaves alone what another program has put in place of a file. Where
// that is a credential that can be used, the step is closed as failed and the
// next plan begins with what is there.
func (r *Runner) leave(ctx context.Context, p plan.Plan, s plan.Step, c journal.File) ending {
	err := fmt.Errorf("finishing step %d (%s) of the plan %s: another program has changed %s meanwhile; nothing was done to it", s.Number, s.Title, p.ID, c.Path)
	seen, looking := r.Eyes.Look(ctx)
	if looking != nil {
		return ending{err: looking}
	}
	if problem, broken := plan.Broken(seen, s.ID); broken {
		return ending{err: fmt.Errorf("%w. It cannot be used as it is: %s. Put back what was there (%s) or what should be (%s), then run this again",
			err, problem, c.Backup, c.Staged)}
	}
	return failed(fmt.Errorf("%w; run this again to plan from what is there now", err))
}

// restart ends the process of a component, unless a newer one runs that fulfils
// the step: after a failure of the power everything has started again, before
// or after the files were replaced.
func (r *Runner) restart(ctx context.Context, s plan.Step) error {
	if s.Bridge != nil {
		return r.exchange(ctx, s)
	}
	seen, err := r.Eyes.Look(ctx)
	if err != nil {
		return err
	}
	c, ok := seen.Layout.Component(s.Stop.Component)
	if !ok || c.Process == nil {
		return nil // the proof waits for it to start
	}
	stop := *s.Stop
	if !c.Process.Same(stop.Process()) {
		if r.answers(ctx, s, nil).answer == plan.Yes {
			return nil
		}
		stop = stop.Of(*c.Process)
	}
	if err := r.Hands.Stop(ctx, stop); err != nil && !errors.Is(err, ErrGone) {
		return err
	}
	if holder, ok := seen.Holder(stop.Component); ok && stop.Lease != nil {
		if err := r.Hands.ReleaseLease(ctx, *stop.Lease, holder); err != nil {
			r.tell(s, "", "its lease runs out by itself: "+err.Error())
		}
	}
	return nil
}

// ErrGone is a process that has ended before it was stopped.
var ErrGone = errors.New("the process has ended already")
