// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// memory is what the loop knows from one look to the next.
type memory struct {
	since    time.Time
	started  time.Time // the same, by a stopwatch
	settings inForce
	invalid  string // why they cannot be read now
	stopped  *Stop
	saved    bool // the stop is written down
	resumed  Resumed
	approval Approval
	heard    time.Time // when the last approval was given that was read, good or not
	refusals map[string]Refusal
	last     *Change
	looked   time.Time
	clock    clock
	// just is what was done right before this look, which has to show it.
	just     []done
	finished string // the plan that was finished last
	// unwritable is why the state cannot be written, and untold why a file for others
	// cannot.
	unwritable, untold string
	said               map[string]saying
	status             Status
}

// What is said again and again, and of various things.
const (
	needed  = "a person is needed"
	notDone = "not done"
	looked  = "looked"
	// unreadable: they are not valid, or cannot be read.
	unreadable = "the settings cannot be read"
	unwritten  = "a file for others cannot be written"
)

// saying is what was last said of a matter, so that it is not said at each look.
type saying struct {
	text string
	at   time.Time
}

// silence is after how long a matter that lasts is told again.
const silence = 24 * time.Hour

// matter is what something is said of: a message, and what it is about.
func matter(msg, about string) string { return msg + "\x00" + about }

// say logs a matter when it is new, has changed or lasts; an empty text says that
// it is over.
func (a *Agent) say(level slog.Level, msg, about, why string, attrs ...any) {
	key := matter(msg, about)
	before, known := a.memory.said[key]
	if about != "" {
		attrs = append([]any{"about", about}, attrs...)
	}
	switch {
	case why == "" && known:
		delete(a.memory.said, key)
		a.Log.Info("over: "+msg, attrs...)
	case why == "", known && before.text == why && time.Since(before.at) < silence:
	default:
		a.memory.said[key] = saying{why, time.Now()}
		a.Log.Log(context.Background(), level, msg, append(attrs, "why", fact.Text(why).String())...)
	}
}

// begin remembers what an earlier run has written down. One that runs again and
// again does not say again what that one has said.
func (a *Agent) begin(again bool) {
	m := &a.memory
	*m = memory{since: a.now().UTC().Truncate(time.Second), started: time.Now(), refusals: map[string]Refusal{}, said: map[string]saying{}}
	var err error
	if m.settings, err = recall(a.Node); err != nil {
		a.Log.Warn("starting without the settings from before", "why", err.Error())
	}
	var before Status
	if there, err := load(a.Node, StatusFile, &before); err != nil {
		a.Log.Warn("starting without what was known before", "why", err.Error())
	} else if there {
		m.last, m.looked = before.Last, before.Looked
		maps.Copy(m.refusals, before.Refusals)
	}
	if again {
		for _, p := range before.Person {
			m.said[matter(needed, p.about())] = saying{string(p.Why), time.Now()}
			if p.Code == FileUnwritable {
				m.untold, m.said[matter(unwritten, "")] = string(p.Why), saying{string(p.Why), time.Now()}
			}
		}
		for key, r := range before.Refusals {
			m.said[matter(notDone, key)] = saying{string(r.Why), time.Now()}
		}
		m.said[matter(looked, "")] = saying{before.Headline, time.Now()}
		if before.Settings.Error != "" {
			m.said[matter(unreadable, "")] = saying{string(before.Settings.Error), time.Now()}
		}
	}
	a.startClock(before.At)
	a.report(func(h *health) { h.turned, h.every = time.Now(), m.settings.Policy.Agent.Every })
}

func (a *Agent) now() time.Time {
	if a.Now != nil {
		return a.Now()
	}
	return time.Now()
}

// answers reads what a person has said meanwhile.
func (a *Agent) answers(now time.Time) {
	m := &a.memory
	var stop Stop
	there, err := load(a.Node, StoppedFile, &stop)
	switch {
	case there && err == nil:
		m.stopped, m.saved = &stop, true
	case err != nil: // what cannot be read is no word to go on
		m.stopped, m.saved = &Stop{At: now.UTC().Truncate(time.Second), Reason: fact.Text(err.Error()), Next: fact.Text(Explain(LineStopped).Next)}, true
	case m.stopped != nil && m.saved:
		a.Log.Info("resumed", "stopped", m.stopped.At, "reason", m.stopped.Reason.String())
		m.stopped, m.refusals, m.finished = nil, map[string]Refusal{}, ""
	case m.stopped != nil:
		m.saved = save(a.Node, StoppedFile, m.stopped) == nil
	}
	m.resumed = Resumed{}
	why := ""
	if _, err := load(a.Node, ResumedFile, &m.resumed); err != nil { // then it is asked again
		m.resumed, why = Resumed{}, err.Error()
	}
	a.say(slog.LevelError, "what was resumed cannot be read", "", why)
	a.hear(now)
}

