// SPDX-License-Identifier: Apache-2.0

// Package timeline puts findings on one line: merged, judged at one instant,
// sorted, with the headline, the worst verdict and the exit code.
//
// A Timeline is also the published JSON (docs/schema): fields may be added,
// meanings never change. One that was saved can be read and rendered again.
package timeline

import (
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
)

// Kind is the kind of the published JSON.
const Kind = "Timeline"

// Timeline is everything found, judged at At. Times are UTC and whole seconds;
// lists are never null.
type Timeline struct {
	APIVersion string         `json:"apiVersion"`
	Kind       string         `json:"kind"`
	Cluster    fact.Text      `json:"cluster,omitempty"`
	ObservedAt time.Time      `json:"observedAt,omitzero"` // when the facts were seen, by the looker's clock
	At         time.Time      `json:"at"`                  // the instant of judgement
	Tool       string         `json:"tool,omitempty"`      // name and version of what made it
	Note       fact.Text      `json:"note,omitempty"`      // shown above every rendering
	Scope      Scope          `json:"scope"`
	Headline   string         `json:"headline"` // one or two sentences
	Verdict    policy.Verdict `json:"verdict"`  // the worst of what counts
	ExitCode   int            `json:"exitCode"`
	Reasons    []Reason       `json:"reasons"` // of the exit code, worst first
	Summary    Summary        `json:"summary"`
	Upgrade    *Upgrade       `json:"upgrade,omitempty"` // where one was asked about
	Items      []Item         `json:"items"`             // worst first, then by end, then by ID
	Unseen     []fact.Unseen  `json:"unseen"`
}

// Scope is what was looked at.
type Scope struct {
	Node          fact.Text `json:"node,omitempty"`          // the machine's name
	Root          string    `json:"root,omitempty"`          // the file system, "/" for the running machine
	KubernetesDir string    `json:"kubernetesDir,omitempty"` // as the node sees it
	Endpoints     []string  `json:"endpoints"`               // host:port, asked to be looked at from outside
	Documents     []string  `json:"documents,omitempty"`     // files and directories, as they were given; - for standard input
	Server        string    `json:"server,omitempty"`        // the URL of the API whose objects were looked at
	Counts        Counts    `json:"counts"`
}

// Counts says how much was looked at.
type Counts struct {
	Files        int `json:"files"`        // with credentials, that are there
	Certificates int `json:"certificates"` // different ones, in files and served
	Endpoints    int `json:"endpoints"`    // that answered
	Processes    int `json:"processes"`
	Documents    int `json:"documents,omitempty"` // of the Kubernetes API, in files
	Objects      int `json:"objects,omitempty"`   // of the cluster
	Unseen       int `json:"unseen"`              // could not be looked at
}

// Reason is one cause for an exit code. The first is the one that won.
type Reason struct {
	ExitCode int    `json:"exitCode"`
	Count    int    `json:"count"`
	Reason   string `json:"reason"`
}

// Summary counts the items, each once.
type Summary struct {
	Overdue  int `json:"overdue"`
	Unknown  int `json:"unknown"`
	Due      int `json:"due"`
	OK       int `json:"ok"`
	Accepted int `json:"accepted"`
	Notices  int `json:"notices"` // that do not count
}

// Item is one finding, judged.
type Item struct {
	ID      fact.ID        `json:"id"`
	Code    finding.Code   `json:"code"`
	Title   string         `json:"title"` // what happens, half a sentence
	Verdict policy.Verdict `json:"verdict"`
	// Counts says whether the verdict moves the timeline's: neither what is
	// accepted nor a notice does.
	Counts   bool               `json:"counts"`
	Because  string             `json:"because"` // why the verdict is this one, half a sentence
	Accepted *Accepted          `json:"accepted,omitempty"`
	End      End                `json:"end"`
	DueFrom  time.Time          `json:"dueFrom,omitzero"` // absent: always, or nothing says when
	Effect   string             `json:"effect,omitempty"` // who loses what, one sentence
	Reason   string             `json:"reason,omitempty"` // why it ends then, where that is not plain
	Keeper   finding.Keeper     `json:"keeper"`
	Class    finding.Class      `json:"class"`
	Evidence []finding.Evidence `json:"evidence"`
	Fix      string             `json:"fix,omitempty"` // a command, or a sentence

	// What an upgrade runs into has these as well.
	Impact    finding.Impact  `json:"impact,omitempty"`
	Object    *finding.Object `json:"object,omitempty"`
	File      string          `json:"file,omitempty"`
	Line      int             `json:"line,omitempty"`
	RemovedIn string          `json:"removedIn,omitempty"` // a minor
	Rule      *finding.Rule   `json:"rule,omitempty"`
}

// Accepted is the decision to live with an item until a date.
type Accepted struct {
	Reason fact.Text `json:"reason"`
	Until  time.Time `json:"until"`
}

// End is when an item bites: at a date, at a Kubernetes version (with an
// estimated date beside it, where there is one), or now. Empty where nothing
// stops working.
type End struct {
	Date    time.Time     `json:"date,omitzero"`
	Version string        `json:"version,omitempty"`
	Now     bool          `json:"now,omitempty"`
	Basis   finding.Basis `json:"basis,omitempty"`
}

// None says that nothing ends: a weakness stays one until it is mended.
func (e End) None() bool { return !e.Now && e.Date.IsZero() && e.Version == "" }

// Notice says that the item is worth knowing and nothing more.
func (i Item) Notice() bool { return !i.Counts && i.Accepted == nil }

// State is the verdict, or why it does not count: accepted or notice.
func (i Item) State() string {
	switch {
	case i.Accepted != nil:
		return "accepted"
	case i.Notice():
		return "notice"
	}
	return string(i.Verdict)
}
