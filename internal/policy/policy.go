// SPDX-License-Identifier: Apache-2.0

// Package policy says when a finding is due: how long before its end it is
// late for its keeper, what its owner has decided to live with, and who keeps
// what. It is a pure function over plain values that returns its reasons.
package policy

import (
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
)

// Policy holds the numbers. The zero value is not useful; start from Default
// or Parse.
type Policy struct {
	Renewed     Renewed
	SelfRenewed SelfRenewed
	// TrustAnchor is how long before its end a CA is due.
	TrustAnchor time.Duration
	Support     Support
	Accepted    []Acceptance
	Keepers     []KeeperRule
	// Copies are paths of kubeconfigs that may be copies of a node's.
	Copies []string
	Agent  Agent
	// To is the minor that an upgrade leads to: what ends with it, or with one
	// before it, is due. Zero where nobody asks about an upgrade.
	To release.Minor
}

// Renewed is the threshold of what somebody renews: due when Left of its life
// or AtMost is left, whichever is less.
type Renewed struct {
	Left   Part
	AtMost time.Duration
}

// SelfRenewed is the threshold of what renews itself: due only when Gone of
// its life and Slack on top have passed.
type SelfRenewed struct {
	Gone  Part
	Slack Part
}

// Support says whether the end of a release's support counts. Upgrading, and
// when, is the owner's choice, so by default it does not.
type Support struct {
	Counts bool
	// Before is how long before its end it is due; zero means from the last
	// day on which upgrading can safely begin.
	Before time.Duration
}

// Acceptance is a finding that its owner has decided to live with until a
// date. After it, the finding counts again.
type Acceptance struct {
	Code   finding.Code
	ID     string // exact, or a pattern in which * stands for any characters
	Reason string
	Until  time.Time
}

// KeeperRule says who keeps what matches ID, where the tool's own view is
// wrong. The first rule that matches wins.
type KeeperRule struct {
	ID     string // exact, or a pattern in which * stands for any characters
	Keeper finding.Keeper
	// Class replaces the class of what has a date that a keeper can take
	// away; empty leaves it as it is.
	Class finding.Class
}

// Default is the policy without a configuration file.
func Default() Policy {
	return Policy{
		Renewed:     Renewed{Left: Part{1, 3}, AtMost: 90 * day},
		SelfRenewed: SelfRenewed{Gone: Part{9, 10}, Slack: Part{1, 40}},
		TrustAnchor: 365 * day,
		Agent:       DefaultAgent(),
	}
}

const day = 24 * time.Hour

// Verdict is the answer at one instant.
type Verdict string

// The verdicts.
const (
	OK      Verdict = "ok"      // not yet due
	Due     Verdict = "due"     // late for its keeper, or a weakness
	Overdue Verdict = "overdue" // its end has passed, or it is broken now
	Unknown Verdict = "unknown" // there is no end to judge by
)

// Verdicts is the closed set, in the order in which one outweighs another.
// What could not be seen outweighs what is merely due: its end may be the
// nearer one.
var Verdicts = []Verdict{Overdue, Unknown, Due, OK}

// Judgement is a verdict with what led to it.
type Judgement struct {
	Verdict Verdict
	// Counts says whether the verdict moves the exit code: what is accepted
	// does not, nor does a notice.
	Counts   bool
	From     time.Time   // when it is due; zero for always, or where nothing says when
	Reason   string      // why the verdict is this one: half a sentence, lower case
	Accepted *Acceptance // the acceptance in force
	Keeper   finding.Keeper
	Class    finding.Class
}

// Due is the instant from which a finding is due. A zero instant with ok true
// means that it always is; ok is false where nothing says when.
func (p Policy) Due(f finding.Finding) (from time.Time, ok bool) {
	t := p.threshold(p.kept(f))
	return t.from, t.known
}

// Judge judges a finding at an instant.
func (p Policy) Judge(f finding.Finding, now time.Time) Judgement {
	f = p.kept(f)
	t := p.threshold(f)
	j := Judgement{
		Keeper: f.Keeper,
		Class:  f.Class,
		From:   t.from,
		Counts: counts(f) || p.supportCounts(f),
	}
	j.Verdict, j.Reason = t.verdict(f, now, j.Counts)
	for _, a := range p.Accepted {
		if a.Code != f.Code || !matches(a.ID, string(f.ID)) {
			continue
		}
		if now.Before(a.Until) {
			j.Accepted, j.Counts = &a, false
			return j
		}
		j.Reason += "; it was accepted until " + a.until()
		return j
	}
	return j
}

// kept applies the keeper rules.
func (p Policy) kept(f finding.Finding) finding.Finding {
	for _, r := range p.Keepers {
		if !matches(r.ID, string(f.ID)) {
			continue
		}
		f.Keeper = r.Keeper
		if r.Class != "" && renewable(f.Class) {
			f.Class = r.Class
		}
		return f
	}
	return f
}

// renewable says whether a class is about a date that a keeper can take away.
func renewable(c finding.Class) bool {
	return c == finding.Renewed || c == finding.SelfRenewed || c == finding.TrustAnchor
}

// counts says whether a finding moves the exit code unless its owner decides
// otherwise: what an upgrade merely changes does not.
func counts(f finding.Finding) bool {
	return f.Class != finding.Notice && f.Impact != finding.Changes && f.Impact != finding.Hint
}

func (p Policy) supportCounts(f finding.Finding) bool {
	return f.Code == finding.SupportEnds && p.Support.Counts
}

// matches reports whether s is the pattern, in which * stands for any run of
// characters, slashes included.
func matches(pattern, s string) bool {
	star, mark := -1, 0
	i, j := 0, 0
	for j < len(s) {
		switch {
		case i < len(pattern) && pattern[i] == '*':
			star, mark = i, j
			i++
		case i < len(pattern) && pattern[i] == s[j]:
			i, j = i+1, j+1
		case star >= 0:
			mark++
			i, j = star+1, mark
		default:
			return false
		}
	}
	for i < len(pattern) && pattern[i] == '*' {
		i++
	}
	return i == len(pattern)
}
