// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Plan is what the journal tells of a plan.
type Plan struct {
	ID       string
	Begun    time.Time
	Content  json.RawMessage
	Undoes   string // the plan that this one takes back
	UndoneBy string // the plan that took this one back, whole
	Steps    []Step // those that were begun or decided, in order of their first record
	Notes    []string
	Ended    time.Time // zero: unfinished
	Result   Result    // empty: unfinished
}

// Step is what the journal tells of a step.
type Step struct {
	Number int
	Tries  []Try // never empty; more than one where it was tried again
}

// Try is one intent with its outcome.
type Try struct {
	Begun   time.Time
	Intent  *Intent // nil: decided without anything being done
	Ended   time.Time
	Outcome *Outcome // nil: not known
}

// Last is the last try of a step.
func (s Step) Last() Try { return s.Tries[len(s.Tries)-1] }

// Open says that a step was begun and nothing is known of its outcome.
func (s Step) Open() bool { return s.Last().Outcome == nil }

// Open are the steps without an outcome. Each has to be looked at, and then
// finished or undone, before anything else is done.
func (p Plan) Open() []Step {
	return slices.DeleteFunc(slices.Clone(p.Steps), func(s Step) bool { return !s.Open() })
}

// Backups are the copies that the plan's steps have made, each once.
func (p Plan) Backups() []string {
	var all []string
	for _, s := range p.Steps {
		for _, t := range s.Tries {
			if t.Intent == nil {
				continue
			}
			for _, f := range t.Intent.Files {
				if f.Backup != "" && !slices.Contains(all, f.Backup) {
					all = append(all, f.Backup)
				}
			}
		}
	}
	return all
}

// history is the plans of a journal, in the order in which they began.
type history []*Plan

func (h history) find(id string) *Plan {
	for _, p := range h {
		if p.ID == id {
			return p
		}
	}
	return nil
}

// open finds a plan that takes further records.
func (h history) open(id string) (*Plan, error) {
	p := h.find(id)
	switch {
	case p == nil:
		return nil, fmt.Errorf("plan %q has not begun", id)
	case p.Result != "":
		return nil, fmt.Errorf("plan %q has ended", id)
	}
	return p, nil
}

func (p *Plan) step(number int) *Step {
	for i := range p.Steps {
		if p.Steps[i].Number == number {
			return &p.Steps[i]
		}
	}
	return nil
}

// admit says whether a record may follow: what a plan does is told in order,
// so that nothing can be begun twice or ended without having begun.
func (h history) admit(r Record) error {
	switch r := r.(type) {
	case Begin:
		return h.admitBegin(r)
	case Intent:
		return h.admitIntent(r)
	case Outcome:
		return h.admitOutcome(r)
	case End:
		return h.admitEnd(r)
	case Note:
		if r.Plan != "" && h.find(r.Plan) == nil {
			return fmt.Errorf("plan %q has not begun", r.Plan)
		}
	}
	return nil
}

func (h history) admitBegin(r Begin) error {
	switch {
	case r.Plan == "":
		return errors.New("a plan without an ID")
	case h.find(r.Plan) != nil:
		return fmt.Errorf("plan %q has begun before", r.Plan)
	}
	return nil
}

func (h history) admitIntent(r Intent) error {
	p, err := h.open(r.Plan)
	if err != nil {
		return err
	}
	if r.Step < 1 {
		return fmt.Errorf("step %d of plan %q: steps count from 1", r.Step, r.Plan)
	}
	if s := p.step(r.Step); s != nil && s.Open() {
		return fmt.Errorf("step %d of plan %q has begun and has no outcome", r.Step, r.Plan)
	}
	return nil
}

func (h history) admitOutcome(r Outcome) error {
	p, err := h.open(r.Plan)
	if err != nil {
		return err
	}
	s := p.step(r.Step)
	begun := s != nil && s.Open()
	switch {
	case r.Step < 1:
		return fmt.Errorf("step %d of plan %q: steps count from 1", r.Step, r.Plan)
	case !r.Result.known():
		return fmt.Errorf("step %d of plan %q: %q is no result", r.Step, r.Plan, r.Result)
	case !begun && r.Result == Done:
		return fmt.Errorf("step %d of plan %q is done without having begun", r.Step, r.Plan)
	}
	return nil
}

func (h history) admitEnd(r End) error {
	p, err := h.open(r.Plan)
	if err != nil {
		return err
	}
	if !r.Result.known() {
		return fmt.Errorf("plan %q: %q is no result", r.Plan, r.Result)
	}
	if open := p.Open(); len(open) > 0 {
		return fmt.Errorf("plan %q cannot end: nothing is known of the outcome of step %d", r.Plan, open[0].Number)
	}
	return nil
}

// add takes in an entry that was admitted.
func (h *history) add(e Entry) {
	switch r := e.Record.(type) {
	case Begin:
		*h = append(*h, &Plan{ID: r.Plan, Begun: e.At, Content: r.Content, Undoes: r.Undoes})
	case Intent:
		h.find(r.Plan).try(r.Step, Try{Begun: e.At, Intent: &r})
	case Outcome:
		h.find(r.Plan).outcome(e.At, r)
	case End:
		h.end(e.At, r)
	case Note:
		if p := h.find(r.Plan); p != nil {
			p.Notes = append(p.Notes, string(r.Text))
		}
	}
}

func (p *Plan) try(step int, t Try) {
	s := p.step(step)
	if s == nil {
		p.Steps = append(p.Steps, Step{Number: step})
		s = &p.Steps[len(p.Steps)-1]
	}
	s.Tries = append(s.Tries, t)
}

func (p *Plan) outcome(at time.Time, r Outcome) {
	if s := p.step(r.Step); s == nil || !s.Open() {
		p.try(r.Step, Try{Begun: at})
	}
	s := p.step(r.Step)
	last := &s.Tries[len(s.Tries)-1]
	last.Ended, last.Outcome = at, &r
}

func (h *history) end(at time.Time, r End) {
	p := h.find(r.Plan)
	p.Ended, p.Result = at, r.Result
	if undone := h.find(p.Undoes); undone != nil && r.Result == Done {
		undone.UndoneBy = p.ID
	}
}
