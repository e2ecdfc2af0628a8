// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

// Means are how a node can take away what was found there.
type Means struct {
	Restarts []string  // the components that have to be restarted for it
	Until    time.Time // when what takes its place ends at the earliest; zero: not known
	// Cannot is why this node cannot do it: half a sentence. Empty: it can.
	Cannot string
}

// Restartable are the components that may be restarted while nobody watches.
// etcd is not among them: where it is the only member, no write is answered
// meanwhile.
var Restartable = []string{layout.APIServer, layout.ControllerManager, layout.Scheduler, layout.Kubelet}

func restartable(component string) bool { return slices.Contains(Restartable, component) }

// Looked is a look with what follows from it for the loop. Nothing is planned
// here that another program at work would forbid later: what can be done is one
// question, and when is another.
func Looked(seen plan.Seen, line timeline.Timeline, p policy.Policy, sources []string, now time.Time) Look {
	l := Look{Node: seen.Layout.Node, Seen: seen, Timeline: line, AtWork: plan.AtWork(seen), Sources: sources, Means: map[fact.ID]Means{}}
	alone := seen
	alone.Layout.Renewers = nil
	for _, c := range seen.Layout.Credentials {
		if c.Role != layout.Unclaimed && c.Role != layout.Authority && c.Role != layout.Signing {
			l.Means[c.ID] = renewal(alone, c, p, now)
		}
	}
	for _, c := range seen.Layout.Components {
		if c.Process != nil {
			l.Means[fact.NodeID(l.Node, c.Name)] = restart(alone, c)
		}
	}
	return l
}

// renewal asks the planner: whatever it can plan can be done.
func renewal(seen plan.Seen, c layout.Credential, p policy.Policy, now time.Time) Means {
	planned, err := plan.ForRenewal(seen, plan.RenewOptions{ID: "means", Now: now, Names: []string{string(c.ID)}, Policy: p})
	if err != nil {
		return Means{Cannot: err.Error()}
	}
	m := Means{Cannot: "nothing here can renew it"}
	for _, n := range planned.Notes {
		if n.ID == c.ID {
			m.Cannot = n.Text.String()
		}
	}
	for _, s := range planned.Steps {
		switch {
		case s.Stop != nil:
			m.Restarts = append(m.Restarts, s.Stop.Component)
		case s.ID == c.ID && s.Verb != plan.Request:
			m.Cannot, m.Until = "", until(s)
		}
	}
	for _, component := range m.Restarts {
		if m.Cannot == "" && !restartable(component) {
			m.Cannot = fmt.Sprintf("%s would have to be restarted for it, and that is not done while nobody watches", component)
		}
	}
	return m
}

// until is when the certificate ends, at the earliest, that a step makes; of one that
// somebody else signs that is not known.
func until(s plan.Step) (end time.Time) {
	for _, e := range s.Expect {
		if e.Predicate == plan.DiskRenewed && s.Verb == plan.Renew {
			end = e.NotAfter
		}
	}
	return end
}

func restart(seen plan.Seen, c layout.Component) Means {
	m := Means{Restarts: []string{c.Name}}
	switch _, err := plan.RestartStep(seen, c, ""); {
	case !restartable(c.Name):
		m.Cannot = fmt.Sprintf("%s is not restarted while nobody watches", c.Name)
	case err != nil:
		m.Cannot = strings.TrimSpace(err.Error())
	}
	return m
}
