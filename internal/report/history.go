// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
)

// History is what was changed on a node, and the proof: a published JSON
// (docs/schema). Times are UTC and whole seconds; lists are never null.
type History struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Plans      []PastPlan `json:"plans"` // in the order in which they began
}

// PastPlan is a plan that has begun.
type PastPlan struct {
	ID       string         `json:"id"`
	Node     fact.Text      `json:"node,omitempty"`
	By       string         `json:"by,omitempty"` // who made it where nobody asked for it; empty: a person, by a command
	Begun    time.Time      `json:"begun"`
	Ended    time.Time      `json:"ended,omitzero"`   // absent: it was cut off, or is at work
	Result   journal.Result `json:"result,omitempty"` // absent: as above
	Undoes   string         `json:"undoes,omitempty"` // the plan that this one takes back
	UndoneBy string         `json:"undoneBy,omitempty"`
	Steps    []PastStep     `json:"steps"` // those that were begun or decided
	Notes    []fact.Text    `json:"notes"`
}

// PastStep is a step that was begun, or decided without anything being done.
type PastStep struct {
	Number int       `json:"number"` // in the plan, from 1
	Verb   plan.Verb `json:"verb,omitempty"`
	ID     fact.ID   `json:"id,omitempty"` // the credential, or node/component for a restart
	Title  string    `json:"title,omitempty"`
	Tries  []PastTry `json:"tries"` // more than one where it was tried again
}

// PastTry is what was done, and what was seen afterwards.
type PastTry struct {
	Begun  time.Time      `json:"begun"`
	Ended  time.Time      `json:"ended,omitzero"`   // absent: it was cut off, or is at work
	Result journal.Result `json:"result,omitempty"` // absent: as above
	Proof  fact.Text      `json:"proof,omitempty"`  // what was seen afterwards
	Files  []PastFile     `json:"files"`
}

// PastFile is a file that was changed. Digests are "sha256:<hex>", and absent where
// there was no file.
type PastFile struct {
	Path   string `json:"path"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	Backup string `json:"backup,omitempty"` // path of the copy
}

// HistoryOf tells plans of a journal. Of a plan that cannot be read, the steps have
// their numbers only.
func HistoryOf(all []journal.Plan) History {
	h := History{APIVersion: finding.APIVersion, Kind: "History", Plans: []PastPlan{}}
	for _, p := range all {
		h.Plans = append(h.Plans, pastPlan(p))
	}
	return h
}

func pastPlan(p journal.Plan) PastPlan {
	var of plan.Plan
	if json.Unmarshal(p.Content, &of) != nil {
		of = plan.Plan{}
	}
	past := PastPlan{
		ID: p.ID, Node: of.Node, By: of.By, Begun: whole(p.Begun), Ended: whole(p.Ended), Result: p.Result, Undoes: p.Undoes, UndoneBy: p.UndoneBy,
		Steps: []PastStep{}, Notes: []fact.Text{},
	}
	for _, n := range p.Notes {
		past.Notes = append(past.Notes, fact.Text(n))
	}
	for _, s := range p.Steps {
		step := PastStep{Number: s.Number, Tries: []PastTry{}}
		for _, planned := range of.Steps {
			if planned.Number == s.Number {
				step.Verb, step.ID, step.Title = planned.Verb, planned.ID, planned.Title
			}
		}
		for _, t := range s.Tries {
			step.Tries = append(step.Tries, pastTry(t))
		}
		past.Steps = append(past.Steps, step)
	}
	return past
}

func pastTry(t journal.Try) PastTry {
	past := PastTry{Begun: whole(t.Begun), Ended: whole(t.Ended), Files: []PastFile{}}
	if t.Outcome != nil {
		past.Result, past.Proof = t.Outcome.Result, t.Outcome.Proof
	}
	if t.Intent != nil {
		for _, f := range t.Intent.Files {
			past.Files = append(past.Files, PastFile{Path: f.Path, Before: f.Before, After: f.After, Backup: f.Backup})
		}
	}
	return past
}

func whole(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// WriteHistory writes plans, a line each; steps writes the steps of each plan
// instead, with their files and proofs.
func WriteHistory(w io.Writer, f Format, h History, steps bool, o Options) error {
	return Document(w, f, h, func(w io.Writer) error {
		p := &page{width: o.Width, color: o.Color}
		if steps {
			for _, past := range h.Plans {
				p.steps(past)
			}
		} else {
			p.plans(h)
		}
		return write(w, []byte(p.finished()))
	})
}

func (p *page) plans(h History) {
	g := &grid{heads: []string{"PLAN", "BEGUN (UTC)", "STEPS", "RESULT"}}
	for _, past := range h.Plans {
		g.rows = append(g.rows, []cell{{text: plain(past.ID)}, {text: past.Begun.Format("2006-01-02 15:04")}, {text: strconv.Itoa(len(past.Steps))}, {text: past.Became()}})
	}
	if p.width > 0 {
		g.fit(p.width, []step{{"STEPS", drop, 0}, {"RESULT", elideTo, 40}, {"RESULT", elideTo, 20}, {"PLAN", elideTo, 16}})
	}
	g.write(p)
}

// Became says what became of a plan, safe to print.
func (p PastPlan) Became() string {
	switch {
	case p.Result == "":
		return "cut off; the next renew or restart finishes it"
	case p.UndoneBy != "":
		return plain(p.Result) + ", undone by " + plain(p.UndoneBy)
	case p.Undoes != "":
		return plain(p.Result) + ", undoes " + plain(p.Undoes)
	}
	return plain(p.Result)
}

func (p *page) steps(past PastPlan) {
	for _, s := range past.Steps {
		last := s.Tries[len(s.Tries)-1]
		result := "cut off"
		if last.Result != "" {
			result = plain(last.Result)
		}
		p.line(fmt.Sprintf("%2d  %s: %s (%s)", s.Number, plain(s.Title), result, last.Begun.Format(time.RFC3339)))
		tell := func(name string, text string) {
			if text != "" { // in one piece, to be copied
				p.line("    " + pad(name, 8) + plain(text))
			}
		}
		tell("proof", string(last.Proof))
		for _, f := range last.Files {
			tell("file", f.Path)
			tell("backup", f.Backup)
		}
	}
}
