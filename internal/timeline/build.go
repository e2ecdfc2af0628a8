// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
)

// Envelope is what is known about the look itself.
type Envelope struct {
	Cluster    fact.Text
	ObservedAt time.Time // the looker's clock; zero where it is not known
	Tool       string    // name and version of this program
	Note       fact.Text // of a record, such as that it is another machine's
	Scope      Scope
	Upgrade    *Way // the upgrade that is asked about; nil for none
}

// Build merges findings that several looks have of the same thing, judges them
// at an instant and sorts them. Equal input gives equal output, in whatever
// order it comes.
func Build(fs []finding.Finding, us []fact.Unseen, p policy.Policy, now time.Time, env Envelope) Timeline {
	now = instant(now)
	t := Timeline{
		APIVersion: finding.APIVersion,
		Kind:       Kind,
		Cluster:    env.Cluster,
		ObservedAt: instant(env.ObservedAt),
		At:         now,
		Tool:       env.Tool,
		Note:       env.Note,
		Scope:      env.Scope,
		Items:      []Item{},
		Unseen:     distinct(us),
	}
	t.Scope.Endpoints = append([]string{}, t.Scope.Endpoints...)
	t.Scope.Counts.Unseen = len(t.Unseen)
	if env.Upgrade != nil {
		fs, p.To = env.Upgrade.dated(fs), env.Upgrade.To
	}
	for _, m := range merge(fs) {
		t.Items = append(t.Items, judge(m, p, now))
	}
	slices.SortFunc(t.Items, worstFirst)
	if env.Upgrade != nil {
		t.Upgrade = env.Upgrade.summary(t.Items)
	}
	t.Summary = summarize(t.Items)
	t.Reasons = reasons(t)
	t.ExitCode = ExitCode(t)
	t.Verdict = worst(t)
	t.Headline = headline(t)
	return t
}

// merged is what several looks found of the same thing.
type merged struct {
	finding.Finding
	evidence []finding.Evidence
}

// merge joins equal (ID, code, place): the earliest end wins, all evidence stays.
func merge(fs []finding.Finding) []merged {
	type key struct {
		id   fact.ID
		code finding.Code
		file string // one object may stand in many documents
		line int
	}
	groups := map[key][]finding.Finding{}
	for _, f := range fs {
		k := key{f.ID, f.Code, f.File, f.Line}
		groups[k] = append(groups[k], f)
	}
	all := make([]merged, 0, len(groups))
	for _, group := range groups {
		all = append(all, join(group))
	}
	return all
}

func join(group []finding.Finding) merged {
	if len(group) == 1 {
		return merged{group[0], []finding.Evidence{group[0].Evidence}}
	}
	// The rest of the order only makes the outcome independent of the order
	// in which the looks came back.
	slices.SortStableFunc(group, func(a, b finding.Finding) int {
		return cmp.Or(
			endOf(a.End).compare(endOf(b.End)),
			strings.Compare(text(a.Evidence), text(b.Evidence)),
			strings.Compare(a.Fix+a.Effect, b.Fix+b.Effect))
	})
	m := merged{Finding: group[0]}
	seen := map[string]bool{}
	for _, f := range group {
		if body := text(f.Evidence); !seen[body] {
			seen[body] = true
			m.evidence = append(m.evidence, f.Evidence)
		}
	}
	return m
}

// text is evidence as something that can be compared.
func text(e finding.Evidence) string {
	body, err := json.Marshal(e)
	if err != nil { // a date beyond the year 9999
		return fmt.Sprintf("%+v", e)
	}
	return string(body)
}

func judge(m merged, p policy.Policy, now time.Time) Item {
	j := p.Judge(m.Finding, now)
	item := Item{
		ID:      m.ID,
		Code:    m.Code,
		Verdict: j.Verdict,
		Counts:  j.Counts,
		Because: j.Reason,
		End:     endOf(m.End),
		DueFrom: instant(j.From),
		Effect:  m.Effect,
		Reason:  m.Reason,
		Keeper:  j.Keeper,
		Class:   j.Class,
		Fix:     m.Fix,

		Impact: m.Impact, Object: m.Object, File: m.File, Line: m.Line, RemovedIn: m.RemovedIn, Rule: m.Rule,
	}
	if j.Accepted != nil {
		item.Accepted = &Accepted{Reason: fact.Text(j.Accepted.Reason), Until: instant(j.Accepted.Until)}
	}
	for _, e := range m.evidence {
		item.Evidence = append(item.Evidence, published(e))
	}
	item.Title = title(item, now)
	return item
}

