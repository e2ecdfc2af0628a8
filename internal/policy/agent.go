// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/schedule"
)

// Agent is what the agent may do on its node when nobody watches.
type Agent struct {
	// Act: it changes what is due. Without it, it looks and tells.
	Act bool
	// Every is the time between two looks.
	Every time.Duration
	// When changes are made.
	When    schedule.Rules
	Restart Restarts
	// Leave are the IDs, or patterns in which * stands for any characters, of
	// what it does not touch.
	Leave []string
	// Listen is the loopback address (host:port) of the metrics and the health
	// checks; empty: none.
	Listen string
	// Textfile and Calendar are paths of files that are kept up to date: metrics
	// for the node exporter, and the deadlines as a calendar. Empty: none.
	Textfile, Calendar string
}

// Restarts say what may be restarted.
type Restarts struct {
	APIServer Restart // Handover, InWindow or Never
	Others    Restart // Always, InWindow or Never: the controller manager, the scheduler and what else takes up a new certificate by a restart only
}

// Restart is when something may be restarted.
type Restart string

// The permissions.
const (
	Always   Restart = "always"
	Handover Restart = "handover" // the API server, with a standby that serves meanwhile
	InWindow Restart = "window"   // also in place, while a maintenance window is open
	Never    Restart = "never"
)

// DefaultAgent only looks. When it is told to act, it does without an outage
// what can be done so, and leaves the rest to a person.
func DefaultAgent() Agent {
	return Agent{
		Every:   5 * time.Minute,
		When:    schedule.Rules{Spread: 12 * time.Hour, Reserve: 3 * day, PerDay: 4},
		Restart: Restarts{APIServer: Handover, Others: Always},
		Listen:  "127.0.0.1:9464",
	}
}

// Leaves says whether the agent does not touch something.
func (a Agent) Leaves(id fact.ID) bool {
	for _, pattern := range a.Leave {
		if matches(pattern, string(id)) {
			return true
		}
	}
	return false
}
