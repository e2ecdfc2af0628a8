// SPDX-License-Identifier: Apache-2.0

package release

import (
	"fmt"
	"time"
)

// Pace is how many days one upgrade hop takes: one minor, the whole cluster.
type Pace int

// DefaultPace is four weeks per hop: one to read and fix what the next minor
// removes, one on a test cluster, one to roll control plane and nodes, one of
// slack. It is a choice and no fact; it is also about the distance between two
// patch days, so that no hop starts from an unpatched minor.
const DefaultPace Pace = 28

// String prints the pace as "28 days".
func (p Pace) String() string { return count(int(p), "day") }

func (p Pace) days(hops int) int { return int(p) * hops }

// Path explains an answer of LastSafeStart. Its days are midnight UTC.
type Path struct {
	From Minor
	At   time.Time
	Pace Pace
	// End is the last supported day of From; it is zero for a minor that is
	// older than the calendar or too far ahead of it.
	End    time.Time
	Origin Origin
	// Out means that From is no longer supported on the day At.
	Out bool
	// Target is the nearest minor that is still supported the day after End, or
	// if Out the one with which the cluster is back in support when it starts
	// At and keeps the Pace. Hops lead there, and it is reached on Reached at
	// the latest. Target is zero if there is no such minor.
	Target  Minor
	Hops    int
	Reached time.Time
	// Start is the last safe day to start, zero if Out.
	Start time.Time
	// Oldest and Newest are the supported minors on the day At.
	Oldest, Newest Minor
}

// LastSafeStart is the last day on which an upgrade can start, one minor at a
// time and every hop at the given pace, so that the cluster is on a supported
// minor when the support of from ends. It is not ok if from is already out of
// support at that time or no minor is known that would do; the Path then says
// how far the supported minors are. A day before at is still ok: it is safe no
// more, but from is supported.
//
// One minor at a time, because neither kubeadm nor the API server may skip one
// (kubernetes.io/releases/version-skew-policy).
func (c *Calendar) LastSafeStart(from Minor, at time.Time, pace Pace) (time.Time, Path, bool) {
	p := Path{From: from, At: dayOf(at), Pace: max(pace, 1)}
	if supported := c.Supported(at); len(supported) > 0 {
		p.Oldest, p.Newest = supported[0], supported[len(supported)-1]
	}
	row, known := c.lookupOrEstimate(from)
	if known {
		p.End, p.Origin = row.End().Day, row.End().Origin
	}
	p.Out = from > 0 && (known && p.At.After(p.End) || from < c.oldest())
	switch {
	case p.Out:
		c.wayBack(&p)
		return time.Time{}, p, false
	case !known:
		return time.Time{}, p, false
	}
	c.wayOn(&p)
	return p.Start, p, p.Target > 0
}

// wayOn finds the nearest minor that outlives From and was released in time.
func (c *Calendar) wayOn(p *Path) {
	for hops := 1; ; hops++ {
		r, ok := c.lookupOrEstimate(p.From + Minor(hops))
		if !ok {
			return
		}
		lastHop := p.End.AddDate(0, 0, -p.Pace.days(1))
		if r.End().Day.After(p.End) && !r.Released.Day.After(lastHop) {
			p.Target, p.Hops, p.Reached = r.Minor, hops, p.End
			p.Start = p.End.AddDate(0, 0, -p.Pace.days(hops))
			return
		}
	}
}

// wayBack finds the first minor that is supported when the cluster gets there.
// Supported minors move on while it climbs, so a slow pace may never arrive.
func (c *Calendar) wayBack(p *Path) {
	for m := max(p.From+1, c.oldest()); ; m++ {
		r, ok := c.lookupOrEstimate(m)
		if !ok {
			return
		}
		hops := int(m - p.From)
		reached := p.At.AddDate(0, 0, p.Pace.days(hops))
		lastHop := p.At.AddDate(0, 0, p.Pace.days(hops-1))
		if !r.End().Day.Before(reached) && !r.Released.Day.After(lastHop) {
			p.Target, p.Hops, p.Reached = m, hops, reached
			return
		}
	}
}

// String says it in a sentence without a full stop.
func (p Path) String() string {
	switch {
	case p.Out:
		return p.outOfSupport()
	case p.End.IsZero():
		return fmt.Sprintf("the end of support of %s is not known", p.From)
	case p.Target == 0:
		return fmt.Sprintf("%s is supported until %s (%s), but at %s per hop no later minor is in time",
			p.From, p.End.Format(time.DateOnly), p.Origin, p.Pace)
	}
	text := fmt.Sprintf("%s is supported until %s (%s): %s to %s, %s at %s per hop",
		p.From, p.End.Format(time.DateOnly), p.Origin, p.start(), p.Target, count(p.Hops, "hop"), p.Pace)
	if p.Newest > p.Target {
		text += fmt.Sprintf("; the newest supported minor is %s, %s away", p.Newest, count(int(p.Newest-p.From), "hop"))
	}
	return text
}

func (p Path) start() string {
	late := daysBetween(p.Start, p.At)
	if late > 0 {
		return fmt.Sprintf("the last safe start was %s, %s ago,", p.Start.Format(time.DateOnly), count(late, "day"))
	}
	return "start by " + p.Start.Format(time.DateOnly) + " the upgrade"
}

func (p Path) outOfSupport() string {
	text := fmt.Sprintf("%s is out of support", p.From)
	if !p.End.IsZero() {
		text += " since " + p.End.Format(time.DateOnly)
	}
	if p.Oldest > p.From {
		text += fmt.Sprintf(": %s to %s, the oldest supported minor", count(int(p.Oldest-p.From), "hop"), p.Oldest)
	}
	if p.Newest > p.Oldest {
		text += fmt.Sprintf(", %s to %s, the newest", count(int(p.Newest-p.From), "hop"), p.Newest)
	}
	if p.Target == 0 {
		return text + fmt.Sprintf("; one minor at a time and %s per hop never catches up", p.Pace)
	}
	return text + fmt.Sprintf("; one minor at a time and %s per hop, a start on %s is back in support with %s on %s",
		p.Pace, p.At.Format(time.DateOnly), p.Target, p.Reached.Format(time.DateOnly))
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
