// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// The names of its files. Two are written by a person's commands, the one that says
// that the line may go on and the one that approves; the agent only reads them, so
// that nothing that is said while it is at work is lost.
const (
	StatusFile   = "status.json"
	SettingsFile = "settings.json" // the last valid ones
	ClockFile    = "clock.json"
	StoppedFile  = "stopped.json"
	UsedFile     = "used.json"
	ApprovedFile = "approved.json"
	ResumedFile  = "resumed.json"
)

// ApprovalLasts is for how long an approval is good.
const ApprovalLasts = time.Hour

// Approval is a person's word that what waits for its turn, for a window or for a
// permission is done at the next look, once. It is no word on what needs a person
// to do it.
type Approval struct {
	At    time.Time `json:"at"`
	Until time.Time `json:"until"`
	IDs   []string  `json:"ids,omitempty"`  // IDs, or kubeadm's names; none: all that is due
	Used  []fact.ID `json:"used,omitempty"` // what was begun by it
}

// Used is what was begun by an approval.
type Used struct {
	Approved time.Time `json:"approved"` // when it was given
	IDs      []fact.ID `json:"ids"`
}

// has says whether a task is approved. One that is not due has to be named.
func (a Approval) has(t task, now time.Time) bool {
	switch {
	case a.At.IsZero() || now.Before(a.At.Add(-time.Minute)) || !now.Before(a.Until) || slices.Contains(a.Used, t.id):
		return false
	case len(a.IDs) == 0:
		return t.due(now)
	}
	return slices.ContainsFunc(a.IDs, func(name string) bool { return name == string(t.id) || name == t.id.Name() })
}

// Approve writes an approval for what a status says comes next; no names: all that
// is due.
func Approve(s State, status Status, names []string, now time.Time) (Approval, error) {
	for _, name := range names {
		known := func(n Next) bool { return string(n.ID) == name || n.ID.Name() == name }
		if !slices.ContainsFunc(status.Next, known) {
			var all []string
			for _, n := range status.Next {
				all = append(all, string(n.ID))
			}
			return Approval{}, fmt.Errorf("approving %q: the agent has nothing of that name to do; it has %s", fact.Text(name), strings.Join(all, ", "))
		}
	}
	if !status.Settings.Act {
		return Approval{}, errors.New("approving: the agent only looks; it acts once its settings say act: true")
	}
	if status.Stopped != nil {
		return Approval{}, fmt.Errorf("approving: nothing is changed since %s (%s); perennial agent resume goes on", status.Stopped.At.UTC().Format(time.RFC3339), status.Stopped.Reason)
	}
	// Not cut to the second: it has to be later than what was refused just before.
	a := Approval{At: now.UTC(), Until: now.Add(ApprovalLasts).UTC().Truncate(time.Second), IDs: names}
	return a, save(s, ApprovedFile, a)
}

// ErrNotStopped says that there is nothing to go on with.
var ErrNotStopped = errors.New("resuming: the agent has not stopped changing things")

// Resumed is a person's word that the line may go on after a stop.
type Resumed struct {
	At   time.Time `json:"at"`
	Plan string    `json:"plan,omitempty"` // at which it had stopped; none: it was not known
}

// answers says whether it was said after a plan that failed.
func (r Resumed) answers(f Failed) bool {
	return r.Plan == f.Plan || r.Plan == "" && r.At.After(f.Ended)
}

// Resume lets the agent change things again. It returns why it had stopped.
func Resume(s State, now time.Time) (Stop, error) {
	var stop Stop
	there, err := load(s, StoppedFile, &stop)
	switch {
	case !there && err == nil:
		return stop, ErrNotStopped
	case err != nil: // whatever it was
		stop = Stop{Reason: fact.Text(err.Error())}
	}
	// The journal tells of the failure, too: that it is answered comes first.
	if err := save(s, ResumedFile, Resumed{At: now.UTC().Truncate(time.Second), Plan: stop.Plan}); err != nil {
		return stop, err
	}
	return stop, s.Remove(StoppedFile)
}

// load reads a file of the state; not there is no error.
func load(s State, name string, into any) (there bool, err error) {
	data, err := s.Load(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		return true, fmt.Errorf("reading the agent's %s: %w", name, err)
	}
	return true, nil
}

func save(s State, name string, what any) error {
	data, err := json.MarshalIndent(what, "", "  ")
	if err == nil {
		err = s.Save(name, append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("writing the agent's %s: %w", name, err)
	}
	return nil
}
