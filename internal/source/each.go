// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

// perWant is a source that serves each want by itself, several at once, and
// hands on what they led to in the order of the wants.
type perWant struct {
	name   string
	disk   bool // looks at the file system of the scope
	atOnce int
	look   func(ctx context.Context, s Scope, w layout.Want, out *found)
}

// Name implements Source.
func (p perWant) Name() string { return p.name }

// Look implements Source.
func (p perWant) Look(ctx context.Context, s Scope, emit func(fact.Fact), unseen func(fact.Unseen)) {
	if p.disk && s.FS == nil {
		return // that the file system could not be opened was said once
	}
	wants := slices.SortedFunc(slices.Values(s.Wants), compareWants)
	results := make([]*found, len(wants))
	for i, w := range wants {
		results[i] = &found{source: p.name, what: subject(w)}
	}
	atOnce(p.atOnce, results, func(i int, out *found) { p.one(ctx, s, wants[i], out) })
	for _, r := range results {
		for _, f := range r.facts {
			emit(f)
		}
		for _, u := range r.unseen {
			unseen(u)
		}
	}
}

// atOnce does something with each of all, with at most most at a time, and waits
// for the last one.
func atOnce[T any](most int, all []T, do func(i int, one T)) {
	next := make(chan int, len(all))
	for i := range all {
		next <- i
	}
	close(next)
	var group sync.WaitGroup
	for range min(most, len(all)) {
		group.Go(func() {
			for i := range next {
				do(i, all[i])
			}
		})
	}
	group.Wait()
}

// one serves one want. It runs on a goroutine of its own, where a panic would
// end the program.
func (p perWant) one(ctx context.Context, s Scope, w layout.Want, out *found) {
	defer func() {
		if v := recover(); v != nil {
			out.fail(fact.Failed, panicked(v), "")
		}
	}()
	if ctx.Err() != nil {
		out.fail(fact.Canceled, notLooked, "")
		return
	}
	p.look(ctx, s, w, out)
	if ctx.Err() != nil {
		out.blame()
	}
}

const notLooked = "the look was ended before"

// panicked words a fault of this program.
func panicked(v any) fact.Text {
	words := fmt.Sprint(v)
	return fact.Text("a fault of this program, please report it: " + words[:min(len(words), 200)])
}

// found is what one want led to.
type found struct {
	source string
	what   fact.Text
	facts  []fact.Fact
	unseen []fact.Unseen
}

func (f *found) add(x fact.Fact) { f.facts = append(f.facts, x) }

func (f *found) fail(why fact.Why, detail, hint fact.Text) { f.failAt(f.what, why, detail, hint) }

func (f *found) failAt(what fact.Text, why fact.Why, detail, hint fact.Text) {
	f.unseen = append(f.unseen, fact.Unseen{Source: f.source, What: what, Why: why, Detail: detail, Hint: hint})
}

// blame says of looks that ended with the survey's own time that they were
// ended: nothing is known about what they looked at.
func (f *found) blame() {
	for i, u := range f.unseen {
		if u.Why == fact.Timeout {
			f.unseen[i].Why, f.unseen[i].Detail, f.unseen[i].Hint = fact.Canceled, notLooked, ""
		}
	}
}

// subject is what a want is about, in an Unseen. Looks at one endpoint with
// several names are about the same.
func subject(w layout.Want) fact.Text {
	switch w.Verb {
	case layout.LookNode:
		return "the machine"
	case layout.LookPlatform:
		return "the kernel and its control groups"
	case layout.LookProcesses:
		return "the running processes"
	case layout.LookProgram:
		return fact.Text(fmt.Sprintf("the version of the kubelet (process %d)", w.PID))
	case layout.LookView:
		return fact.Text(fmt.Sprintf("%s in process %d", w.Inside, w.PID))
	}
	return fact.Text(cmp.Or(w.Endpoint, w.Path))
}

func compareWants(a, b layout.Want) int {
	return cmp.Or(
		cmp.Compare(a.Path, b.Path),
		cmp.Compare(a.Endpoint, b.Endpoint),
		cmp.Compare(a.Verb, b.Verb),
		cmp.Compare(a.SNI, b.SNI),
		cmp.Compare(a.PID, b.PID),
		cmp.Compare(a.Inside, b.Inside),
		cmp.Compare(a.Component, b.Component),
		cmp.Compare(a.Flag, b.Flag),
	)
}
