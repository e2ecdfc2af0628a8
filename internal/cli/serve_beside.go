// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"perennial.dev/perennial/internal/agent"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/page"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/workbench"
)

// beside is what a served page tells beyond the look, where that is at this node:
// what was changed here, and what the agent does next. What cannot be read is said.
func (o *serveOptions) beside(s Streams) page.Live {
	var live page.Live
	if o.root != "/" || o.replay != "" || len(o.endpoints)+len(o.files)+len(o.contexts) > 0 || o.kubeconfig != "" {
		return live
	}
	silence := func(what string, err error) {
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			live.Silences = append(live.Silences, fmt.Sprintf("%s cannot be read: %v", what, err))
		}
	}
	var err error
	live.History, err = o.history(s)
	silence("The history of this node", err)
	live.Agent, err = o.agent(s)
	silence("What the agent of this node does", err)
	return live
}

func (o *serveOptions) history(s Streams) ([]page.Change, error) {
	b, err := (&changeOptions{kubernetesDir: o.kubernetesDir, state: o.state, lock: workbench.DefaultLock}).open(s, "")
	if err != nil {
		return nil, err
	}
	defer b.Close()
	var all []page.Change
	for _, p := range b.Journal.Plans() {
		all = append(all, page.Change{ID: p.ID, Begun: p.Begun, What: stepsOf(p), State: resultOf(p)})
	}
	return all, nil
}

// stepsOf are the titles of a plan's steps, as far as they were begun.
func stepsOf(p journal.Plan) []string {
	var of plan.Plan
	if err := json.Unmarshal(p.Content, &of); err != nil {
		return []string{fmt.Sprintf("its steps cannot be read: %v", err)}
	}
	titles := map[int]string{}
	for _, s := range of.Steps {
		titles[s.Number] = s.Title
	}
	var all []string
	for _, s := range p.Steps {
		text := titles[s.Number]
		if out := s.Last().Outcome; out != nil && out.Result != journal.Done {
			text += " (" + string(out.Result) + ")"
		}
		all = append(all, text)
	}
	return all
}

// agent is what the agent of this node said last; nil where none has looked.
func (o *serveOptions) agent(s Streams) (*page.Agent, error) {
	m, err := (&agentOptions{changeOptions: changeOptions{kubernetesDir: o.kubernetesDir, state: o.state, lock: workbench.DefaultLock}, config: o.config}).machine(s)
	if err != nil {
		return nil, err
	}
	status, there, err := agent.ReadStatus(m)
	if err != nil || !there {
		return nil, err
	}
	return agentOf(status, s.Now()), nil
}

func agentOf(status agent.Status, now time.Time) *page.Agent {
	does := "looks and tells"
	if status.Settings.Act {
		does = "changes what is due"
	}
	a := &page.Agent{Doing: status.Doing, Says: fmt.Sprintf("The agent of %s %s. It looked at %s and does every %s.",
		status.Node, does, status.Looked.UTC().Format("2006-01-02 15:04 UTC"), status.Every.Duration)}
	if status.Silent(now) {
		a.Stops = fmt.Sprintf("no agent has looked since %s; it should every %s", status.Looked.UTC().Format("2006-01-02 15:04 UTC"), status.Every.Duration)
	}
	if status.Stopped != nil {
		a.Stops = fmt.Sprintf("%s; do: %s", status.Stopped.Reason, status.Stopped.Next)
	}
	for _, n := range status.Next {
		a.Next = append(a.Next, page.Next{What: n.What, ID: string(n.ID), At: n.At, End: n.End, Why: string(n.Why)})
	}
	for _, p := range status.Person {
		a.Person = append(a.Person, page.Person{What: string(p.Code), ID: string(p.ID), Why: string(p.Why), Do: string(p.Next)})
	}
	return a
}