// hear reads the approval that is good now. Its file is the person's alone: what was
// begun by it stands in another.
func (a *Agent) hear(now time.Time) {
	m := &a.memory
	var read Approval
	why := ""
	if _, err := load(a.Node, ApprovedFile, &read); err != nil {
		read, why = Approval{}, err.Error()
	}
	a.say(slog.LevelError, "the approval cannot be read", "", why)
	fresh := !read.At.Equal(m.heard)
	m.heard, m.approval = read.At, Approval{}
	if read.At.IsZero() || !now.Before(read.Until) {
		return
	}
	var used Used
	if _, err := load(a.Node, UsedFile, &used); err != nil {
		a.say(slog.LevelError, "what was begun by the approval cannot be read", "", err.Error())
		return // rather too little than twice
	}
	if m.approval = read; used.Approved.Equal(read.At) {
		m.approval.Used = used.IDs
	}
	if fresh {
		a.Log.Info("approved", "ids", read.IDs, "until", read.Until)
	}
}

// answered says whether a person has said something since the last look.
func (a *Agent) answered() bool {
	m := a.memory
	var stop Stop
	there, _ := load(a.Node, StoppedFile, &stop)
	if m.stopped != nil && m.saved && !there {
		return true
	}
	var approval Approval
	there, err := load(a.Node, ApprovedFile, &approval)
	return there && err == nil && !approval.At.Equal(m.heard)
}

// stop ends all changing until a person has looked.
func (a *Agent) stop(plan, why string) {
	m := &a.memory
	m.stopped = &Stop{At: a.now().UTC().Truncate(time.Second), Reason: fact.Text(why), Plan: plan, Next: fact.Text(Explain(LineStopped).Next)}
	err := save(a.Node, StoppedFile, m.stopped)
	m.saved = err == nil
	a.Log.Error("stopped: nothing is changed any more", "plan", plan, "why", m.stopped.Reason.String())
	if err != nil {
		a.say(slog.LevelError, "the state cannot be written", "", err.Error())
	}
}

// refuse notes that something could not be begun.
func (a *Agent) refuse(key string, r Refusal, ends time.Time) {
	m := &a.memory
	before, known := m.refusals[key]
	m.refusals[key] = r.again(before, known, a.now(), m.settings.Policy.Agent.Every, ends)
	a.say(slog.LevelWarn, notDone, key, string(r.Why), "code", string(r.Code))
}

func (a *Agent) accept(key string) {
	delete(a.memory.refusals, key)
	a.say(slog.LevelInfo, notDone, key, "")
}

// forget drops refusals of what is no longer due.
func (a *Agent) forget(tasks []task, now time.Time) {
	for _, key := range slices.Collect(maps.Keys(a.memory.refusals)) {
		due := func(t task) bool { return (t.key == key || t.what() == key) && t.due(now) }
		if key != finishing && key != otherwise && !slices.ContainsFunc(tasks, due) {
			a.accept(key)
		}
	}
}

// The keys of refusals that are of no task.
const (
	finishing = "finish"
	otherwise = "other-renewer"
)

// suspect says whether the look itself doubts the clock.
func suspect(l Look) (string, bool) {
	for _, i := range l.Timeline.Items {
		if i.Code == finding.ClockSuspect && i.Counts {
			return i.Reason, true
		}
	}
	return "", false
}

// unused takes back that something was begun by an approval.
func (a *Agent) unused(before Approval) {
	if m := &a.memory; !before.At.IsZero() {
		m.approval = before
		_ = save(a.Node, UsedFile, Used{Approved: before.At, IDs: before.Used}) // what is there says that it was used: rather too little
	}
}

// used notes what is begun by an approval. What could not be noted would be done
// twice.
func (a *Agent) used(ids []fact.ID) error {
	m := &a.memory
	if m.approval.At.IsZero() {
		return nil
	}
	m.approval.Used = append(slices.Clone(m.approval.Used), ids...)
	return save(a.Node, UsedFile, Used{Approved: m.approval.At, IDs: m.approval.Used})
}
