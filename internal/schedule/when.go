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
	// something is due or a window opens, within the first half of it.
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
//
// It is asked again and again, and the answer stays the same as long as nothing
// was missed: also what waits for a window has its own moment in it.
func (r Rules) When(node string, t Task, made []time.Time, now time.Time) (Turn, bool) {
	spread := r.spread(t)
	due := t.From.Add(Jitter(node, t.ID, spread))
	turn := Turn{At: due, Because: apart(due.Sub(t.From), "it is due", "")}
	if turn.At.Before(now) {
		turn = Turn{At: now}
	}
	if free := r.free(made, turn.At, now); free.After(turn.At) {
		turn = Turn{At: free, Because: fmt.Sprintf("%d changes within 24 hours are the limit", r.PerDay)}
	}
	open, ok := r.Next(turn.At)
	last := t.End.Add(-r.Reserve) // and then outside of windows
	reserved := !t.End.IsZero() && r.Reserve >= 0
	switch {
	case ok && open.Has(turn.At) && (len(r.Windows) == 0 || !due.Before(open.Begin)):
		return turn, true
	case ok && open.Has(turn.At):
	case reserved && (!ok || open.Begin.After(last)):
		return Turn{At: later(last, turn.At), Because: "no window opens early enough before the end", Outside: true}, true
	case !ok:
		return Turn{Because: "no window ever opens"}, false
	}
	wait := Jitter(node, t.ID, min(spread, open.End.Sub(open.Begin)/2))
	if reserved && open.Begin.Add(wait).After(last) {
		wait = max(last.Sub(open.Begin), 0)
	}
	if own := open.Begin.Add(wait); own.After(turn.At) {
		turn = Turn{At: own, Because: apart(wait, "the window opens", "the next window opens then")}
	}
	return turn, true
}

// apart says that something is done somewhat later than it could.
func apart(wait time.Duration, after, atOnce string) string {
	unit := time.Minute
	if wait < 2*time.Minute {
		unit = time.Second
	}
	if wait = wait.Round(unit); wait == 0 {
		return atOnce
	}
	return fmt.Sprintf("%s after %s, so that nodes do not begin at once", wait, after)
}

// spread leaves half of what there is before the end.
func (r Rules) spread(t Task) time.Duration {
	if t.End.IsZero() {
		return r.Spread
	}
	return min(r.Spread, max(t.End.Sub(t.From)/2, 0))
}

// free is the first instant from one on at which fewer changes than the limit were
// made within the 24 hours before. What the record has ahead of now was made when
// the clock was wrong, and must not stop everything until then.
func (r Rules) free(made []time.Time, from, now time.Time) time.Time {
	if r.PerDay <= 0 {
		return from
	}
	var recent []time.Time
	for _, m := range made {
		if m.After(from.Add(-24*time.Hour)) && !m.After(now) {
			recent = append(recent, m)
		}
	}
	if len(recent) < r.PerDay {
		return from
	}
	slices.SortFunc(recent, time.Time.Compare)
	return recent[len(recent)-r.PerDay].Add(24 * time.Hour)
}
