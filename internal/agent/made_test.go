// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // zones are to be there wherever the tests run

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/schema"
	"perennial.dev/perennial/internal/timeline"
)

const (
	day        = 24 * time.Hour
	renewTakes = 10 * time.Second
	moveTakes  = 2 * time.Minute // a handover
)

// made is a node whose certificates, and whose API server's loopback certificate,
// end by the clock. It counts what is changed there, and fails the test when two
// things are changed at once, when something is changed that it was told to look at
// only, or when something ends.
type made struct {
	t        *testing.T
	policy   policy.Policy
	invalid  error // of the settings
	version  int   // of the settings
	certs    []*madeCert
	loopback *madeCert
	extra    []finding.Finding
	atWork   error
	readOnly error // of the state
	past     []madePlan
	broken   error // of the journal
	files    map[string][]byte
	ahead    time.Duration // of the node's clock before the stopwatch
	boots    int           // how often the machine was started again
	booted   time.Time     // when that was, by the stopwatch

	plans    func(Work) (plan.Plan, error)
	refuse   error // of Do and Finish
	outcome  func() journal.Result
	changed  []string
	looks    int
	changing bool
	mayEnd   bool
	forgets  bool // the journal does, that a plan has ended
}

type madeCert struct {
	name     string
	end      time.Time
	life     time.Duration
	restarts []string
	cannot   string
	shorter  time.Duration // by how much a renewal falls short of a life
}

type madePlan struct {
	Cut
	ended  bool
	result journal.Result // of one that has ended; empty: done
}

func newMade(t *testing.T) *made {
	p := policy.Default()
	p.Agent.Act, p.Agent.Every = true, time.Hour
	p.Agent.When.Spread = 0
	return &made{t: t, policy: p, files: map[string][]byte{}, booted: time.Now()}
}

// turnstile lets the race detector know what the bubble's clock does: that what a
// test did before it slept was done before what the agent does when it wakes.
var turnstile sync.Mutex

func pass() {
	turnstile.Lock()
	defer turnstile.Unlock()
}

func (m *made) now() time.Time {
	pass()
	return time.Now().Add(m.ahead)
}

// boot starts the machine again.
func (m *made) boot() { m.boots, m.booted = m.boots+1, time.Now() }

func (m *made) sinceBoot() (string, time.Duration, error) {
	pass()
	return fmt.Sprintf("boot-%d", m.boots), time.Since(m.booted), nil
}

// cert adds a certificate that is due at an instant, 90 days before its end.
func (m *made) cert(name, due string, life time.Duration, restarts ...string) *madeCert {
	c := &madeCert{name: name, end: at(m.t, due).Add(90 * day), life: life, restarts: restarts}
	m.certs = append(m.certs, c)
	return c
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return when
}

func (c *madeCert) finding(node string) finding.Finding {
	return finding.Finding{
		Code: finding.CertificateExpires, ID: fact.NodeID(node, c.name), End: finding.At(c.end), Class: finding.Renewed, Keeper: finding.KeeperPerson,
		Life: finding.Life{Start: c.end.Add(-c.life), End: c.end}, Fix: "perennial renew " + c.name,
	}
}

const madeNode = "cp1"

func (m *made) Settings(context.Context) (Settings, error) {
	return Settings{Policy: m.policy, Digest: versioned(m.version)}, m.invalid
}

// versioned is the digest of a version of the settings.
func versioned(version int) string { return fmt.Sprintf("sha256:%064d", version) }

func (m *made) Look(_ context.Context, p policy.Policy) (Look, error) {
	m.looks++
	now := m.now()
	l := Look{Node: madeNode, AtWork: m.atWork, Means: map[fact.ID]Means{}, Sources: []string{"files"}}
	for _, c := range []string{layout.APIServer, layout.ControllerManager, layout.Scheduler} {
		l.Means[fact.NodeID(madeNode, c)] = Means{Restarts: []string{c}}
	}
	all := slices.Clone(m.extra)
	for _, c := range m.certs {
		f := c.finding(madeNode)
		m.lives(p, f.ID, c, now)
		l.Means[f.ID] = Means{Restarts: c.restarts, Until: now.Add(c.life - c.shorter), Cannot: c.cannot}
		all = append(all, f)
	}
	if m.loopback != nil {
		f := m.loopback.finding(madeNode)
		m.lives(p, f.ID, m.loopback, now)
		f.Code, f.Keeper = finding.LoopbackExpires, finding.KeeperRestart
		all = append(all, f)
	}
	l.Timeline = timeline.Build(all, nil, p, now, timeline.Envelope{ObservedAt: now})
	return l, nil
}

