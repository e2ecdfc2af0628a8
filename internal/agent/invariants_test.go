// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/schedule"
	"perennial.dev/perennial/internal/timeline"
)

// Whatever was seen, settled, refused and approved: what must never be done is not
// done.
func TestInvariants(t *testing.T) {
	done := 0
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := anySituation(t, r)
		d := Decide(s)
		if again := Decide(s); !reflect.DeepEqual(d, again) {
			t.Fatalf("seed %d: decided otherwise the second time:\n%+v\n%+v", seed, d, again)
		}
		if !d.Wake.IsZero() && !d.Wake.After(s.Now) {
			t.Errorf("seed %d: it wakes at %s", seed, d.Wake)
		}
		if tasks := tasksOf(s.Look, s.Now); len(d.Next) != len(tasks) {
			t.Errorf("seed %d: %d tasks, and %d are told", seed, len(tasks), len(d.Next))
		}
		if d.Work == nil {
			continue
		}
		done++
		if !s.Agent.Act || len(s.Blocks) > 0 {
			t.Errorf("seed %d: acts %v, blocked by %v, and does %+v", seed, s.Agent.Act, s.Blocks, d.Work)
		}
		if (d.Work.Restart != "") == (len(d.Work.Renew) > 0) || len(d.For) == 0 {
			t.Errorf("seed %d: %+v for %v", seed, d.Work, d.For)
		}
		for _, task := range d.tasks {
			forbidden(t, seed, s, d, task)
		}
	}
	if done < 300 {
		t.Errorf("something was done in %d situations only", done)
	}
}

func forbidden(t *testing.T, seed uint64, s Situation, d Decision, task task) {
	t.Helper()
	approved := s.Approval.has(task, s.Now)
	_, open := s.Agent.When.Open(s.Now)
	reserve := !task.end.IsZero() && s.Agent.When.Reserve >= 0 && !s.Now.Before(task.end.Add(-s.Agent.When.Reserve-s.Agent.When.Reserve/20))
	recent := slices.DeleteFunc(slices.Clone(s.Began), func(b time.Time) bool { return !b.After(s.Now.Add(-day)) })
	switch {
	case s.Agent.Leaves(task.id), task.means.Cannot != "":
		t.Errorf("seed %d: %s is not its to do", seed, task.what())
	case slices.ContainsFunc(d.tasks, func(o other) bool { return s.Approval.has(o, s.Now) }):
		// Others may go along, in the plan of what a person has approved.
	case s.Agent.When.PerDay > 0 && len(recent) >= s.Agent.When.PerDay:
		t.Errorf("seed %d: %s beyond the limit", seed, task.what())
	case !open && !reserve:
		t.Errorf("seed %d: %s outside of windows", seed, task.what())
	}
	for _, component := range task.means.Restarts {
		allowed := s.Agent.Restart.Others
		if component == layout.APIServer {
			allowed = s.Agent.Restart.APIServer
		}
		if !approved && (allowed == policy.Never || component != layout.APIServer && allowed == policy.InWindow && (!open || len(s.Agent.When.Windows) == 0)) {
			t.Errorf("seed %d: %s restarts %s, which is allowed %s", seed, task.what(), component, allowed)
		}
		if !approved && component == layout.APIServer && d.Work.InPlace && (allowed != policy.InWindow || !open || len(s.Agent.When.Windows) == 0) && d.Key == layout.APIServer {
			t.Errorf("seed %d: the API server in place, which is allowed %s", seed, allowed)
		}
	}
}

// other is a task beside the one that is looked at.
type other = task

func anySituation(t *testing.T, r *rand.Rand) Situation {
	t.Helper()
	p := policy.Default()
	p.Agent.Act = r.IntN(10) > 0
	p.Agent.When = schedule.Rules{Spread: time.Duration(r.IntN(3)) * 6 * time.Hour, Reserve: []time.Duration{-1, 0, 3 * day}[r.IntN(3)], PerDay: r.IntN(3)}
	if r.IntN(2) == 0 {
		p.Agent.When.Windows = []schedule.Window{{Start: schedule.Clock{Hour: r.IntN(24)}, Length: time.Duration(1+r.IntN(12)) * time.Hour, Zone: time.UTC}}
	}
	p.Agent.Restart = policy.Restarts{
		APIServer: []policy.Restart{policy.Handover, policy.InWindow, policy.Never}[r.IntN(3)],
		Others:    []policy.Restart{policy.Always, policy.InWindow, policy.Never}[r.IntN(3)],
	}
	if r.IntN(4) == 0 {
		p.Agent.Leave = []string{"*/c1"}
	}
	s := Situation{Now: noon, Agent: p.Agent, Look: Look{Node: madeNode, Means: map[fact.ID]Means{}}, Refusals: map[string]Refusal{}}
	for _, component := range Restartable {
		s.Look.Means[fact.NodeID(madeNode, component)] = Means{Restarts: []string{component}}
	}
	found := []finding.Finding{loopback(float64(r.IntN(60) - 50))}
	for i := range r.IntN(5) {
		f := expires(fmt.Sprintf("c%d", i), float64(r.IntN(120)-100))
		found = append(found, f)
		s.Look.Means[f.ID] = []Means{{}, {}, {Restarts: []string{layout.Scheduler}}, {Restarts: []string{layout.APIServer}}, {Cannot: "nothing can"}}[r.IntN(5)]
	}
	s.Look.Timeline = timeline.Build(found, nil, p, noon, timeline.Envelope{ObservedAt: noon})
	for range r.IntN(3) {
		s.Began = append(s.Began, noon.Add(-time.Duration(r.IntN(48))*time.Hour))
	}
	if r.IntN(10) == 0 {
		s.Blocks = []Block{{Code: LineStopped, Why: "stopped", Person: true}}
	}
	if r.IntN(4) == 0 {
		s.Refusals["renew"] = Refusal{Code: []Code{Refused, Busy}[r.IntN(2)], Several: r.IntN(2) == 0, Why: "refused", Since: noon.Add(-time.Hour), Last: noon.Add(-10 * time.Minute), Again: noon.Add(time.Duration(r.IntN(20)-10) * time.Minute)}
	}
	if r.IntN(5) == 0 {
		s.Approval = approval([][]string{nil, {"c1"}, {"cp1/apiserver-loopback"}}[r.IntN(3)]...)
	}
	return s
}
