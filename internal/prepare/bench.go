// SPDX-License-Identifier: Apache-2.0

// Package prepare changes the objects of a cluster, as the person whose
// kubeconfig it is given: it lists what a preparation needs to know, does plans
// with a journal of that person's own, and proves them by reading the objects
// again. docs/decisions/0014-cluster-plans.md says why the journal is the
// person's.
package prepare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/kuberc"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/workbench"
)

// Options say where the journal of cluster plans lies, and who reads it.
type Options struct {
	State   string // directory of the journal, absolute
	Purpose string // for whoever finds the lock taken; empty: it is not taken, and nothing can be changed
	Version string // the program's own
	Now     func() time.Time
	// Plugins says which credential plugins may be run; nil allows all.
	Plugins func() (kuberc.Policy, error)
}

// Bench is what changes objects of clusters.
type Bench struct {
	Options
	*workbench.Desk

	client *kube.Client
	is     plan.Cluster // whose API the client asks
	doing  plan.Plan
}

// Open takes the lock, where there is a purpose, and opens the journal.
func Open(o Options) (*Bench, error) {
	var lock func(*host.Disk) (*host.Lock, error)
	if o.Purpose != "" {
		lock = func(disk *host.Disk) (*host.Lock, error) {
			if err := disk.MakeDir(o.State); err != nil {
				return nil, err
			}
			return host.AcquireLock(path.Join(o.State, "lock"), o.Purpose, o.Now())
		}
	}
	desk, err := workbench.OpenDesk(o.State, lock)
	if err != nil {
		return nil, err
	}
	return &Bench{Options: o, Desk: desk}, nil
}

// Close gives the lock back and ends the connections.
func (b *Bench) Close() {
	if b.client != nil {
		b.client.Close()
	}
	b.Desk.Close()
}

// Reach opens the API of a cluster and says which it is.
func (b *Bench) Reach(ctx context.Context, at kube.Context) (*kube.Client, plan.Cluster, error) {
	at.Plugins = b.Plugins
	client, err := kube.OpenContext(at, b.Version)
	if err != nil {
		return nil, plan.Cluster{}, err
	}
	is, err := identify(ctx, client, at)
	if errors.Is(err, kube.ErrForbidden) {
		err = workbench.Hint(err, "the rights that it takes stand in "+rightsFile)
	}
	if err != nil {
		client.Close()
		return nil, is, err
	}
	if b.client != nil {
		b.client.Close()
	}
	b.client, b.is = client, is
	return client, is, nil
}

var namespaces = kube.Resource{Version: "v1", Name: "namespaces", Kind: "Namespace"}

