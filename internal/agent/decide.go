// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/policy"
)

// Situation is all that a decision is made from.
type Situation struct {
	Now   time.Time
	Look  Look
	Agent policy.Agent
	// Began is when the agent's plans began.
	Began    []time.Time
	Approval Approval
	// Refusals are by key: what was tried, or what holds everything up.
	Refusals map[string]Refusal
	// Blocks are why nothing is changed, whatever is due.
	Blocks []Block
}

// Block is why nothing is changed.
type Block struct {
	Code Code
	Why  string
	Next string
	// Person: somebody is needed now, and not only if it lasts.
	Person bool
}

// Decision is what follows.
type Decision struct {
	Work *Work // what is to be done now; nil: nothing
	Key  string
	For  []fact.ID // what the work is for
	// Ends is when the first of it is too late; zero: nothing ends.
	Ends   time.Time
	tasks  []task // the same
	Next   []Next
	Person []Person
	// Wake is when the next turn comes; zero: none is known.
	Wake time.Time
}

// Next is something that will be done, or would be.
type Next struct {
	What string    `json:"what"` // half a sentence
	ID   fact.ID   `json:"id"`
	Due  time.Time `json:"due,omitzero"`
	End  time.Time `json:"end,omitzero"`
	// At is when it is done; absent: not by itself.
	At  time.Time `json:"at,omitzero"`
	Why fact.Text `json:"why,omitempty"` // why not now, or not at all: half a sentence
}

// Person is something that needs one.
type Person struct {
	Code Code      `json:"code"`
	ID   fact.ID   `json:"id"`
	Why  fact.Text `json:"why"`
	Next fact.Text `json:"next"` // what to do
}

// Decide says what is done now, what later, and for what a person is needed.
func Decide(s Situation) Decision {
	var d Decision
	var ready []turn
	var all []turn
	for _, t := range tasksOf(s.Look, s.Now) {
		all = append(all, s.turn(t))
	}
	for _, t := range all {
		d.add(t, s)
		if t.now(s.Now) && len(s.Blocks) == 0 {
			ready = append(ready, t)
		}
	}
	d.choose(ready, all, s)
	d.Person = append(s.people(all), d.Person...)
	slices.SortStableFunc(d.Next, func(a, b Next) int {
		return cmp.Or(compareTimes(a.At, b.At), compareTimes(a.End, b.End), strings.Compare(string(a.ID), string(b.ID)))
	})
	slices.SortStableFunc(d.Person, func(a, b Person) int {
		return cmp.Or(strings.Compare(string(a.ID), string(b.ID)), strings.Compare(string(a.Code), string(b.Code)))
	})
	d.Person = slices.CompactFunc(d.Person, func(a, b Person) bool { return a.ID == b.ID && a.Code == b.Code })
	return d
}

// compareTimes puts what has no time last.
func compareTimes(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		if a.IsZero() {
			return 1
		}
		return -1
	}
	return a.Compare(b)
}

// add tells of a task, and wakes for it.
func (d *Decision) add(t turn, s Situation) {
	n := Next{What: t.what(), ID: t.id, Due: t.from.UTC(), End: t.end.UTC(), At: t.at.UTC(), Why: fact.Text(t.why)}
	if n.Why == "" && len(s.Blocks) > 0 && t.now(s.Now) {
		n.Why = fact.Text(s.Blocks[0].Why)
	}
	if t.from.IsZero() {
		n.Due = time.Time{}
	}
	if t.end.IsZero() {
		n.End = time.Time{}
	}
	if t.at.IsZero() {
		n.At = time.Time{}
	}
	d.Next = append(d.Next, n)
	if t.at.After(s.Now) && (d.Wake.IsZero() || t.at.Before(d.Wake)) {
		d.Wake = t.at
	}
}

// choose makes one piece of work: all renewals whose turn has come and what would
// follow them soon, or else the restart that is most urgent.
func (d *Decision) choose(ready, all []turn, s Situation) {
	if len(ready) == 0 {
		return
	}
	slices.SortStableFunc(ready, func(a, b turn) int {
		return cmp.Or(-compareBool(a.key == renewing, b.key == renewing), compareTimes(a.end, b.end))
	})
	first := ready[0]
	work := &Work{Restart: first.key}
	var chosen []turn
	switch {
	case first.key != renewing:
		chosen = slices.DeleteFunc(ready, func(t turn) bool { return t.key != first.key })
	case s.apart():
		work, chosen = &Work{}, []turn{first}
	default:
		work = &Work{}
		chosen = slices.DeleteFunc(slices.Clone(all), func(t turn) bool { return t.key != renewing || !t.now(s.Now) && !t.rides(s) })
	}
	for _, t := range chosen {
		if t.key == renewing {
			work.Renew = append(work.Renew, t.id)
		}
		d.For, d.tasks = append(d.For, t.id), append(d.tasks, t.task)
		work.InPlace = work.InPlace || t.inPlace
		if compareTimes(t.until, work.Until) < 0 {
			work.Until = t.until
		}
		if compareTimes(t.end, d.Ends) < 0 {
			d.Ends = t.end
		}
	}
	slices.Sort(work.Renew)
	slices.Sort(d.For)
	d.Work, d.Key = work, s.key(first.task)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
