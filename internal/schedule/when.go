// SPDX-License-Identifier: Apache-2.0

package schedule

import (
	"fmt"
	"slices"
	"time"
)

// Rules say when what is due is done.
type Rules struct {
	Calendar
	// Spread is the time over which nodes with the same settings begin, after
	// something is due.
	Spread time.Duration
	// Reserve is kept before an end: what no window opens for until then is done
	// outside of them. Negative: never, whatever ends.
	Reserve time.Duration
	// PerDay is how many changes are made within 24 hours at most; 0: any number.
	// It holds outside windows, too: a change that has to be made again and again
	// is a fault, and not for this program to mend.
	PerDay int
}

// Task is something that is to be done.
type Task struct {
	ID   string
	From time.Time // it is due
	End  time.Time // it is too late; zero: nothing ends
}

// Turn is when a task is done.
type Turn struct {
	At time.Time
	// Because says why then and not before: half a sentence, empty where it is
	// as soon as it is due.
	Because string
	// Outside: no window is open.
	Outside bool
}

// When is the first instant, not before now, at which a task may be done on a
// node, given when changes were made before. Not ok, with the reason: never.
func (r Rules) When(node string, t Task, made []time.Time, now time.Time) (Turn, bool) {
	turn := Turn{At: t.From}
	if jitter := Jitter(node, t.ID, r.spread(t)); jitter > 0 {
		turn = Turn{At: t.From.Add(jitter), Because: fmt.Sprintf("%s after it is due, so that nodes do not begin at once", jitter.Round(time.Minute))}
	}
	if turn.At.Before(now) {
		turn = Turn{At: now}
	}
	if free := r.free(made, turn.At); free.After(turn.At) {
		turn = Turn{At: free, Because: fmt.Sprintf("%d changes within 24 hours are the limit", r.PerDay)}
	}
	return r.inWindow(turn, t)
}

// inWindow moves a turn into a window, or to the last instant before the reserve
// begins where none opens until then.
func (r Rules) inWindow(turn Turn, t Task) (Turn, bool) {
	open, ok := r.Next(turn.At)
	last := t.End.Add(-r.Reserve)
	switch {
	case ok && open.Has(turn.At):
		return turn, true
	case !t.End.IsZero() && r.Reserve >= 0 && (!ok || open.Begin.After(last)):
		if last.Before(turn.At) {
			last = turn.At
		}
		return Turn{At: last, Because: "no window opens early enough before the end", Outside: true}, true
	case !ok:
		return Turn{Because: "no window ever opens"}, false
	}
	return Turn{At: open.Begin, Because: "the next window opens then"}, true
}

// spread leaves half of what there is before the end.
func (r Rules) spread(t Task) time.Duration {
	if t.End.IsZero() {
		return r.Spread
	}
	return min(r.Spread, max(t.End.Sub(t.From)/2, 0))
}

// free is the first instant from one on at which fewer changes than the limit were
// made within the 24 hours before.
func (r Rules) free(made []time.Time, from time.Time) time.Time {
	if r.PerDay <= 0 {
		return from
	}
	var recent []time.Time
	for _, m := range made {
		if m.After(from.Add(-24 * time.Hour)) {
			recent = append(recent, m)
		}
	}
	if len(recent) < r.PerDay {
		return from
	}
	slices.SortFunc(recent, time.Time.Compare)
	return recent[len(recent)-r.PerDay].Add(24 * time.Hour)
}