func identify(ctx context.Context, client *kube.Client, at kube.Context) (plan.Cluster, error) {
	is := plan.Cluster{Server: client.Server(), Kubeconfig: at.Kubeconfig, Context: at.Name}
	content, err := client.Object(ctx, kube.Named{Resource: namespaces, ObjectName: "kube-system"})
	if err != nil {
		return is, err
	}
	var system struct {
		Metadata struct {
			UID string `json:"uid"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(content, &system); err != nil || system.Metadata.UID == "" {
		return is, fmt.Errorf("asking the API server at %s which cluster it is: its namespace kube-system has no uid", is.Server)
	}
	is.UID = system.Metadata.UID
	return is, nil
}

// again opens the API of the cluster that a plan is for, and of no other.
func (b *Bench) again(ctx context.Context, p plan.Plan, at kube.Context) error {
	of := fact.Text(p.Cluster.Server)
	_, is, err := b.Reach(ctx, at)
	if err != nil {
		return workbench.Hint(fmt.Errorf("reaching the cluster of the plan %s (%s): %w", fact.Text(p.ID), of, err), "--kubeconfig and --context say how it is reached now")
	}
	if is.UID != p.Cluster.UID {
		return workbench.Hint(fmt.Errorf("reaching the cluster of the plan %s: %s is another cluster than the plan's (%s)", fact.Text(p.ID), is.Server, of),
			fmt.Sprintf("make the kubeconfig's context lead to %s again, or give --kubeconfig and --context", of))
	}
	return nil
}

// Unfinished are the plans that were cut off in a cluster, and those that were in
// others: a cluster that does not answer keeps nobody from preparing another.
func (b *Bench) Unfinished(ctx context.Context, at kube.Context) (here []journal.Plan, elsewhere []plan.Plan, err error) {
	cuts := b.Journal.Unfinished()
	if len(cuts) == 0 {
		return nil, nil, nil
	}
	_, is, err := b.Reach(ctx, at)
	if err != nil {
		return nil, nil, err
	}
	for _, cut := range cuts {
		p, err := content(cut)
		switch {
		case err != nil:
			return nil, nil, err
		case p.Cluster.UID == is.UID:
			here = append(here, cut)
		default:
			elsewhere = append(elsewhere, p)
		}
	}
	return here, elsewhere, nil
}

// Do does a plan.
func (b *Bench) Do(ctx context.Context, p plan.Plan, tell func(execute.Event)) (execute.Outcome, error) {
	b.doing = p
	return b.runner(tell).Run(ctx, p)
}

// Finish finishes a plan that was cut off, by the API that Unfinished has opened:
// the kubeconfig of then may be gone.
func (b *Bench) Finish(ctx context.Context, cut journal.Plan, tell func(execute.Event)) (execute.Outcome, error) {
	p, err := content(cut)
	if err == nil && p.Cluster.UID != b.is.UID {
		err = fmt.Errorf("finishing the plan %s: %s is another cluster than the plan's (%s)", fact.Text(p.ID), b.is.Server, fact.Text(p.Cluster.Server))
	}
	if err != nil {
		return execute.Outcome{Plan: cut.ID}, err
	}
	b.doing = p
	return b.runner(tell).Resume(ctx, cut)
}

// content reads a plan from the journal. One with steps for a node is none of
// this package's.
func content(of journal.Plan) (plan.Plan, error) {
	var p plan.Plan
	if err := json.Unmarshal(of.Content, &p); err != nil {
		return p, fmt.Errorf("reading the plan %s from the journal: %w", of.ID, err)
	}
	if p.Cluster == nil || slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Verb != plan.Patch || s.Object == nil }) {
		return p, fmt.Errorf("reading the plan %s from the journal: not all of its steps change objects of a cluster", of.ID)
	}
	return p, nil
}

// Undo plans to take back a plan, in its cluster, to which a context leads.
func (b *Bench) Undo(ctx context.Context, id string, at kube.Context) (plan.Plan, error) {
	past, of, err := b.Find(id)
	if err != nil {
		return plan.Plan{}, err
	}
	if past.UndoneBy != "" {
		return plan.Plan{}, workbench.Hint(fmt.Errorf("undoing the plan %s: it was undone by %s", fact.Text(id), fact.Text(past.UndoneBy)), "perennial undo "+past.UndoneBy+" does it again")
	}
	if err := b.again(ctx, of, at); err != nil {
		return plan.Plan{}, err
	}
	b.doing = of
	seen, err := b.Look(ctx)
	if err != nil {
		return plan.Plan{}, err
	}
	taken, err := b.taken(id)
	if err != nil {
		return plan.Plan{}, err
	}
	now := b.Now()
	back, err := plan.ForObjectUndo(of, done(past), taken, seen, workbench.PlanID(now), now)
	is := b.is // as it is reached now
	back.Cluster = &is
	return back, err
}

// taken are the steps of a plan that undos of it took back before they stopped.
func (b *Bench) taken(id string) (steps []plan.Step, err error) {
	for _, p := range b.Journal.Plans() {
		if p.Undoes != id {
			continue
		}
		back, err := content(p)
		if err != nil {
			return nil, err
		}
		was := done(p)
		steps = append(steps, slices.DeleteFunc(back.Steps, func(s plan.Step) bool { return !was[s.Number] })...)
	}
	return steps, nil
}

// done says which steps of a plan were done.
func done(p journal.Plan) map[int]bool {
	all := map[int]bool{}
	for _, s := range p.Steps {
		last := s.Last()
		all[s.Number] = last.Outcome != nil && last.Outcome.Result == journal.Done
	}
	return all
}

// Find finds a plan in the journal, with its content.
func (b *Bench) Find(id string) (journal.Plan, plan.Plan, error) {
	p, err := b.Planned(id)
	if err != nil {
		return p, plan.Plan{}, err
	}
	of, err := content(p)
	return p, of, err
}

// Look implements execute.Eyes: the objects of the plan that is being done.
func (b *Bench) Look(ctx context.Context) (plan.Seen, error) {
	var seen plan.Seen
	for _, o := range b.doing.Objects() {
		content, err := execute.Server{Client: b.client}.Object(ctx, o)
		switch {
		case err != nil:
			seen.Unseen = append(seen.Unseen, fact.Unseen{Source: "cluster", What: fact.Text(o.ID()), Why: fact.Failed, Detail: fact.Text(err.Error())})
		case content != nil:
			seen.Facts = append(seen.Facts, fact.Object{
				APIVersion: fact.Text(o.APIVersion), Type: fact.Text(o.Kind), Namespace: fact.Text(o.Namespace), Name: fact.Text(o.Name), Content: content,
			})
		}
	}
	return seen, ctx.Err()
}

func (b *Bench) runner(tell func(execute.Event)) *execute.Runner {
	r := b.Runner(b.State, b.Now, tell)
	r.Hands, r.Eyes = execute.Machine{Disk: b.Disk, API: execute.Server{Client: b.client}}, b
	return r
}
