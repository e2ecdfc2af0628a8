// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"log/slog"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

// StatusKind is the kind of the published JSON.
const StatusKind = "AgentStatus"

// Status is what the agent knows, as it was written after a look. Times are UTC.
type Status struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Version    string         `json:"version,omitempty"` // of the program
	Node       fact.Text      `json:"node"`
	Since      time.Time      `json:"since"` // when it was started
	At         time.Time      `json:"at"`    // when this was written
	Looked     time.Time      `json:"looked,omitzero"`
	Every      plan.Span      `json:"every"`
	Settings   SettingsStatus `json:"settings"`
	Doing      string         `json:"doing,omitempty"` // what is being done now
	Stopped    *Stop          `json:"stopped,omitempty"`
	Approval   *Approval      `json:"approval,omitempty"`
	Next       []Next         `json:"next"`   // what comes, the first first; what does not come by itself last
	Person     []Person       `json:"person"` // for what one is needed
	// Refusals are what could not be begun, by what it was.
	Refusals map[string]Refusal `json:"refusals,omitempty"`
	Last     *Change            `json:"last,omitempty"`
	// Of the timeline.
	Headline string         `json:"headline"`
	Verdict  policy.Verdict `json:"verdict"`
	ExitCode int            `json:"exitCode"`
}

// SettingsStatus is how the settings stand.
type SettingsStatus struct {
	Act    bool      `json:"act"`              // it changes what is due
	Digest string    `json:"digest,omitempty"` // of the file; absent: there is none
	Error  fact.Text `json:"error,omitempty"`  // why the file cannot be read; then those from before are in force
}

// Silent says whether no agent has looked for longer than one that runs would take.
func (s Status) Silent(now time.Time) bool {
	return now.Sub(s.Looked) > 3*s.Every.Duration+10*time.Minute
}

// Exit is the exit code that a status calls for.
func (s Status) Exit(now time.Time) int {
	switch {
	case s.Silent(now):
		return timeline.ExitFailed
	case len(s.Person) > 0 || s.Stopped != nil:
		return timeline.WorstExit(timeline.ExitNeedsPerson, s.ExitCode)
	}
	return s.ExitCode
}

// ReadStatus reads what the agent wrote last; not there: no agent has looked.
func ReadStatus(s State) (Status, bool, error) {
	var status Status
	there, err := load(s, StatusFile, &status)
	return status, there && err == nil, err
}

// looked publishes what was seen.
func (a *Agent) looked(s Situation) {
	m := &a.memory
	m.looked = s.Now.UTC().Truncate(time.Second)
	a.Publish.Looked(s.Look.Timeline, s.Look.Sources)
	a.Publish.Stopped(m.stopped != nil)
	a.say(slog.LevelInfo, looked, "", s.Look.Timeline.Headline, "verdict", string(s.Look.Timeline.Verdict))
	a.report(func(h *health) { h.looked = true })
}

// tell writes the decision down and publishes it. Nothing is begun that could not
// be written down.
func (a *Agent) tell(s Situation, d Decision) Decision {
	m := &a.memory
	if m.invalid != "" {
		p := person(SettingsInvalid, s.id("agent"), m.invalid)
		d.Person = append([]Person{p}, d.Person...)
	}
	m.status = a.status(s, d)
	err := save(a.Node, StatusFile, m.status)
	m.unwritable = ""
	if err != nil {
		m.unwritable = oneLine(err)
		d.Work, d.For = nil, nil
		d.Person = append([]Person{person(StateUnwritable, s.id("agent"), m.unwritable)}, d.Person...)
		m.status = a.status(s, d)
	}
	a.say(slog.LevelError, "the state cannot be written", "", m.unwritable)
	a.call(d.Person)
	planned := map[fact.ID]time.Time{}
	for _, n := range d.Next {
		if first, known := planned[n.ID]; !n.At.IsZero() && (!known || n.At.Before(first)) {
			planned[n.ID] = n.At
		}
	}
	a.Publish.Planned(planned)
	if a.After != nil {
		why := ""
		if err := a.After(s.Agent, s.Look.Timeline); err != nil {
			why = err.Error()
		}
		a.say(slog.LevelError, "a file for others cannot be written", "", why)
	}
	return d
}

// call publishes for what a person is needed, and logs what is new or over.
func (a *Agent) call(people []Person) {
	codes, now := map[fact.ID][]string{}, map[string]bool{}
	for _, p := range people {
		codes[p.ID] = append(codes[p.ID], string(p.Code))
		now[matter(needed, p.about())] = true
		a.say(slog.LevelWarn, needed, p.about(), string(p.Why), "do", p.Next.String())
	}
	a.Publish.PersonNeeded(codes)
	for key := range a.memory.said {
		if about, person := strings.CutPrefix(key, matter(needed, "")); person && !now[key] {
			a.say(slog.LevelInfo, needed, about, "")
		}
	}
}

// about is what a person is needed for, in one word.
func (p Person) about() string { return string(p.Code) + " " + string(p.ID) }

func (a *Agent) status(s Situation, d Decision) Status {
	m := &a.memory
	out := Status{
		APIVersion: finding.APIVersion, Kind: StatusKind, Version: a.Version, Node: fact.Text(s.Look.Node),
		Since: m.since, At: a.now().UTC().Truncate(time.Second), Looked: m.looked, Every: plan.Span{Duration: s.Agent.Every},
		Settings: SettingsStatus{Act: s.Agent.Act, Digest: m.settings.Digest, Error: fact.Text(m.invalid)},
		Stopped:  m.stopped, Next: append([]Next{}, d.Next...), Person: append([]Person{}, d.Person...), Refusals: s.Refusals, Last: m.last,
		Headline: s.Look.Timeline.Headline, Verdict: s.Look.Timeline.Verdict, ExitCode: s.Look.Timeline.ExitCode,
	}
	if d.Work != nil {
		out.Doing = d.what()
	}
	if !m.approval.At.IsZero() {
		approval := m.approval
		out.Approval = &approval
	}
	return out
}
