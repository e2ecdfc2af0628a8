// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

func person(code Code, id fact.ID, why string) Person {
	return Person{Code: code, ID: id, Why: fact.Text(why), Next: fact.Text(Explain(code).Next)}
}

// people are those that are needed for what holds everything up, for what was
// refused for too long, and for what the agent does not take away.
func (s Situation) people(all []turn) []Person {
	var out []Person
	for _, b := range s.Blocks {
		if b.Person {
			p := person(b.Code, s.id("agent"), b.Why)
			if b.Next != "" {
				p.Next = fact.Text(b.Next)
			}
			out = append(out, p)
		}
	}
	for key, r := range s.Refusals {
		if s.tooLong(key, r, all) {
			about := s.id(key)
			if id, single := strings.CutPrefix(key, renewing+" "); single {
				about = fact.ID(id)
			}
			p := person(r.Code, about, string(r.Why))
			if r.Next != "" {
				p.Next = r.Next
			}
			out = append(out, p)
		}
	}
	for _, t := range all {
		if t.person != nil {
			out = append(out, *t.person)
		}
	}
	for _, i := range s.Look.Timeline.Items {
		if needsPerson(i) && !slices.ContainsFunc(all, func(t turn) bool { return t.id == i.ID && t.code == i.Code }) {
			out = append(out, Person{Code: Code(i.Code), ID: i.ID, Why: fact.Text(cmp.Or(i.Title, i.Because)), Next: fact.Text(i.Fix)})
		}
	}
	return out
}

func (s Situation) id(name string) fact.ID { return fact.NodeID(s.Look.Node, name) }

// tooLong says whether what was refused is a person's matter by now: it has lasted,
// or what it is for ends before it could be noticed.
func (s Situation) tooLong(key string, r Refusal, all []turn) bool {
	grace := Explain(r.Code).Grace
	for _, t := range all {
		if left := t.end.Sub(s.Now); (t.key == key || t.what() == key) && !t.end.IsZero() && t.due(s.Now) {
			grace = min(grace, left/2)
		}
	}
	return s.Now.Sub(r.Since) >= grace
}

// needsPerson says whether an item is for a person: a weakness stops nothing, and
// what another node keeps is told there.
func needsPerson(i timeline.Item) bool {
	return i.Counts && (i.Verdict == policy.Due || i.Verdict == policy.Overdue) && i.Class != finding.Weakness && i.Keeper != finding.KeeperNode
}

// Stop is why nothing is changed any more until a person has looked.
type Stop struct {
	At     time.Time `json:"at"`
	Reason fact.Text `json:"reason"`
	Plan   string    `json:"plan,omitempty"` // its ID in the journal
	Next   fact.Text `json:"next"`           // what to do
}
