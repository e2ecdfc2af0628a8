// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"slices"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/schedule"
)

// turn is a task with when it is done.
type turn struct {
	task
	at      time.Time // zero: not by itself
	why     string    // why not now; empty: it is its turn, or as soon as it is due
	outside bool      // no window is open then
	inPlace bool      // the API may be away for it
	until   time.Time // by when that has to be over; zero: at any time
	person  *Person   // who is needed for it
}

func (t turn) now(now time.Time) bool {
	return t.person == nil && !t.at.IsZero() && !t.at.After(now)
}

// turn finds the turn of a task.
func (s Situation) turn(t task) turn {
	r := turn{task: t}
	may := s.may(t)
	switch approved := s.Approval.has(t, s.Now); {
	case s.Agent.Leaves(t.id):
		r.why = "the settings leave it alone"
		return r
	case t.means.Cannot != "":
		r.why = t.means.Cannot
		r.need(s, Code(t.code), t.fix)
		return r
	case approved:
		r.at, r.inPlace = s.Now, true
	case may.never != "":
		r.why = may.never
		r.need(s, RestartForbidden, "")
		return r
	default:
		r.inPlace, r.until = may.inPlace, may.until
		s.schedule(&r, may)
	}
	s.hold(&r, may)
	return r
}

// need calls a person, as soon as it is due.
func (t *turn) need(s Situation, code Code, next string) {
	if !t.due(s.Now) || !s.Agent.Act && code != Code(t.code) {
		return
	}
	p := person(code, t.id, t.what()+": "+t.why)
	if next != "" {
		p.Next = fact.Text(next)
	}
	t.person = &p
}

// schedule asks the rules.
func (s Situation) schedule(r *turn, may permission) {
	rules := s.Agent.When
	if may.inWindow {
		rules.Reserve = -1
	}
	when, ok := rules.When(s.Look.Node, schedule.Task{ID: r.key, From: r.from, End: r.end}, s.Began, s.Now)
	if ok {
		r.at = when.At
	}
	r.why, r.outside = when.Because, when.Outside
	if r.now(s.Now) {
		r.why = ""
	}
	if !ok || !r.end.IsZero() && when.At.After(r.end) && when.At.After(s.Now) {
		r.need(s, TooLate, "")
	}
}

// hold keeps back what was refused a short while ago, and what is only to be told.
func (s Situation) hold(r *turn, may permission) {
	refused, ok := s.Refusals[s.key(r.task)]
	accepted := s.Approval.has(r.task, s.Now) && refused.Last.Before(s.Approval.At) // since then
	if ok && !accepted && !r.at.IsZero() {
		again := refused.Again
		if open, ok := s.Agent.When.Next(s.Now); ok && may.better && open.Begin.After(refused.Last) && open.Begin.Before(again) {
			again = open.Begin
		}
		if again.After(s.Now) && again.After(r.at) {
			r.at, r.why = again, string(refused.Why)
		}
	}
	if !s.Agent.Act {
		r.at, r.why = time.Time{}, "it only looks: its settings do not say act: true"
	}
}

// permission is what the settings say of the restarts that a task needs.
type permission struct {
	never    string    // why they are not allowed at all
	inWindow bool      // only while a maintenance window is open
	inPlace  bool      // the API may be away now
	better   bool      // when a window opens, more is allowed than before
	until    time.Time // when the window closes by which alone it may; zero: at any time
}

func (s Situation) may(t task) permission {
	var p permission
	until, open := s.Agent.When.Open(s.Now)
	windows := len(s.Agent.When.Windows) > 0 // without one, nothing says when an outage is fine
	for _, component := range t.means.Restarts {
		allowed := s.Agent.Restart.Others
		if component == layout.APIServer {
			allowed = s.Agent.Restart.APIServer
		}
		switch {
		case allowed == policy.Never, allowed == "":
			p.never = fmt.Sprintf("the settings never allow to restart %s", component)
		case component == layout.APIServer:
			p.better = allowed == policy.InWindow && windows
			p.inPlace = allowed == policy.Always || p.better && open
			if p.better && open {
				p.until = until
			}
		case allowed == policy.InWindow && !windows:
			p.never = fmt.Sprintf("%s may be restarted in a maintenance window only, and the settings have none", component)
		case allowed == policy.InWindow:
			p.inWindow = true
		}
	}
	return p
}

// rides says whether a renewal goes with others whose turn has come: it would
// follow within a small part of the time that it has left, and nothing but its turn
// keeps it back. Certificates that were made at once are so renewed at once, and
// not as many plans.
func (t turn) rides(s Situation) bool {
	if t.person != nil || t.at.IsZero() || len(s.Blocks) > 0 || s.refused(renewing) {
		return false
	}
	const part = 20
	soon := s.Now.Add(t.end.Sub(t.from) / part)
	may := s.may(t.task)
	_, open := s.Agent.When.Open(s.Now)
	switch {
	case t.end.IsZero():
		return false
	case open:
		return !t.from.After(soon)
	case may.inWindow:
		return false
	}
	return t.outside && !t.at.After(s.Now.Add(s.Agent.When.Reserve/part))
}

// apart says that renewals are done one by one for a while, since all of them at
// once were refused for a reason that may be one's own.
func (s Situation) apart() bool {
	r, ok := s.Refusals[renewing]
	return ok && r.Several && slices.Contains([]Code{Refused, HandoverImpossible, RestartForbidden}, r.Code) && r.Again.After(s.Now)
}

// key is under which a task is refused.
func (s Situation) key(t task) string {
	if t.key == renewing && s.apart() {
		return t.what()
	}
	return t.key
}

func (s Situation) refused(key string) bool {
	r, ok := s.Refusals[key]
	return ok && r.Again.After(s.Now)
}
