// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"slices"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/timeline"
)

// renewing is the key of all renewals: they share a turn, since what was made at
// once ends at once, and one plan restarts each component once.
const renewing = "renew"

// task is something that the agent can take away, or would if it could.
type task struct {
	key       string // renewing, or the component to restart
	id        fact.ID
	code      finding.Code
	from, end time.Time // due, too late; zero: always, nothing ends
	means     Means
	fix       string
}

// what it does, half a sentence.
func (t task) what() string {
	if t.key == renewing {
		return "renew " + string(t.id)
	}
	return "restart " + t.key
}

func (t task) due(now time.Time) bool { return !t.from.After(now) }

// lingering is how long something that was replaced by somebody else may be in use
// still, before its user is restarted: whoever replaced it is probably about to.
const lingering = time.Hour

// tasksOf are the tasks in a look. What its owner has decided to live with is none,
// nor is what somebody else keeps.
func tasksOf(l Look, now time.Time) []task {
	var all []task
	for _, i := range l.Timeline.Items {
		if !i.Counts {
			continue
		}
		for _, t := range tasksIn(l, i, now) {
			same := func(o task) bool { return o.key == t.key && o.id == t.id && o.code == t.code }
			if !slices.ContainsFunc(all, same) {
				all = append(all, t)
			}
		}
	}
	return all
}

func tasksIn(l Look, i timeline.Item, now time.Time) []task {
	t := task{key: renewing, id: i.ID, code: i.Code, from: i.DueFrom, end: i.End.Date, fix: i.Fix}
	switch i.Code {
	case finding.CertificateExpires:
		m, ours := l.Means[i.ID]
		ours = ours && (i.Class == finding.Renewed && i.Keeper == finding.KeeperPerson || i.Class == finding.SelfRenewed && m.Cannot == "")
		if !ours {
			return nil
		}
		t.means = m
		if t.due(now) && !t.gains() && m.Cannot == "" {
			t.means.Cannot = "a new one would hardly end later: its CA ends, or it is due for nearly its whole life"
		}
		return []task{t}
	case finding.LoopbackExpires:
		if i.ID.Node() != l.Node || i.Keeper != finding.KeeperRestart {
			return nil
		}
		return t.restarting(l, layout.APIServer)
	case finding.ClientIdentityStale, finding.ServedCertificateStale:
		var all []task
		for _, e := range i.Evidence {
			own := t
			if e.Certificate != nil {
				own.from = e.Certificate.NotBefore.Add(lingering)
			}
			for _, component := range users(i.Code, e) {
				all = append(all, own.restarting(l, component)...)
			}
		}
		return all
	}
	return nil
}

// gains says whether what would take its place ends later by more than a small
// part of the time in which it is due.
func (t task) gains() bool {
	return t.means.Until.IsZero() || t.means.Until.After(t.end.Add(t.end.Sub(t.from)/10))
}

func (t task) restarting(l Look, component string) []task {
	m, runs := l.Means[fact.NodeID(l.Node, component)]
	if !runs {
		return nil
	}
	t.key, t.means = component, m
	return []task{t}
}

// users are the components that use what was replaced.
func users(code finding.Code, e finding.Evidence) []string {
	if code == finding.ServedCertificateStale {
		return e.Consumers[:min(len(e.Consumers), 1)]
	}
	var all []string
	for _, id := range e.Identity {
		if !id.Current && id.Grade == finding.Seen {
			all = append(all, id.Component)
		}
	}
	return all
}
