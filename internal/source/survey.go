// SPDX-License-Identifier: Apache-2.0

package source

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
)

// Options are how a survey is made. The zero value takes every default.
type Options struct {
	Timeouts Timeouts
	Limits   Limits
	Sources  []Entry // All where it is nil
}

// maxRounds bounds how often what was found leads on. A node of kubeadm takes
// three: manifests and processes, files and ports, and what kubeconfigs name.
const maxRounds = 5

// Survey looks at everything that the scope leads to: it asks layout what to
// look at, lets the sources look, and asks again with what they found, until
// nothing new is asked for. Facts and Unseens come sorted, and without
// duplicates, so the same machine gives the same record.
//
// It does not fail: what could not be looked at is an Unseen, also when ctx
// ends. The layout's own Unseens are not in the record, since they follow from
// its facts; the layout returned holds them.
func Survey(ctx context.Context, scope fact.Scope, o Options) (fact.Record, layout.Layout) {
	s := newSurvey(scope, o)
	if s.scope.FS != nil {
		defer s.scope.FS.Close()
	}
	observed := time.Now().UTC().Round(0)
	l := s.rounds(ctx)
	record := fact.Record{
		Header: fact.Header{Record: fact.RecordVersion, Observed: observed, Scope: scope},
		Facts:  s.sortedFacts(),
		Unseen: s.sortedUnseen(),
	}
	return record, l
}

// survey is a survey under way. Only the goroutine of Survey touches it.
type survey struct {
	scope   Scope
	sources []Entry
	served  map[layout.Want]layout.Want // by what is looked at
	facts   map[identity]fact.Fact
	unseen  map[fact.Unseen]bool
	aside   []<-chan found // looks that no round waits for
}

func newSurvey(scope fact.Scope, o Options) *survey {
	s := &survey{
		scope:   Scope{Scope: scope, Timeouts: o.Timeouts, Limits: o.Limits},
		sources: o.Sources,
		served:  map[layout.Want]layout.Want{},
		facts:   map[identity]fact.Fact{},
		unseen:  map[fact.Unseen]bool{},
	}
	if s.sources == nil {
		s.sources = All()
	}
	if o.Timeouts == (Timeouts{}) {
		s.scope.Timeouts = DefaultTimeouts
	}
	if o.Limits == (Limits{}) {
		s.scope.Limits = DefaultLimits
	}
	if scope.Root == "" {
		return s
	}
	files, err := host.Open(scope.Root)
	if err != nil {
		u := fact.Unseen{Source: "files", What: fact.Text(scope.Root), Why: host.Why(err), Detail: cause(err)}
		s.unseen[u] = true
		return s
	}
	s.scope.FS = files
	return s
}

func (s *survey) rounds(ctx context.Context) layout.Layout {
	for round := 0; ; {
		l := layout.Discover(s.scope.Scope, s.sortedFacts())
		fresh := s.fresh(l.Wants)
		switch {
		case len(fresh) == 0 && len(s.aside) == 0:
			return l
		case len(fresh) == 0:
			s.await()
			continue
		case round == maxRounds:
			s.giveUp(fresh)
			s.await()
			return layout.Discover(s.scope.Scope, s.sortedFacts())
		}
		round++
		s.look(ctx, fresh)
	}
}

// fresh picks the wants that were not served, or served less strictly: a file
// that was only guessed or swept and that something turns out to name.
func (s *survey) fresh(wants []layout.Want) []layout.Want {
	merged := map[layout.Want]layout.Want{}
	for _, w := range wants {
		key := target(w)
		if m, ok := merged[key]; ok {
			w.Required, w.Sweep, w.Local = w.Required || m.Required, w.Sweep && m.Sweep, w.Local || m.Local
		}
		merged[key] = w
	}
	var out []layout.Want
	for key, w := range merged {
		old, ok := s.served[key]
		if !ok || w.Required && !old.Required || !w.Sweep && old.Sweep {
			s.served[key] = w
			out = append(out, w)
		}
	}
	slices.SortFunc(out, compareWants)
	return out
}

// target is what a want looks at, without how strictly.
func target(w layout.Want) layout.Want {
	w.Required, w.Sweep, w.Local = false, false, false
	return w
}

// look lets all sources look at once and waits for those that are not aside.
func (s *survey) look(ctx context.Context, wants []layout.Want) {
	var waited []<-chan found
	for _, e := range s.sources {
		scope := s.scope
		scope.Wants = slices.DeleteFunc(slices.Clone(wants), func(w layout.Want) bool { return !slices.Contains(e.Verbs, w.Verb) })
		if len(scope.Wants) == 0 {
			continue
		}
		done := make(chan found, 1)
		go func() { done <- lookSafely(ctx, e, scope) }()
		if e.Aside {
			s.aside = append(s.aside, done)
		} else {
			waited = append(waited, done)
		}
	}
	s.take(waited)
}

func (s *survey) await() {
	s.take(s.aside)
	s.aside = nil
}

func (s *survey) take(results []<-chan found) {
	for _, done := range results {
		got := <-done
		for _, f := range got.facts {
			if id := identify(f); s.facts[id] == nil {
				s.facts[id] = f
			}
		}
		for _, u := range got.unseen {
			s.unseen[u] = true
		}
	}
}

// lookSafely keeps a source's panic from taking down what the others saw.
func lookSafely(ctx context.Context, e Entry, scope Scope) (out found) {
	out.source = e.Name()
	defer func() {
		if v := recover(); v != nil {
			out.failAt(fact.Text("what "+e.Name()+" looks at"), fact.Failed, panicked(v), "")
		}
	}()
	e.Look(ctx, scope, out.add, func(u fact.Unseen) { out.unseen = append(out.unseen, u) })
	return out
}

func (s *survey) giveUp(wants []layout.Want) {
	for _, w := range wants {
		s.unseen[fact.Unseen{Source: s.sourceOf(w.Verb), What: subject(w), Why: fact.Unsupported,
			Detail: "too long a chain of files leads to it"}] = true
	}
}

func (s *survey) sourceOf(v layout.Verb) string {
	for _, e := range s.sources {
		if slices.Contains(e.Verbs, v) {
			return e.Name()
		}
	}
	return string(v)
}

func (s *survey) sortedFacts() []fact.Fact {
	ids := make([]identity, 0, len(s.facts))
	for id := range s.facts {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, identity.compare)
	out := make([]fact.Fact, len(ids))
	for i, id := range ids {
		out[i] = s.facts[id]
	}
	return out
}

func (s *survey) sortedUnseen() []fact.Unseen {
	out := make([]fact.Unseen, 0, len(s.unseen))
	for u := range s.unseen {
		out = append(out, u)
	}
	slices.SortFunc(out, func(a, b fact.Unseen) int {
		return cmp.Or(
			strings.Compare(a.Source, b.Source),
			cmp.Compare(a.What, b.What),
			cmp.Compare(a.Why, b.Why),
			cmp.Compare(a.Detail, b.Detail),
		)
	})
	return out
}
