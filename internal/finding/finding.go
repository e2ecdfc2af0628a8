// SPDX-License-Identifier: Apache-2.0

// Package finding is what follows from facts: something that ends, is broken
// or is weak, with its evidence, who is expected to mend it, and how.
//
// A finding does not know today's date. Whether it is due is judged later, by
// a policy, at an instant (package timeline).
package finding

import (
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Code names a kind of finding. Codes are CamelCase and stable for ever; the
// table Codes explains each.
type Code string

// Finding is one thing that will stop working, is broken now, or is weak.
type Finding struct {
	Code     Code
	ID       fact.ID
	End      End
	Effect   string   // who loses what, one sentence
	Reason   string   // why it ends then, where that is not plain; one sentence
	Keeper   Keeper   // who is expected to take it away in time
	Class    Class    // when it counts as late for its keeper
	Life     Life     // the span that thresholds are a part of; zero where there is none
	Evidence Evidence // what was seen
	Fix      string   // a command, or a sentence where no command does it
	// SafeStart is the last instant at which taking it away can begin and
	// still be done before the end; zero where nobody has computed one.
	SafeStart time.Time

	// What an upgrade runs into has these as well.
	Impact    Impact  // what it does to the upgrade; empty where it is none of its matters
	Object    *Object // the object it is about
	File      string  // the document's path, as it was given
	Line      int     // in it, from 1
	RemovedIn string  // the minor that no longer has it, "1.37"; empty where that is not known
	Rule      *Rule   // the row of the knowledge that it follows from
}

// Object names an object of the Kubernetes API.
type Object struct {
	APIVersion fact.Text `json:"apiVersion"`
	Kind       fact.Text `json:"kind"`
	Namespace  fact.Text `json:"namespace,omitempty"`
	Name       fact.Text `json:"name,omitempty"`
}

// Rule says where the knowledge behind a finding comes from.
type Rule struct {
	Origin   Basis  `json:"origin"`   // measured or planned
	Citation string `json:"citation"` // module@version:path or repository@commit:path
}

// Impact is what a finding does to the hop of an upgrade that reaches its end.
type Impact string

// The impacts, worst first.
const (
	Blocks  Impact = "blocks"  // a component does not start, or the upgrade is refused
	Breaks  Impact = "breaks"  // something that works now no longer does
	Changes Impact = "changes" // it works, and otherwise than before
	Hint    Impact = "notice"  // nothing yet; worth knowing on the way
)

// Life is the span from which the thresholds of a renewal are counted.
type Life struct {
	Start, End time.Time
}

// End is when a finding bites: at a date, at a Kubernetes version, or now.
// Exactly one of Date (non-zero), Version (non-empty) and Now is the end;
// a version's estimated date may stand beside it.
type End struct {
	Date    time.Time
	Version string // a minor, "1.37"
	Now     bool
	Basis   Basis
}

// At is the end at a measured date.
func At(date time.Time) End { return End{Date: date, Basis: Measured} }

// Now is the end of what is broken already.
func Now() End { return End{Now: true, Basis: Measured} }

// Basis says how well an end is known.
type Basis string

// The bases.
const (
	Measured  Basis = "measured"  // read from the thing itself, or from released code
	Planned   Basis = "planned"   // upstream says it will be
	Estimated Basis = "estimated" // computed from a rule
)

// Keeper is who is expected to take the deadline away in time.
type Keeper string

// The keepers.
const (
	KeeperPerson  Keeper = "person"     // nobody does it unasked
	KeeperKubelet Keeper = "kubelet"    // the kubelet renews its own
	KeeperRestart Keeper = "restart"    // ends with the process; a restart makes a new one
	KeeperOwner   Keeper = "owner"      // a decision of the cluster's owner, such as an upgrade
	KeeperUnknown Keeper = "unknown"    // whose it is cannot be seen from here
	KeeperNode    Keeper = "other-node" // belongs to another node's check
)

// Class decides when a finding with a date counts as due; policy holds the
// numbers.
type Class string

// The classes.
const (
	Renewed     Class = "renewed"      // somebody renews it: due in the last third of its life or the last 90 days, whichever is less
	SelfRenewed Class = "self-renewed" // renews itself: due only when that is late
	TrustAnchor Class = "trust-anchor" // a CA: due a year before its end
	Fault       Class = "fault"        // broken now, or at its date: never early
	Lingering   Class = "lingering"    // replaced, but still in use: due at once, overdue at its date, where that is known
	Weakness    Class = "weakness"     // nothing stops working: due, never overdue
	Notice      Class = "notice"       // worth knowing; never moves the exit code
)

// Grade says how well it is known which identity a process uses.
type Grade string

// The grades.
const (
	Seen     Grade = "seen"     // looked at
	ByRule   Grade = "by-rule"  // follows from how this component reloads
	Unproven Grade = "unproven" // neither
)