func (m *made) lives(p policy.Policy, id fact.ID, c *madeCert, now time.Time) {
	if !c.end.After(now) && !m.mayEnd && !p.Agent.Leaves(id) {
		m.t.Errorf("%s has ended on %s", id, c.end)
	}
}

func (m *made) Past(context.Context) (Past, error) {
	var p Past
	for _, e := range m.past {
		if e.Own {
			p.Began = append(p.Began, e.Plan.Begun)
		}
		if !e.ended {
			p.Unfinished = append(p.Unfinished, e.Cut)
		}
		if p.Failed = nil; e.Own && e.result != "" {
			p.Failed = &Failed{Plan: e.Plan.ID, Result: e.result, Ended: e.Plan.Begun}
		}
	}
	return p, m.broken
}

func (m *made) Plan(_ context.Context, _ Look, w Work) (plan.Plan, error) {
	if m.plans != nil {
		return m.plans(w)
	}
	return m.planned(w, plan.ByLookup), nil
}

// planned is a plan whose steps have an ID each, and nothing more.
func (m *made) planned(w Work, way plan.Way) plan.Plan {
	p := plan.Plan{ID: fmt.Sprintf("plan-%d", len(m.past)+1)}
	for _, id := range w.Renew {
		p.Add(plan.Step{Verb: plan.Renew, ID: id})
		for _, c := range m.certs {
			for _, component := range c.restarts {
				if fact.NodeID(madeNode, c.name) == id {
					p.Add(plan.Step{Verb: plan.Restart, ID: fact.NodeID(madeNode, component), Stop: &plan.Stop{Component: component}})
				}
			}
		}
	}
	if w.Restart != "" {
		p.Add(plan.Step{Verb: plan.Restart, ID: fact.NodeID(madeNode, w.Restart), Stop: &plan.Stop{Component: w.Restart}})
	}
	if w.Restart == layout.APIServer {
		p.Decision = &plan.Decision{Way: way}
	}
	return p
}

func (m *made) Do(ctx context.Context, p plan.Plan, tell func(execute.Event)) (execute.Outcome, error) {
	if m.refuse != nil {
		return execute.Outcome{Plan: p.ID}, m.refuse
	}
	m.past = append(m.past, madePlan{Cut: Cut{Plan: journal.Plan{ID: p.ID, Begun: m.now()}, Own: true}})
	return m.run(ctx, len(m.past)-1, p, tell)
}

// run does the steps of a plan, one after the other.
func (m *made) run(ctx context.Context, number int, p plan.Plan, tell func(execute.Event)) (execute.Outcome, error) {
	if m.changing {
		m.t.Errorf("%s: two things are changed at once", p.ID)
	}
	m.changing = true
	defer func() { m.changing = false }()
	m.changed = append(m.changed, m.now().UTC().Format(time.RFC3339)+" "+titles(p))
	out := execute.Outcome{Plan: p.ID, Result: journal.Done}
	for _, s := range p.Steps {
		takes := renewTakes
		if s.ID.Name() == layout.APIServer {
			takes = moveTakes
		}
		select {
		case <-ctx.Done():
			return out, fmt.Errorf("interrupted in step %d: %w", s.Number, ctx.Err())
		case <-time.After(takes):
			pass()
		}
		result := journal.Done
		if m.outcome != nil {
			result = m.outcome()
		}
		out.Steps = append(out.Steps, execute.StepResult{Number: s.Number, Result: result})
		tell(execute.Event{Step: s, Result: result, Text: "as it was told to"})
		if out.Result = result; result != journal.Done {
			m.past[number].ended, m.past[number].result = true, result
			return out, fmt.Errorf("step %d could not be proven", s.Number)
		}
		m.take(s)
	}
	m.past[number].ended = !m.forgets
	return out, nil
}

func titles(p plan.Plan) string {
	var all []string
	for _, s := range p.Steps {
		all = append(all, string(s.Verb)+" "+s.ID.Name())
	}
	if p.Decision != nil && p.Decision.Way == plan.InPlace {
		all = append(all, "in place")
	}
	return strings.Join(all, ", ")
}

// take is the effect of a step.
func (m *made) take(s plan.Step) {
	if s.ID.Name() == layout.APIServer && m.loopback != nil {
		m.loopback.end = m.now().Add(m.loopback.life)
	}
	for _, c := range m.certs {
		if s.Verb == plan.Renew && fact.NodeID(madeNode, c.name) == s.ID {
			c.end = m.now().Add(c.life - c.shorter)
		}
	}
}

