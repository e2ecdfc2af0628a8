// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"log/slog"
	"slices"
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
	Since  time.Time `json:"since,omitzero"`   // in force; absent: none were ever valid, and it only looks
	Error  fact.Text `json:"error,omitempty"`  // why the file cannot be read; then those from before are in force
}

// Silent says whether no agent has looked for longer than one that runs would take: for
// three times the time between two looks, and an hour at least, which a change may
// take. The alert PerennialAgentSilent goes by the same.
func (s Status) Silent(now time.Time) bool {
	return now.Sub(s.Looked) > max(3*s.Every.Duration, changeLimit)
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
// be written down. Doing is what is being done instead of it; empty: nothing is.
func (a *Agent) tell(s Situation, d Decision, doing string) Decision {
	m := &a.memory
	if m.invalid != "" {
		d.Person = slices.Insert(d.Person, 0, person(SettingsInvalid, s.id("agent"), m.invalid))
	}
	if d.Work != nil {
		doing = d.what()
	}
	a.write(s, d, doing)
	if why := a.after(s); why != m.untold {
		m.untold = why
		a.write(s, d, doing)
		_ = a.after(s) // one of the files may tell of the other
		a.say(slog.LevelError, unwritten, "", why)
	}
	if m.unwritable != "" {
		d.Work, d.For = nil, nil
	}
	return d
}

// after lets the files for others be written, and says why one could not be.
func (a *Agent) after(s Situation) (why string) {
	if a.After == nil {
		return ""
	}
	if err := a.After(s.Agent, s.Look.Timeline); err != nil {
		return oneLine(err)
	}
	return ""
}

// write writes the status, and publishes what it says.
func (a *Agent) write(s Situation, d Decision, doing string) {
	m := &a.memory
	people := slices.Clone(d.Person)
	if m.untold != "" {
		people = append(people, person(FileUnwritable, s.id("agent"), m.untold))
	}
	m.status, m.unwritable = a.status(s, d, people, doing), ""
	if err := save(a.Node, StatusFile, m.status); err != nil {
		m.unwritable = oneLine(err)
		people = slices.Insert(people, 0, person(StateUnwritable, s.id("agent"), m.unwritable))
		m.status = a.status(s, d, people, "")
	}
	a.say(slog.LevelError, "the state cannot be written", "", m.unwritable)
	a.call(people)
	planned := map[fact.ID]time.Time{}
	for _, n := range d.Next {
		if first, known := planned[n.ID]; !n.At.IsZero() && (!known || n.At.Before(first)) {
			planned[n.ID] = n.At
		}
	}
	a.Publish.Planned(planned)
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

func (a *Agent) status(s Situation, d Decision, people []Person, doing string) Status {
	m := &a.memory
	out := Status{
		APIVersion: finding.APIVersion, Kind: StatusKind, Version: a.Version, Node: fact.Text(s.Look.Node),
		Since: m.since, At: a.now().UTC().Truncate(time.Second), Looked: m.looked, Every: plan.Span{Duration: s.Agent.Every},
		Settings: SettingsStatus{Act: s.Agent.Act, Digest: m.settings.Digest, Since: m.settings.since, Error: fact.Text(m.invalid)}, Doing: doing,
		Stopped: m.stopped, Next: append([]Next{}, d.Next...), Person: append([]Person{}, people...), Refusals: s.Refusals, Last: m.last,
		Headline: s.Look.Timeline.Headline, Verdict: s.Look.Timeline.Verdict, ExitCode: s.Look.Timeline.ExitCode,
	}
	if !m.approval.At.IsZero() {
		approval := m.approval
		out.Approval = &approval
	}
	return out
}
