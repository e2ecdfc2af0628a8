// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

// Node is the machine as the loop sees it. Its methods are called by one
// goroutine, one at a time.
type Node interface {
	// Settings reads the settings anew. Where there is no file they are the
	// defaults, and that is no error.
	Settings(context.Context) (Settings, error)
	// Look looks and judges. An error is a look that did not take place; what
	// could not be seen is in the timeline.
	Look(context.Context, policy.Policy) (Look, error)
	// Past is what the journal tells. An error is a journal that cannot be used
	// (*journal.DamagedError, *journal.NewerError), or cannot be read.
	Past(context.Context) (Past, error)
	// Plan makes the plan of a piece of work from a look, with the decision how
	// the API server is replaced where it is. It changes nothing. A plan without
	// steps is an answer, too: its notes say why.
	Plan(context.Context, Look, Work) (plan.Plan, error)
	// Do does a plan, and has the machine's lock meanwhile. What it refuses before
	// anything is begun has no outcome, or a failed one without steps:
	// *host.HeldError where another program has the lock, execute.ErrClock,
	// execute.ErrChanged, no room, no rights.
	Do(context.Context, plan.Plan, func(execute.Event)) (execute.Outcome, error)
	// Finish finishes a plan that was cut off, and refuses as Do does. The journal
	// was read without the lock: of a plan that has ended meanwhile it returns the
	// outcome that the journal tells.
	Finish(context.Context, journal.Plan, func(execute.Event)) (execute.Outcome, error)
	State
}

// State is where the agent keeps what outlives it: small files, named without a
// directory.
type State interface {
	// Load reads a file; fs.ErrNotExist where there is none.
	Load(name string) ([]byte, error)
	// Save replaces a file, whole or not at all.
	Save(name string, data []byte) error
	// Remove removes a file. One that is not there is no error.
	Remove(name string) error
}

// Look is what was seen, and judged. The loop keeps nothing of it but the
// timeline.
type Look struct {
	Node     string // the node's name, as it stands in IDs
	Seen     plan.Seen
	Timeline timeline.Timeline
	// Means are how this node can take away what is found, by the ID of a
	// credential or of a component (node/kube-apiserver).
	Means map[fact.ID]Means
	// AtWork is set where another program renews or changes the control plane now.
	AtWork error
	// Sources served the look and did not fail.
	Sources []string
}

// Past is what the journal tells of changes.
type Past struct {
	// Began is when the agent's own plans began, those that did nothing left out.
	Began []time.Time
	// Unfinished are the plans that were cut off, in their order.
	Unfinished []Cut
	// Failed is the agent's last plan, where it ended otherwise than done and no
	// person has done anything about it since; nil: it is not so.
	Failed *Failed
}

// Failed is a plan that ended otherwise than done.
type Failed struct {
	Plan   string // its ID in the journal
	Result journal.Result
	Ended  time.Time
}

// Cut is a plan that has begun and not ended.
type Cut struct {
	Plan journal.Plan
	Own  bool // the agent began it
}

// Work is what one plan is to do: renew credentials, or restart a component.
type Work struct {
	Renew   []fact.ID
	Restart string // the component; empty where something is renewed
	// InPlace: the API server may be restarted without a standby, and the API be
	// away meanwhile.
	InPlace bool
	// Until is when the window closes in which alone that is so; zero: at any time.
	Until time.Time
}

// Publisher is told what is to be seen from outside.
type Publisher interface {
	// Looked takes in what a look found, and the sources that served it.
	Looked(line timeline.Timeline, sources []string)
	// Took says how long the look took.
	Took(time.Duration)
	// Changed counts a step by its verb and outcome.
	Changed(verb, outcome string)
	// Stopped says whether nothing is changed any more until a person has looked.
	Stopped(stopped bool)
	// PersonNeeded is for what a person is needed now, by code: all of it.
	PersonNeeded(codes map[fact.ID][]string)
	// Planned says what is done next by itself, and when: all of it.
	Planned(next map[fact.ID]time.Time)
	// SettingsValid says whether the settings could be read; Acts, whether those in
	// force let it change what is due.
	SettingsValid(valid bool)
	Acts(acts bool)
	// Every is the time between two looks.
	Every(time.Duration)
}

// Agent is the loop with what it works with. Start it with Run or Once, one at a
// time; Live and Ready may be asked meanwhile.
type Agent struct {
	Node    Node
	Publish Publisher
	Log     *slog.Logger
	Version string // the program's own
	// Wake is received from when something outside has changed, such as the
	// settings: a look follows at once. It may be nil.
	Wake <-chan struct{}
	// After is called when a look was judged and all of it published, to keep files
	// up to date such as the calendar. It may be nil.
	After func(policy.Agent, timeline.Timeline) error
	// Now is the clock on the wall; nil: time.Now.
	Now func() time.Time
	// SinceBoot is a stopwatch that outlives the program; nil: host.SinceBoot.
	SinceBoot func() (boot string, since time.Duration, err error)
	// Poll is how often is looked for an answer of a person (an approval, that the
	// line may go on, other settings) between two looks; 0: DefaultPoll.
	Poll time.Duration
	// Settle is the longest time for which a clock that was set is not believed:
	// for as long as it was set by, by a stopwatch, and not longer than this. 0:
	// DefaultSettle.
	Settle time.Duration

	memory memory
	health health
	mu     sync.Mutex // of health
}

// The defaults.
const (
	DefaultPoll   = 15 * time.Second
	DefaultSettle = 24 * time.Hour
)
