// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"encoding/json"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Entry is a record with its place in the journal and its time.
type Entry struct {
	Seq    int // from 1, without a hole; given anew when the journal is pruned
	At     time.Time
	Record Record

	line line // as it is, so that pruning changes nothing of what it keeps
}

// Record is one of Begin, Intent, Outcome, End and Note.
type Record interface{ kind() kind }

type kind string

const (
	kindBegin   kind = "begin"
	kindIntent  kind = "intent"
	kindOutcome kind = "outcome"
	kindEnd     kind = "end"
	kindNote    kind = "note"
)

// Begin opens a plan. It holds the plan whole, so that a run that was cut off
// can be finished by a program that knows nothing else.
type Begin struct {
	Plan    string          `json:"plan"`             // its ID, used once in a journal
	Content json.RawMessage `json:"content"`          // the plan as JSON
	Undoes  string          `json:"undoes,omitempty"` // the plan that this one takes back
}

// Intent says what a step is about to do. It is durable before anything is
// done.
type Intent struct {
	Plan  string `json:"plan"`
	Step  int    `json:"step"` // from 1
	Files []File `json:"files,omitempty"`
}

// File is a file that a step is about to change, and what takes it back.
// Digests are "sha256:<hex>", or empty where there is no file.
type File struct {
	Path   string `json:"path"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	Backup string `json:"backup,omitempty"` // path of the copy
	Staged string `json:"staged,omitempty"` // path of what takes its place
	// Access before the step; without meaning where Before is empty.
	Mode uint32 `json:"mode"` // permission bits
	UID  int    `json:"uid"`
	GID  int    `json:"gid"`
}

// Result is what became of a step or of a plan.
type Result string

// The results.
const (
	Done    Result = "done"    // and proven
	Failed  Result = "failed"  // what was changed stays as the outcome's proof says
	Undone  Result = "undone"  // all is as it was before
	Skipped Result = "skipped" // nothing was done
)

func (r Result) known() bool {
	return r == Done || r == Failed || r == Undone || r == Skipped
}

// Outcome says what became of a step.
type Outcome struct {
	Plan   string    `json:"plan"`
	Step   int       `json:"step"`
	Result Result    `json:"result"`
	Proof  fact.Text `json:"proof,omitempty"` // what was seen afterwards
}

// End closes a plan.
type End struct {
	Plan   string `json:"plan"`
	Result Result `json:"result"`
}

// Note is something that a reader of the history should know.
type Note struct {
	Plan string    `json:"plan,omitempty"` // empty: of no plan
	Text fact.Text `json:"text"`
}

func (Begin) kind() kind   { return kindBegin }
func (Intent) kind() kind  { return kindIntent }
func (Outcome) kind() kind { return kindOutcome }
func (End) kind() kind     { return kindEnd }
func (Note) kind() kind    { return kindNote }

// parse reads a record of this kind; nil is a kind that is not known.
func (k kind) parse(raw []byte) (Record, error) {
	switch k {
	case kindBegin:
		return parsed[Begin](raw)
	case kindIntent:
		return parsed[Intent](raw)
	case kindOutcome:
		return parsed[Outcome](raw)
	case kindEnd:
		return parsed[End](raw)
	case kindNote:
		return parsed[Note](raw)
	}
	return nil, nil
}

func parsed[R Record](raw []byte) (Record, error) {
	var r R
	err := json.Unmarshal(raw, &r)
	return r, err
}
