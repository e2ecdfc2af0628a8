// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"log/slog"
	"time"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/plan"
)

// clock compares the clock on the wall with a stopwatch that one run leaves to the
// next, so that a clock that was set between two of them is found out, too.
type clock struct {
	Boot  string    `json:"boot"`      // ID of the machine's boot
	Since plan.Span `json:"sinceBoot"` // by the stopwatch
	Wall  time.Time `json:"wall"`      // what the clock on the wall showed then
	// Until is by the stopwatch, until when the wall is not believed, and Why says
	// why; zero: it is believed.
	Until plan.Span `json:"until,omitzero"`
	Why   string    `json:"why,omitempty"`
}

// wasSet is the matter of a clock that was set, as it is logged.
const wasSet = "the clock was set"

// stopwatch reads the time since the boot. Where the machine does not tell, it is that
// of this run alone, of no boot.
func (a *Agent) stopwatch() (boot string, since plan.Span) {
	read := a.SinceBoot
	if read == nil {
		read = host.SinceBoot
	}
	boot, d, err := read()
	if err != nil {
		return "", plan.Span{Duration: time.Since(a.memory.started)}
	}
	return boot, plan.Span{Duration: d}
}

// startClock begins to compare, with what an earlier run has written. Of another boot
// only a clock that went back is known to be set: nothing tells for how long the
// machine was off.
func (a *Agent) startClock(written time.Time) {
	before := clock{Wall: written}
	if _, err := load(a.Node, ClockFile, &before); err != nil {
		a.Log.Warn("starting without what was known of the clock", "why", err.Error())
		before = clock{Wall: written}
	}
	c := &a.memory.clock
	*c = clock{Wall: a.now().Round(0), Why: before.Why}
	c.Boot, c.Since = a.stopwatch()
	by := c.Wall.Sub(before.Wall)
	if before.Boot != "" && before.Boot == c.Boot {
		c.Until = before.Until
		by -= c.Since.Duration - before.Since.Duration
	} else {
		if left := before.Until.Duration - before.Since.Duration; left > 0 {
			c.Until.Duration = c.Since.Duration + left // what was left then
		}
		by = min(by, 0)
	}
	if c.Why != "" {
		a.memory.said[matter(wasSet, "")] = saying{c.Why, time.Now()}
	}
	if !before.Wall.IsZero() && by.Abs() > execute.Tolerated {
		a.distrust(by)
	}
}

// watchClock finds out whether the clock was set since the last look. Nothing on a
// machine tells a clock that is ahead from one that was behind; so what was set is
// believed when it has run for as long as it was set by, or for a day.
func (a *Agent) watchClock() {
	c := &a.memory.clock
	wall := a.now().Round(0)
	_, since := a.stopwatch()
	by := wall.Sub(c.Wall) - (since.Duration - c.Since.Duration)
	c.Wall, c.Since = wall, since
	if by.Abs() > execute.Tolerated {
		a.distrust(by)
	}
	if c.Why != "" && c.Since.Duration >= c.Until.Duration {
		c.Until, c.Why = plan.Span{}, ""
		a.say(slog.LevelWarn, wasSet, "", "")
	}
	// What cannot be written is told with the status, and found again by the next run.
	_ = save(a.Node, ClockFile, c)
}

func (a *Agent) distrust(by time.Duration) {
	c := &a.memory.clock
	most := a.Settle
	if most == 0 {
		most = DefaultSettle
	}
	a.memory.refusals = map[string]Refusal{} // their dates are those of another clock
	hold := min(by.Abs(), most)
	if until := c.Since.Duration + hold; until >= c.Until.Duration {
		c.Until.Duration = until
		c.Why = fmt.Sprintf("the clock was set by %s; nothing is changed until it has run for %s since", by.Round(time.Second), hold.Round(time.Second))
	}
	a.say(slog.LevelWarn, wasSet, "", c.Why)
}
