// SPDX-License-Identifier: Apache-2.0

package page

import "time"

// Live is what a page that is served says beyond its timelines. Strings may hold
// anything.
type Live struct {
	Version string        // changes with what the page shows
	Every   time.Duration // between two looks
	Failed  string        // why the last look failed; empty where it did not
	// Silences say what of the following could not be read, and why.
	Silences []string
	History  []Change
	Agent    *Agent // nil where none looks at this node
}

// Change is a plan of the journal.
type Change struct {
	ID    string
	Begun time.Time
	What  []string // its steps
	State string   // what became of it
}

// Agent is what the agent of this node says of itself.
type Agent struct {
	Says   string // whether it is alive, and what it does
	Stops  string // why it changes nothing any more; empty where it does
	Doing  string
	Next   []Next
	Person []Person
}

// Next is something that the agent is going to do.
type Next struct {
	What, ID string
	At       time.Time // zero: not by itself
	End      time.Time
	Why      string // why not now
}

// Person is something that needs one.
type Person struct{ What, ID, Why, Do string }

// State is the answer to whoever asks whether there is a newer page: small, and
// without anything that was read from a machine but an error's text.
type State struct {
	Version string    `json:"version"`
	Seen    time.Time `json:"seen,omitzero"`    // when the facts of the page were seen
	Every   int       `json:"every"`            // seconds between two looks
	Failed  string    `json:"failed,omitempty"` // why the last look failed
}
