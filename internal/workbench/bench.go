// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/bridge"
	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/source"
)

// The places of what is kept on a machine.
const (
	DefaultState = "/var/lib/perennial"
	DefaultLock  = "/run/perennial/lock"
)

// Options say whose workbench it is.
type Options struct {
	Scope fact.Scope // of every look
	State string     // directory of the journal and the backups
	Lock  string     // the lock's file
	// Purpose is what the lock is taken for, in words that another program shows;
	// empty: it is not taken, and nothing can be changed.
	Purpose string
	Version string // the program's own
	Now     func() time.Time
	// AnyClock: the clock is believed whatever speaks against it.
	AnyClock bool
	// Tell is told what takes longer than a moment; nil: nobody is.
	Tell func(text string)
}

// Bench is what changes a node.
type Bench struct {
	Options
	*Desk
	// lease is set while a plan guards the service kubernetes by an entry in etcd.
	lease *plan.Etcd
}

// Open takes the lock, where there is a purpose, and opens the journal.
func Open(o Options) (*Bench, error) {
	o.Scope.State, o.Scope.Changing = o.State, true
	var lock func(*host.Disk) (*host.Lock, error)
	if o.Purpose != "" {
		lock = func(*host.Disk) (*host.Lock, error) { return host.AcquireLock(o.Lock, o.Purpose, o.Now()) }
	}
	desk, err := OpenDesk(o.State, lock)
	if err != nil {
		return nil, err
	}
	return &Bench{Options: o, Desk: desk}, nil
}

// Look implements execute.Eyes.
func (b *Bench) Look(ctx context.Context) (plan.Seen, error) {
	rec, _ := source.Survey(ctx, b.Scope, source.Options{})
	if b.lease != nil {
		guard, err := bridge.LookLease(ctx, b.Disk, b.lease)
		if err == nil {
			rec.Facts = append(rec.Facts, guard)
		}
	}
	return plan.See(rec), ctx.Err()
}

// Do does a plan that is ready.
func (b *Bench) Do(ctx context.Context, p plan.Plan, tell func(execute.Event)) (execute.Outcome, error) {
	b.lease = leaseOf(p)
	return b.runner(tell).Run(ctx, p)
}

// Finish finishes a plan that was cut off.
func (b *Bench) Finish(ctx context.Context, cut journal.Plan, tell func(execute.Event)) (execute.Outcome, error) {
	var p plan.Plan
	if json.Unmarshal(cut.Content, &p) == nil && p.Cluster != nil {
		return execute.Outcome{Plan: cut.ID}, fmt.Errorf("finishing the plan %s: it changes objects of the cluster of %s, and no node; perennial prepare podsecurity --state %s finishes it there", fact.Text(cut.ID), fact.Text(p.Cluster.Server), fact.Text(b.State))
	}
	b.Widen(cut)
	return b.runner(tell).Resume(ctx, cut)
}

// Mend puts in place the files that cut-off plans had begun to replace, for before
// the kubelet starts, and returns their paths.
func (b *Bench) Mend(ctx context.Context) ([]string, error) {
	var mended []string
	var errs []error
	for _, cut := range b.Journal.Unfinished() {
		files, err := b.runner(nil).Mend(ctx, cut)
		mended, errs = append(mended, files...), append(errs, err)
	}
	return mended, errors.Join(errs...)
}

func (b *Bench) runner(tell func(execute.Event)) *execute.Runner {
	r := b.Runner(b.State, b.Now, tell)
	r.Hands, r.Eyes = execute.Machine{Disk: b.Disk, Bridge: b.crossing()}, b
	r.AnyClock, r.Newest = b.AnyClock, b.newest()
	return r
}

func (b *Bench) crossing() bridge.Crossing {
	return bridge.Crossing{Disk: b.Disk, Version: b.Version, Now: b.Now}
}

// newest is when the journal was last written to.
func (b *Bench) newest() time.Time {
	records := b.Journal.Records()
	if len(records) == 0 {
		return time.Time{}
	}
	return records[len(records)-1].At
}

// Sleep waits, or until the context ends.
func Sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// PlanID names a plan by its time, so that a listing is a history; the rest
// tells two of the same second apart.
func PlanID(now time.Time) string {
	return now.UTC().Format("20060102-150405") + "-" + strings.ToLower(rand.Text()[:4])
}

// Widen widens the scope to that of a plan, where its proof has to be looked for.
func (b *Bench) Widen(of journal.Plan) {
	var p plan.Plan
	if json.Unmarshal(of.Content, &p) == nil { // what cannot be read is said by whoever needs it
		b.Scope.RequestDir, b.Scope.Copies, b.Scope.Checkpoints = p.Scope.RequestDir, p.Scope.Copies, p.Scope.Checkpoints
		b.lease = leaseOf(p)
	}
}

// Find finds a plan in the journal, with its content.
func (b *Bench) Find(id string) (journal.Plan, plan.Plan, error) {
	p, err := b.Planned(id)
	var of plan.Plan
	if err == nil {
		err = json.Unmarshal(p.Content, &of)
	}
	return p, of, err
}

// Undoable says whether a plan has a step that can be taken back.
func (b *Bench) Undoable(id string) bool {
	_, p, err := b.Find(id)
	return err == nil && slices.ContainsFunc(p.Steps, func(s plan.Step) bool { return s.Once == "" })
}

// leaseOf is how a plan guards by an entry in etcd.
func leaseOf(p plan.Plan) *plan.Etcd {
	for _, s := range p.Steps {
		if s.Bridge != nil && s.Bridge.Etcd != nil {
			return s.Bridge.Etcd
		}
	}
	return nil
}

// Hint is an error with a next step: a command, or a sentence.
func Hint(err error, next string) error { return hinted{err, next} }

type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// Hint is what the command line shows below the error.
func (h hinted) Hint() string { return h.hint }
