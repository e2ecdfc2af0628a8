// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
)

// Change is what became of a plan.
type Change struct {
	Plan   string         `json:"plan"` // its ID in the journal
	What   string         `json:"what"` // half a sentence
	Result journal.Result `json:"result"`
	Ended  time.Time      `json:"ended"`
	Why    fact.Text      `json:"why,omitempty"` // where it was not done
}

// act plans and does a piece of work. It says whether anything was begun.
func (a *Agent) act(ctx context.Context, look Look, d Decision) bool {
	p, err := a.Node.Plan(ctx, look, *d.Work)
	if ctx.Err() != nil {
		return true
	}
	r, no := unfit(p, *d.Work, a.now())
	if err != nil {
		if r, no = outage(p, *d.Work); !no {
			r, no = refusal(err), true
		}
	}
	r.Several = len(d.For) > 1
	if no {
		a.refuse(d.Key, r, d.Ends)
		return false
	}
	a.Log.Info("changing", "plan", p.ID, "what", d.what(), "steps", len(p.Steps))
	began, approval := a.now(), a.memory.approval
	if err := a.used(d.For); err != nil { // before it is begun: what is cut off is finished, and not done again
		a.refuse(d.Key, Refusal{Code: StateUnwritable, Why: fact.Text(oneLine(err))}, d.Ends)
		return false
	}
	out, err := a.Node.Do(ctx, p, a.step)
	if !hasBegun(out, err) {
		if r = refusal(err); ctx.Err() == nil {
			a.unused(approval)
			r.Several = len(d.For) > 1
			a.refuse(d.Key, r, d.Ends)
		}
		return ctx.Err() != nil
	}
	a.accept(d.Key)
	if a.ended(ctx, p.ID, d.what(), out, err) {
		a.memory.just = d.done(p, began)
	}
	return true
}

// done is a task with the plan that has done it.
type done struct {
	task
	began time.Time
}

// done is what a plan has done of the decision: of a renewal, that of which there
// is a step and not only a note.
func (d Decision) done(p plan.Plan, began time.Time) []done {
	var all []done
	for _, t := range d.tasks {
		if t.key != renewing || slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.ID == t.id }) {
			all = append(all, done{t, began})
		}
	}
	return all
}

// what a decision does, half a sentence.
func (d Decision) what() string {
	if d.Work.Restart != "" {
		return "restart " + d.Work.Restart
	}
	what := "renew"
	for i, id := range d.For {
		if i > 0 {
			what += ","
		}
		what += " " + id.Name()
	}
	return what
}

// ended takes in how a plan ended, and stops the line where it is not done and
// proven. One that was cut off with this program is finished by the next.
func (a *Agent) ended(ctx context.Context, id, what string, out execute.Outcome, err error) bool {
	if ctx.Err() != nil && err != nil {
		a.Log.Warn("cut off; the next run goes on", "plan", id)
		return false
	}
	last := &Change{Plan: id, What: what, Result: out.Result, Ended: a.now().UTC().Truncate(time.Second)}
	a.memory.last = last
	if err == nil && out.Result == journal.Done {
		a.Log.Info("changed", "plan", id, "what", what, "steps", len(out.Steps))
		return true
	}
	if err == nil {
		err = fmt.Errorf("the plan ended as %s", out.Result)
	}
	if last.Why = fact.Text(oneLine(err)); last.Result == journal.Done {
		last.Result = "" // a step is neither done nor taken back
	}
	a.stop(id, what+": "+oneLine(err))
	return false
}

// step tells of one step of a plan.
func (a *Agent) step(e execute.Event) {
	switch {
	case e.Result != "":
		a.Publish.Changed(string(e.Step.Verb), string(e.Result))
		a.Log.Info("step", "number", e.Step.Number, "title", e.Step.Title, "result", string(e.Result), "proof", fact.Text(e.Text).String())
	case e.Text != "":
		a.Log.Info("step", "number", e.Step.Number, "title", e.Step.Title, "note", fact.Text(e.Text).String())
	}
}

// past reads the journal. Cut is a plan that was cut off and is to be finished now,
// before anything else; a block is why nothing is begun.
func (a *Agent) past(ctx context.Context, atWork error) (past Past, cut *Cut, block []Block) {
	m := &a.memory
	past, err := a.Node.Past(ctx)
	switch {
	case ctx.Err() != nil:
		return past, nil, nil
	case err != nil:
		r := refusal(err)
		a.refuse(finishing, r, time.Time{})
		return past, nil, []Block{{Code: r.Code, Why: string(r.Why)}}
	}
	if f := past.Failed; f != nil && m.stopped == nil && !m.resumed.answers(*f) { // its stop was not written down
		a.stop(f.Plan, fmt.Sprintf("the plan %s ended as %s on %s", f.Plan, f.Result, f.Ended.UTC().Format(time.RFC3339)))
	}
	if len(past.Unfinished) == 0 {
		a.accept(finishing)
		return past, nil, nil
	}
	first := past.Unfinished[0]
	before, refused := m.refusals[finishing]
	switch {
	case m.stopped != nil || atWork != nil || m.clock.Why != "": // told already, and by a better name
		return past, nil, []Block{{Code: ChangeUnfinished, Why: "the plan " + first.Plan.ID + " was cut off"}}
	case refused && before.Again.After(a.now()):
		return past, nil, []Block{{Code: before.Code, Why: string(before.Why)}}
	case !first.Own: // A person may have broken it off on purpose, and allowed what the settings do not.
		return past, nil, []Block{a.unfinished(Refusal{Code: ChangeUnfinished, Why: fact.Text("the plan " + first.Plan.ID + " has not ended, or was cut off; a person began it, and the same command finishes it")})}
	}
	return past, &first, nil
}

// unfinished notes why a plan that was cut off is not finished now.
func (a *Agent) unfinished(r Refusal) Block {
	a.refuse(finishing, r, time.Time{})
	return Block{Code: r.Code, Why: string(r.Why)}
}

// finish finishes a plan that was cut off, unless another program is at it.
// Finished: what was seen is no longer true.
func (a *Agent) finish(ctx context.Context, s Situation, cut Cut) (why Block, finished bool) {
	m := &a.memory
	id := cut.Plan.ID
	what := "finish the plan " + id
	if m.finished == id {
		a.stop(id, "the plan "+id+" was finished, and the journal does not say so")
		return why, true
	}
	m.finished = id
	s.Blocks = append(s.Blocks, Block{Code: ChangeUnfinished, Why: "the plan " + id + " was cut off, and is finished first"})
	a.tell(s, Decide(s), what) // it may take long
	a.Log.Info("finishing what was cut off", "plan", id)
	out, err := a.Node.Finish(ctx, cut.Plan, a.step)
	r := Refusal{}
	if err != nil {
		r = refusal(err)
	}
	switch {
	case ctx.Err() != nil:
		return why, false // the next run goes on
	case r.Code == Busy || r.Code == ClockSuspect || r.Code == JournalDamaged || err != nil && out.Result == "":
		m.finished = ""
		return a.unfinished(r), false
	case err == nil && out.Result == "":
		err = errors.New("nothing is known of its outcome")
	}
	a.accept(finishing)
	a.ended(ctx, id, what, out, err)
	return why, true
}