func endOf(e finding.End) End {
	return End{Date: instant(e.Date), Version: e.Version, Now: e.Now, Basis: e.Basis}
}

// compare puts what is broken now before all dates, and these before what has
// no date.
func (e End) compare(o End) int {
	rank := func(e End) int {
		switch {
		case e.Now:
			return 0
		case !e.Date.IsZero():
			return 1
		case e.Version != "":
			return 2
		}
		return 3
	}
	return cmp.Or(
		cmp.Compare(rank(e), rank(o)),
		e.Date.Compare(o.Date),
		cmp.Compare(len(e.Version), len(o.Version)), // 1.9 before 1.10
		strings.Compare(e.Version, o.Version))
}

func worstFirst(a, b Item) int {
	return cmp.Or(
		cmp.Compare(a.rank(), b.rank()),
		a.End.compare(b.End),
		strings.Compare(string(a.ID), string(b.ID)),
		strings.Compare(string(a.Code), string(b.Code)),
		strings.Compare(a.File, b.File),
		cmp.Compare(a.Line, b.Line))
}

// rank is the order of groups: what counts and is not ok, then what would be
// but does not count, then what is ok.
func (i Item) rank() int {
	switch {
	case i.Verdict == policy.OK:
		return 4
	case !i.Counts:
		return 3
	case i.Verdict == policy.Overdue:
		return 0
	case i.Verdict == policy.Due:
		return 1
	}
	return 2
}

func summarize(items []Item) Summary {
	var s Summary
	for _, i := range items {
		switch {
		case i.Accepted != nil:
			s.Accepted++
		case !i.Counts:
			s.Notices++
		case i.Verdict == policy.Overdue:
			s.Overdue++
		case i.Verdict == policy.Due:
			s.Due++
		case i.Verdict == policy.OK:
			s.OK++
		default:
			s.Unknown++
		}
	}
	return s
}

// reasons are the causes of the exit code, worst first.
func reasons(t Timeline) []Reason {
	out := []Reason{}
	add := func(code, n int, what string, v policy.Verdict) {
		if n == 0 {
			return
		}
		r := Reason{ExitCode: code, Count: n, Reason: fmt.Sprintf("%d %s", n, what)}
		if i := slices.IndexFunc(t.Items, func(i Item) bool { return i.Counts && i.Verdict == v }); i >= 0 {
			r.Reason += fmt.Sprintf(", first %s (%s)", t.Items[i].ID, t.Items[i].Code)
		}
		out = append(out, r)
	}
	add(ExitOverdue, t.Summary.Overdue, "overdue or broken now", policy.Overdue)
	add(ExitUnseen, len(t.Unseen), "could not be looked at", "")
	add(ExitUnseen, t.Summary.Unknown, "could not be judged", policy.Unknown)
	add(ExitDue, t.Summary.Due, "due", policy.Due)
	return out
}

func worst(t Timeline) policy.Verdict {
	switch t.ExitCode {
	case ExitOverdue:
		return policy.Overdue
	case ExitUnseen:
		return policy.Unknown
	case ExitDue:
		return policy.Due
	}
	return policy.OK
}

func distinct(us []fact.Unseen) []fact.Unseen {
	out := append([]fact.Unseen{}, us...)
	slices.SortFunc(out, func(a, b fact.Unseen) int {
		return cmp.Or(
			strings.Compare(a.Source, b.Source),
			strings.Compare(string(a.What), string(b.What)),
			strings.Compare(string(a.Why), string(b.Why)),
			strings.Compare(string(a.Detail), string(b.Detail)),
			strings.Compare(string(a.Hint), string(b.Hint)))
	})
	return slices.Compact(out)
}

// published is evidence with times as the JSON has them.
func published(e finding.Evidence) finding.Evidence {
	if e.Certificate != nil {
		c := *e.Certificate
		c.NotBefore, c.NotAfter = instant(c.NotBefore), instant(c.NotAfter)
		e.Certificate = &c
	}
	e.Served = slices.Clone(e.Served)
	for i := range e.Served {
		e.Served[i].NotAfter = instant(e.Served[i].NotAfter)
	}
	e.Identity = slices.Clone(e.Identity)
	for i := range e.Identity {
		e.Identity[i].By = instant(e.Identity[i].By)
	}
	return e
}

// instant is a time as the JSON has it. RFC 3339 knows the years 0 to 9999
// only, and what was read may hold any.
func instant(t time.Time) time.Time {
	t = t.UTC().Truncate(time.Second)
	switch {
	case t.Year() < 0:
		return time.Time{}
	case t.Year() > 9999:
		return time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	}
	return t
}
