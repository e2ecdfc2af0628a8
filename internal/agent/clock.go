// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"fmt"
	"log/slog"
	"time"

	"perennial.dev/perennial/internal/execute"
)

// clock compares the clock on the wall with a stopwatch.
type clock struct {
	wall  time.Time // without a stopwatch's reading
	watch time.Time
	until time.Time // by the stopwatch, until when the wall is not believed
	why   string
}

// startClock begins to compare, with the last that an earlier run has written.
func (a *Agent) startClock(before time.Time) {
	c := &a.memory.clock
	*c = clock{wall: a.now().Round(0), watch: time.Now()}
	if back := before.Sub(c.wall); !before.IsZero() && back > execute.Tolerated {
		a.distrust(-back)
	}
}

// watchClock finds out whether the clock was set since the last look. Nothing on a
// machine tells a clock that is ahead from one that was behind; so what was set is
// believed when it has run for as long as it was set by, or for a day.
func (a *Agent) watchClock() {
	c := &a.memory.clock
	wall, watch := a.now().Round(0), time.Now()
	by := wall.Sub(c.wall) - watch.Sub(c.watch)
	c.wall, c.watch = wall, watch
	if by.Abs() > execute.Tolerated {
		a.distrust(by)
	}
	if !c.until.IsZero() && !watch.Before(c.until) {
		c.until, c.why = time.Time{}, ""
		a.say(slog.LevelWarn, "the clock was set", "", "")
	}
}

func (a *Agent) distrust(by time.Duration) {
	c := &a.memory.clock
	most := a.Settle
	if most == 0 {
		most = DefaultSettle
	}
	a.memory.refusals = map[string]Refusal{} // their dates are those of another clock
	hold := min(by.Abs(), most)
	c.until = c.watch.Add(hold)
	c.why = fmt.Sprintf("the clock was set by %s, or the machine slept; by it, nothing is changed for %s", by.Round(time.Second), hold.Round(time.Second))
	a.say(slog.LevelWarn, "the clock was set", "", c.why)
}
