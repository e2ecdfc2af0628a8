// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/unit"
	"perennial.dev/perennial/internal/workbench"
)

// Machine is the node that the program runs on. It implements Node.
type Machine struct {
	// Scope is that of every look; its Identity is the agent's own kubeconfig.
	Scope   fact.Scope
	State   string // directory of the journal, the backups and the agent's state
	Lock    string // the lock's file
	Config  string // the settings' file
	Needed  bool   // the settings' file has to be there
	Version string // the program's own
	Tool    string // its name and version
	// Calendar is only looked into by Look.
	Calendar *release.Calendar
	Now      func() time.Time

	policy policy.Policy // by which was last looked
}

// purpose is what the lock is taken for, as another program shows it.
const purpose = "agent"

// Settings implements Node.
func (m *Machine) Settings(ctx context.Context) (Settings, error) {
	files, err := host.Open("/")
	if err != nil {
		return Settings{}, err
	}
	defer files.Close()
	data, meta, err := files.Read(ctx, m.Config, host.FileLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !m.Needed:
		return Settings{Policy: policy.Default()}, nil
	case err != nil:
		return Settings{}, fmt.Errorf("reading the settings: %w", err)
	case meta.Mode&0o022 != 0 || meta.UID != 0 && meta.UID != host.Private().UID:
		return Settings{}, fmt.Errorf("reading the settings %s: others may write to it (user %d, mode %04o), and what stands there is done: chown root and chmod go-w it", m.Config, meta.UID, meta.Mode)
	}
	p, err := policy.Parse(data)
	if err != nil {
		return Settings{}, fmt.Errorf("reading the settings %s: %w", m.Config, err)
	}
	return Settings{Policy: p, Digest: fact.Digest(data)}, nil
}

// Look implements Node. It asks no API server for anything.
func (m *Machine) Look(ctx context.Context, p policy.Policy) (Look, error) {
	scope := m.Scope
	scope.State, scope.Copies = m.State, p.Copies
	m.policy = p
	rec, l := source.Survey(ctx, scope, source.Options{})
	if err := ctx.Err(); err != nil {
		return Look{}, err
	}
	judged := workbench.Judge(rec, l, m.Calendar, m.Tool)
	now := m.Now()
	seen := plan.Seen{Layout: l, Facts: rec.Facts, Findings: judged.Findings, Unseen: judged.Unseen}
	return Looked(seen, judged.Timeline(p, now), p, whole(judged.Unseen), now), nil
}

// whole are the sources that saw all that they looked at.
func whole(unseen []fact.Unseen) []string {
	var names []string
	for _, e := range source.All() {
		if !slices.ContainsFunc(unseen, func(u fact.Unseen) bool { return u.Source == e.Name() }) {
			names = append(names, e.Name())
		}
	}
	return names
}

// open opens the workbench; with a purpose to change something.
func (m *Machine) open(purpose string) (*workbench.Bench, error) {
	scope := m.Scope
	scope.Copies = m.policy.Copies
	return workbench.Open(workbench.Options{Scope: scope, State: m.State, Lock: m.Lock, Purpose: purpose, Version: m.Version, Now: m.Now})
}

// Past implements Node.
func (m *Machine) Past(context.Context) (Past, error) {
	b, err := m.open("")
	if err != nil {
		return Past{}, err
	}
	defer b.Close()
	return pastOf(b.Journal.Plans()), nil
}

// pastOf reads what the plans of a journal say, which come in their order.
func pastOf(plans []journal.Plan) (past Past) {
	type step struct{ ID fact.ID }
	var failed []step // those of the plan that failed
	for _, p := range plans {
		var of struct { // of a plan.Plan, since a journal may hold those of years
			By    string
			Steps []step
		}
		own := json.Unmarshal(p.Content, &of) == nil && of.By == plan.ByAgent
		switch {
		case own && len(p.Steps) > 0:
			past.Began, past.Failed = append(past.Began, p.Begun), nil
			if p.Result != "" && p.Result != journal.Done && p.UndoneBy == "" {
				past.Failed, failed = &Failed{Plan: p.ID, Result: p.Result, Ended: p.Ended}, of.Steps
			}
		case !own && p.Result == journal.Done && slices.ContainsFunc(of.Steps, func(s step) bool { return slices.Contains(failed, s) }):
			past.Failed = nil // a person has done something about it
		}
		if p.Result == "" {
			past.Unfinished = append(past.Unfinished, Cut{Plan: p, Own: own})
		}
	}
	return past
}

// Plan implements Node. It looks again, at what only a change needs, too.
func (m *Machine) Plan(ctx context.Context, _ Look, w Work) (plan.Plan, error) {
	b, err := m.open("")
	if err != nil {
		return plan.Plan{}, err
	}
	defer b.Close()
	seen, err := b.Look(ctx)
	if err != nil {
		return plan.Plan{}, err
	}
	todo, err := m.todo(ctx, b, seen, w)
	todo.By = plan.ByAgent
	return todo, err
}