func (m *made) Finish(ctx context.Context, cut journal.Plan, tell func(execute.Event)) (execute.Outcome, error) {
	if m.refuse != nil {
		return execute.Outcome{Plan: cut.ID}, m.refuse
	}
	for n, p := range m.past {
		if p.Plan.ID == cut.ID {
			return m.run(ctx, n, plan.Plan{ID: cut.ID, Steps: []plan.Step{{Number: 1, Verb: plan.Refresh, ID: "cp1/rest-of-" + fact.ID(cut.ID)}}}, tell)
		}
	}
	return execute.Outcome{}, errors.New("no such plan")
}

func (m *made) Load(name string) ([]byte, error) {
	pass()
	data, ok := m.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return data, nil
}

func (m *made) Save(name string, data []byte) error {
	if m.readOnly != nil {
		return m.readOnly
	}
	m.files[name] = bytes.Clone(data)
	return nil
}

func (m *made) Remove(name string) error {
	delete(m.files, name)
	return nil
}

// told is what was published last.
type told struct {
	line    timeline.Timeline
	people  map[fact.ID][]string
	stopped bool
	valid   bool
	changes map[string]int
	planned map[fact.ID]time.Time
	acts    bool
	every   time.Duration
}

func (p *told) Looked(line timeline.Timeline, _ []string) { p.line = line }
func (p *told) Changed(verb, outcome string)              { p.changes[verb+" "+outcome]++ }
func (p *told) Stopped(stopped bool)                      { p.stopped = stopped }
func (p *told) PersonNeeded(codes map[fact.ID][]string)   { p.people = codes }
func (p *told) SettingsValid(valid bool)                  { p.valid = valid }
func (p *told) Took(time.Duration)                        {}
func (p *told) Planned(next map[fact.ID]time.Time)        { p.planned = next }
func (p *told) Acts(acts bool)                            { p.acts = acts }
func (p *told) Every(every time.Duration)                 { p.every = every }

// needed says whether a person is needed for a code.
func (p *told) needed(code Code) bool {
	for _, codes := range p.people {
		if slices.Contains(codes, string(code)) {
			return true
		}
	}
	return false
}

// session is an agent that runs at a made node.
type session struct {
	*Agent
	m    *made
	told *told
	log  *bytes.Buffer
	end  func()
}

// agent is an agent for a made node, which tells and logs as the session notes.
func (m *made) agent(s *session, with ...func(*Agent)) *Agent {
	a := &Agent{Node: m, Publish: s.told, Log: slog.New(slog.NewTextHandler(s.log, nil)), Version: "1.2.3", Now: m.now, SinceBoot: m.sinceBoot, Poll: 365 * day}
	for _, change := range with {
		change(a)
	}
	return a
}

func (m *made) session() *session {
	return &session{m: m, told: &told{changes: map[string]int{}}, log: &bytes.Buffer{}}
}

// start starts an agent; it is asleep when this returns.
func (m *made) start(with ...func(*Agent)) *session {
	s := m.session()
	s.Agent = m.agent(s, with...)
	return s.start(s.Run)
}

// timer starts an agent anew for each look, as a timer does.
func (m *made) timer(with ...func(*Agent)) *session {
	s := m.session()
	return s.start(func(ctx context.Context) error {
		for {
			s.Agent = m.agent(s, with...)
			if _, err := s.Once(ctx); err != nil && ctx.Err() == nil {
				return err
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(m.policy.Agent.Every):
				pass()
			}
		}
	})
}

// start runs what runs an agent.
func (s *session) start(run func(context.Context) error) *session {
	m := s.m
	ctx, cancel := context.WithCancel(m.t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	s.end = func() {
		cancel()
		if err := <-done; err != nil {
			m.t.Error(err)
		}
	}
	synctest.Wait()
	return s
}

// wait lets time pass, by the stopwatch.
func wait(t *testing.T, when string) {
	t.Helper()
	sleep(time.Until(at(t, when)))
}

func sleep(d time.Duration) {
	pass()
	time.Sleep(d)
	synctest.Wait()
}

func (s *session) status() Status {
	s.m.t.Helper()
	status, there, err := ReadStatus(s.m)
	if !there || err != nil {
		s.m.t.Fatalf("no status: %v", err)
	}
	schema.Read(s.m.t, StatusKind).Follows(s.m.t, StatusFile, s.m.files[StatusFile])
	return status
}

func compare(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("changes:\n  %s\nwant:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}
