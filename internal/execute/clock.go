// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"perennial.dev/perennial/internal/plan"
)

// ErrClock says that the clock cannot be right.
var ErrClock = errors.New("the clock cannot be right")

// Tolerated is by how much a clock may be corrected without a word.
const Tolerated = 5 * time.Minute

// dated says whether a step depends on what time it is: what it issues begins
// now, and what it restores must not have ended. Only a clock that is behind
// can be found out; nothing on a machine tells that it is ahead. An object of the
// API has no date.
func dated(s plan.Step) bool { return s.Verb != plan.Restart && s.Bridge == nil && s.Object == nil }

// clock refuses to go on by a clock that something is dated later than.
func (r *Runner) clock(ctx context.Context) error {
	if r.AnyClock {
		return nil
	}
	if now := r.Now(); r.Newest.Sub(now) > Tolerated {
		return fmt.Errorf("%w: it says %s; the journal was last written at %s", ErrClock, now.UTC().Format(time.RFC3339), r.Newest.UTC().Format(time.RFC3339))
	}
	seen, err := r.Eyes.Look(ctx)
	if err != nil {
		return err
	}
	r.last = &seen
	if why, suspect := plan.SuspectClock(seen); suspect {
		return fmt.Errorf("%w: %s", ErrClock, why)
	}
	return nil
}
