// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Run looks, acts and sleeps until the context ends. What is being done then is
// cut off, and finished by the next run.
func (a *Agent) Run(ctx context.Context) error {
	a.begin(false)
	a.Log.Info("started", "version", a.Version)
	for ctx.Err() == nil {
		wake := a.round(ctx)
		if !a.sleep(ctx, wake) {
			break
		}
	}
	a.Log.Info("ended")
	return nil
}

// Once looks, does what is to be done now, and ends.
func (a *Agent) Once(ctx context.Context) (Status, error) {
	a.begin(true)
	a.round(ctx)
	if a.memory.status.Looked.Before(a.memory.since) {
		return a.memory.status, errors.Join(ctx.Err(), errors.New("looking at the node: it could not be looked at; the log says why"))
	}
	return a.memory.status, ctx.Err()
}

// round looks, until there is nothing more to do now. It returns when the next
// turn comes; zero: none is known.
func (a *Agent) round(ctx context.Context) time.Time {
	for {
		again, wake := a.turn(ctx)
		if !again || ctx.Err() != nil {
			return wake
		}
	}
}

// sleep waits for the next turn, the next look, an answer or other settings. Not ok:
// the context has ended.
func (a *Agent) sleep(ctx context.Context, wake time.Time) bool {
	d := a.memory.settings.Policy.Agent.Every
	if !wake.IsZero() {
		d = min(d, wake.Sub(a.now()))
	}
	poll := a.Poll
	if poll <= 0 {
		poll = DefaultPoll
	}
	end := time.NewTimer(max(d, time.Millisecond)) // a clock may still show an instant before it
	defer end.Stop()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-end.C:
			return true
		case <-a.Wake:
			return true
		case <-tick.C:
			if a.answered() || a.resettled(ctx) {
				return true
			}
		}
	}
}

// turn is one look with what follows. Again: something was begun, so that what was
// seen is no longer true.
func (a *Agent) turn(ctx context.Context) (again bool, wake time.Time) {
	a.watchClock()
	a.readSettings(ctx)
	m := &a.memory
	a.report(func(h *health) { h.turned, h.every = time.Now(), m.settings.Policy.Agent.Every })
	a.answers(a.now())
	began := time.Now()
	look, err := a.Node.Look(ctx, m.settings.Policy)
	if err != nil {
		if ctx.Err() == nil {
			a.say(slog.LevelError, "the node cannot be looked at", "", err.Error())
		}
		return false, wake
	}
	a.say(slog.LevelError, "the node cannot be looked at", "", "")
	a.Publish.Took(time.Since(began))
	past, cut, block := a.past(ctx, look.AtWork)
	if ctx.Err() != nil {
		return false, wake
	}
	s := Situation{Now: a.now(), Look: look, Agent: m.settings.Policy.Agent, Began: past.Began, Approval: m.approval, Refusals: m.refusals, Blocks: append(a.blocks(look), block...)}
	a.looked(s)
	if cut != nil {
		block, finished := a.finish(ctx, s, *cut)
		if finished || ctx.Err() != nil {
			return finished, wake
		}
		s.Blocks = append(s.Blocks, block)
	}
	return a.follow(ctx, s)
}

// follow does what follows from a look, until something was begun or nothing is
// left to do now.
func (a *Agent) follow(ctx context.Context, s Situation) (again bool, wake time.Time) {
	m := &a.memory
	a.forget(tasksOf(s.Look, s.Now), s.Now)
	just := m.just
	m.just = nil
	tried := map[string]bool{} // once a look, whatever the clock does meanwhile
	for {
		s.Approval, s.Refusals = m.approval, m.refusals
		d := a.tell(s, Decide(s), "")
		if d.Work == nil || tried[d.Key] || ctx.Err() != nil {
			return false, d.Wake
		}
		tried[d.Key] = true
		if t, still := d.undone(just); still {
			a.stop(m.last.Plan, fmt.Sprintf("%s: it was done, and it is still due", t.what()))
			return true, d.Wake
		}
		if a.act(ctx, s.Look, d) {
			return true, d.Wake
		}
	}
}

// undone finds what was done right before, and is due since before that.
func (d Decision) undone(just []done) (task, bool) {
	for _, before := range just {
		for _, t := range d.tasks {
			if before.key == t.key && before.id == t.id && !t.from.After(before.began) {
				return t, true
			}
		}
	}
	return task{}, false
}

// blocks are why nothing is changed, whatever is due.
func (a *Agent) blocks(look Look) []Block {
	m := &a.memory
	var all []Block
	if m.stopped != nil {
		all = append(all, Block{Code: LineStopped, Why: "nothing is changed since " + m.stopped.At.UTC().Format(time.RFC3339) + ": " + m.stopped.Reason.String(), Next: m.stopped.todo(), Person: true})
	}
	if m.clock.Why != "" {
		all = append(all, Block{Code: ClockSuspect, Why: m.clock.Why, Person: true})
	}
	if why, ok := suspect(look); ok { // its item calls the person
		all = append(all, Block{Code: ClockSuspect, Why: why})
	}
	if look.AtWork == nil {
		a.accept(otherwise)
		return all
	}
	why := oneLine(look.AtWork)
	a.refuse(otherwise, Refusal{Code: OtherRenewer, Why: fact.Text(why)}, time.Time{})
	return append(all, Block{Code: OtherRenewer, Why: why})
}
