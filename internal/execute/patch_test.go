// SPDX-License-Identifier: Apache-2.0

//go:build linux

package execute_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
)

// apiServer holds one namespace, as an API server does: a merge patch for
// another version than the present one is refused.
type apiServer struct {
	labels  map[string]any
	version int
	stored  int
	// killed is the call at which the program is killed, counted from 1; in
	// Patch after it has had its effect, where late.
	calls, killed int
	late          bool
	warns         []string
	lose          bool  // the answer to the next change, after its effect
	deaf          int   // so many changes never arrive
	blind         bool  // it cannot be looked at after the next change
	answers       error // to the next change, which is not made
	meddle        func(*apiServer)
}

// killing ends a program as SIGKILL does: nothing more is written.
type killing struct{}

func (s *apiServer) call() {
	if s.calls++; s.calls == s.killed {
		panic(killing{})
	}
}

func (s *apiServer) object() json.RawMessage {
	text, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": "u1", "resourceVersion": fmt.Sprint(s.version), "labels": s.labels}})
	if err != nil {
		panic(err)
	}
	return text
}

func (s *apiServer) Object(context.Context, plan.Object) (json.RawMessage, error) {
	s.call()
	return s.object(), nil
}

func (s *apiServer) Patch(_ context.Context, _ plan.Object, patch []byte, rehearse bool) ([]string, error) {
	if !s.late {
		s.call()
	}
	if s.meddle != nil {
		s.meddle(s)
		s.meddle = nil
	}
	var change struct {
		Metadata struct {
			ResourceVersion string         `json:"resourceVersion"`
			Labels          map[string]any `json:"labels"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(patch, &change); err != nil {
		return nil, err
	}
	if change.Metadata.ResourceVersion != fmt.Sprint(s.version) {
		return nil, fmt.Errorf("%w: another version", execute.ErrChanged)
	}
	if rehearse {
		return s.warns, nil
	}
	if err := s.answers; err != nil {
		s.answers = nil
		return nil, err
	}
	if s.deaf > 0 {
		s.deaf--
		return nil, errors.New("connection refused")
	}
	for name, value := range change.Metadata.Labels {
		if s.labels[name] = value; value == nil {
			delete(s.labels, name)
		}
	}
	s.version++
	s.stored++
	if s.late {
		s.call()
	}
	if s.lose {
		s.lose = false
		return nil, errors.New("connection reset")
	}
	return nil, nil
}

// Look implements execute.Eyes.
func (s *apiServer) Look(context.Context) (plan.Seen, error) {
	s.call()
	if s.blind && s.stored > 0 {
		return plan.Seen{Unseen: []fact.Unseen{{What: "cluster/Namespace/-/shop", Why: fact.Failed, Detail: "connection refused"}}}, nil
	}
	return plan.Seen{Facts: []fact.Fact{fact.Object{APIVersion: "v1", Type: "Namespace", Name: "shop", Content: s.object()}}}, nil
}

// patching is a program that changes the namespace, with its journal.
type patching struct {
	*testing.T
	*apiServer
	dir  string
	disk *host.Disk
}

func newPatching(t *testing.T) *patching {
	t.Helper()
	files, err := host.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	p := &patching{T: t, dir: t.TempDir(), disk: host.NewDisk(files, nil)}
	p.apiServer = &apiServer{labels: map[string]any{"team": "a", "warn": "old"}, version: 7}
	return p
}

func (p *patching) runner() (*execute.Runner, *journal.Journal) {
	p.Helper()
	j, err := journal.Open(filepath.Join(p.dir, "journal"), p.disk)
	if err != nil {
		p.Fatal(err)
	}
	now := time.Unix(1800000000, 0)
	return &execute.Runner{
		Hands: execute.Machine{Disk: p.disk, API: p.apiServer}, Eyes: p.apiServer, Journal: j, State: p.dir, Rand: rand.Reader,
		Now: func() time.Time { now = now.Add(time.Second); return now }, Patience: execute.DefaultPatience,
		Sleep: func(context.Context, time.Duration) error { now = now.Add(time.Second); return nil },
	}, j
}

func (p *patching) plan() plan.Plan {
	made := plan.ForCluster("p1", time.Unix(1800000000, 0), plan.Cluster{Server: "s", UID: "c"})
	for _, f := range []plan.Field{
		{Path: []string{"metadata", "labels", "warn"}, Before: plan.Text("old"), After: plan.Text("new")},
		{Path: []string{"metadata", "labels", "enforce"}, After: plan.Text("new")},
	} {
		step, _ := plan.PatchStep(plan.Object{APIVersion: "v1", Kind: "Namespace", Resource: "namespaces", Name: "shop", UID: "u1", Fields: []plan.Field{f}, Rehearse: f.Before == nil, Heard: []string{"no owner is named"}}, f.Path[2], "why")
		made.Add(step)
	}
	return made
}

// do runs a plan, or finishes it, and says whether the program was killed.
func (p *patching) do(made plan.Plan) (out execute.Outcome, killed bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, killed = r.(killing); !killed {
				panic(r)
			}
		}
	}()
	r, j := p.runner()
	if cut := j.Unfinished(); len(cut) > 0 {
		out, err = r.Resume(p.Context(), cut[0])
		return out, false, err
	}
	out, err = r.Run(p.Context(), made)
	return out, false, err
}

func (p *patching) holds(labels string) {
	p.Helper()
	if got := fmt.Sprint(p.labels); got != labels {
		p.Errorf("the labels are %s, want %s", got, labels)
	}
}

const patched = "map[enforce:new team:a warn:new]"

// A plan that is killed at any of its calls is finished by the next run, and each
// of its changes is made once.
func TestPatchKilled(t *testing.T) {
	for _, late := range []bool{false, true} {
		for call := 1; ; call++ {
			p := newPatching(t)
			p.killed, p.late = call, late
			out, killed, err := p.do(p.plan())
			if killed {
				out, killed, err = p.do(plan.Plan{})
				if _, j := p.runner(); len(j.Plans()) > 0 && j.Plans()[0].Result == "" || killed {
					t.Fatalf("killed at call %d: it is not finished: %v", call, err)
				}
			} else if call < 7 {
				t.Fatalf("it makes %d calls", p.calls)
			}
			if err != nil || out.Result != journal.Done || p.stored != 2 {
				t.Errorf("killed at call %d (late: %v): %+v, %d changes, %v", call, late, out, p.stored, err)
			}
			p.holds(patched)
			if p.calls < call {
				break
			}
		}
	}
}

// Undo gives back what was there, and what was not is not there again.
func TestPatchUndone(t *testing.T) {
	p := newPatching(t)
	if _, _, err := p.do(p.plan()); err != nil {
		t.Fatal(err)
	}
	seen, err := p.Look(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	back, err := plan.ForObjectUndo(p.plan(), map[int]bool{1: true, 2: true}, nil, seen, "p2", time.Unix(1800000100, 0))
	if err != nil {
		t.Fatal(err)
	}
	if out, _, err := p.do(back); err != nil || out.Result != journal.Done {
		t.Errorf("%+v, %v", out, err)
	}
	p.holds("map[team:a warn:old]")
}

// Of an object that somebody has changed since a plan was cut off nobody knows what
// the plan did to it.
func TestPatchChangedWhileCutOff(t *testing.T) {
	p := newPatching(t)
	p.deaf = 1
	if out, _, err := p.do(p.plan()); err == nil || len(out.Steps) > 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	p.labels["warn"] = "mine"
	out, _, err := p.do(plan.Plan{})
	if out.Result != journal.Failed || !strings.Contains(fmt.Sprint(err), `warn is "mine"); nothing more was done to it, plan again`) {
		t.Errorf("%+v, %v", out, err)
	}
	p.holds("map[team:a warn:mine]")
}

// What goes wrong leaves the object as it was, or is finished.
func TestPatchRefused(t *testing.T) {
	for name, c := range map[string]struct {
		wrong   func(*apiServer)
		result  journal.Result
		says    string
		labels  string
		resumed bool // the next run finishes it
	}{
		"warned of":           {func(s *apiServer) { s.warns = []string{"pod x is forbidden"} }, journal.Failed, "the API server warns: pod x is forbidden", "map[team:a warn:new]", false},
		"heard of any":        {func(s *apiServer) { s.warns = []string{"no owner is named"} }, journal.Done, "", patched, false},
		"heard and new":       {func(s *apiServer) { s.warns = []string{"no owner is named", "pod x is forbidden"} }, journal.Failed, "warns: pod x is forbidden;", "map[team:a warn:new]", false},
		"not seen any more":   {func(s *apiServer) { s.blind = true }, "", "its effect could not be seen: connection refused", "map[team:a warn:new]", true},
		"refused":             {func(s *apiServer) { s.answers = fmt.Errorf("%w: quota", execute.ErrRefused) }, journal.Failed, "refused it: quota", "map[team:a warn:old]", false},
		"an answer lost":      {func(s *apiServer) { s.lose = true }, journal.Done, "", patched, false},
		"a change lost":       {func(s *apiServer) { s.deaf = 1 }, "", "it may have been done", "map[team:a warn:old]", true},
		"changed before":      {func(s *apiServer) { s.labels["warn"] = "mine" }, journal.Failed, "changed since the plan was made", "map[team:a warn:mine]", false},
		"something else":      {func(s *apiServer) { s.meddle = func(s *apiServer) { s.labels["team"] = "b"; s.version++ } }, journal.Done, "", "map[enforce:new team:b warn:new]", false},
		"changed just then":   {func(s *apiServer) { s.meddle = func(s *apiServer) { s.labels["warn"] = "mine"; s.version++ } }, journal.Failed, "changed since the plan was made", "map[team:a warn:mine]", false},
		"done by another one": {func(s *apiServer) { s.labels["warn"] = "new" }, journal.Done, "", patched, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPatching(t)
			c.wrong(p.apiServer)
			out, _, err := p.do(p.plan())
			says := fmt.Sprint(err)
			if c.says != "" && !strings.Contains(says, c.says) || c.says == "" && err != nil {
				t.Errorf("it says %s, want %q", says, c.says)
			}
			if !c.resumed && out.Result != c.result {
				t.Errorf("%+v, want %s", out, c.result)
			}
			p.holds(c.labels)
			if !c.resumed {
				return
			}
			p.blind = false
			if out, _, err := p.do(plan.Plan{}); err != nil || out.Result != journal.Done {
				t.Errorf("the next run: %+v, %v", out, err)
			}
			p.holds(patched)
		})
	}
}