func (m *Machine) todo(ctx context.Context, b *workbench.Bench, seen plan.Seen, w Work) (plan.Plan, error) {
	now := m.Now()
	id := workbench.PlanID(now)
	replacing := workbench.Replacing{AcceptOutage: w.InPlace, Patience: workbench.DefaultPatience}
	if w.Restart != "" {
		todo := plan.New(id, now, seen)
		if err := plan.AtWork(seen); err != nil {
			return todo, err
		}
		steps, err := restarting(ctx, b, seen, w.Restart, replacing, &todo)
		if err != nil {
			return todo, err
		}
		todo.Add(steps...)
		return todo, replacing.Outage(todo)
	}
	var names []string
	for _, id := range w.Renew {
		names = append(names, string(id))
	}
	todo, err := plan.ForRenewal(seen, plan.RenewOptions{ID: id, Now: now, Names: names, Policy: m.policy})
	if err != nil {
		return todo, err
	}
	if err := b.WithoutDowntime(ctx, seen, replacing, &todo); err != nil {
		return todo, err
	}
	return todo, replacing.Outage(todo)
}

func restarting(ctx context.Context, b *workbench.Bench, seen plan.Seen, name string, r workbench.Replacing, todo *plan.Plan) ([]plan.Step, error) {
	c, ok := seen.Layout.Component(name)
	if !ok || c.Process == nil {
		return nil, fmt.Errorf("restarting %s: it does not run here", name)
	}
	const why = "what it holds in memory ends"
	if name == layout.APIServer {
		return b.Replace(ctx, seen, c, why, r, todo)
	}
	step, err := plan.RestartStep(seen, c, why)
	if err != nil {
		return nil, fmt.Errorf("restarting %s: %w", name, err)
	}
	return []plan.Step{step}, nil
}

// Do implements Node.
func (m *Machine) Do(ctx context.Context, p plan.Plan, tell func(execute.Event)) (execute.Outcome, error) {
	b, err := m.open(purpose)
	if err != nil {
		return execute.Outcome{Plan: p.ID}, err
	}
	defer b.Close()
	if cut := b.Journal.Unfinished(); len(cut) > 0 { // begun after the look, by another program
		return execute.Outcome{Plan: p.ID}, fmt.Errorf("doing the plan %s: the plan %s was begun meanwhile, and cut off", p.ID, cut[0].ID)
	}
	if err := b.Ready(p); err != nil {
		return execute.Outcome{Plan: p.ID}, err
	}
	if err := b.Disk.MakeDir(b.State); err != nil {
		return execute.Outcome{Plan: p.ID}, err
	}
	return b.Do(ctx, p, tell)
}

// Finish implements Node.
func (m *Machine) Finish(ctx context.Context, cut journal.Plan, tell func(execute.Event)) (execute.Outcome, error) {
	b, err := m.open(purpose)
	if err != nil {
		return execute.Outcome{Plan: cut.ID}, err
	}
	defer b.Close()
	now, _, err := b.Find(cut.ID) // another program may have finished it before the lock was free
	switch {
	case err != nil:
		return execute.Outcome{Plan: cut.ID}, err
	case now.Result != "":
		return execute.Outcome{Plan: cut.ID, Result: now.Result}, nil
	}
	return b.Finish(ctx, now, tell)
}

// file is the path of a file of the agent's state.
func (m *Machine) file(name string) string { return path.Join(m.State, "state", name) }

// Load implements Node.
func (m *Machine) Load(name string) ([]byte, error) { return m.Published(m.file(name)) }

// Save implements Node.
func (m *Machine) Save(name string, data []byte) error {
	return m.disk(func(d *host.Disk) error {
		if err := d.MakeDir(path.Dir(m.file(name))); err != nil {
			return err
		}
		return put(d, m.file(name), data, host.Private(), "")
	})
}

// Remove implements Node.
func (m *Machine) Remove(name string) error {
	return m.disk(func(d *host.Disk) error {
		before, err := d.Digest(m.file(name))
		if err != nil || before == "" {
			return err
		}
		return d.Remove(m.file(name), before)
	})
}

// Publish puts a file in place that others read, such as metrics. What is there is
// replaced only where it begins as such a file does: whoever else may write to the
// directory could lead the name to any file of the machine.
func (m *Machine) Publish(name string, data []byte, begins string) error {
	as := host.Access{Mode: 0o644, UID: host.Private().UID, GID: host.Private().GID}
	return m.disk(func(d *host.Disk) error {
		if path.Dir(name) == unit.Cache { // which the service manager makes, where there is one
			if err := d.MakeShared(unit.Cache); err != nil {
				return err
			}
		}
		return put(d, name, data, as, begins)
	})
}

// Published is what such a file holds; fs.ErrNotExist where there is none.
func (m *Machine) Published(name string) (data []byte, err error) {
	err = m.disk(func(d *host.Disk) error {
		data, err = d.ReadFile(name, host.FileLimit)
		return err
	})
	return data, err
}

func (m *Machine) disk(do func(*host.Disk) error) error {
	files, err := host.Open("/")
	if err != nil {
		return err
	}
	defer files.Close()
	return do(host.NewDisk(files, nil))
}

// put gives a file content and access, whether it is there or not, whole or not at
// all, unless what is there begins otherwise. Of two that do it at once, one gets an
// error.
func put(d *host.Disk, name string, data []byte, as host.Access, begins string) error {
	old, err := d.ReadFile(name, host.FileLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return d.WriteNew(name, data, as)
	case err != nil:
		return err
	case !bytes.HasPrefix(old, []byte(begins)):
		return fmt.Errorf("replacing %s: what is there was not written by this program; remove it, or name another file", name)
	}
	return d.Restore(name, data, fact.Digest(old), as)
}
