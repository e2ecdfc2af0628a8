// SPDX-License-Identifier: Apache-2.0

package timeline

import (
	"fmt"
	"strings"
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
)

// headline answers the only question most people have: when does it stop, and
// what stops it. Items are sorted.
func headline(t Timeline) string {
	s := stopping(t)
	if t.Upgrade != nil {
		if s == (stop{}) {
			return t.onTheWay()
		}
		return t.onTheWay() + " " + t.sentence(s)
	}
	return t.sentence(s)
}

// sentence says what stops by date, or is broken.
func (t Timeline) sentence(s stop) string {
	switch {
	case s.whole != nil && t.At.After(s.whole.End.Date):
		return t.stops(*s.whole) + brokenToo(s)
	case s.broken > 0:
		text := "Something is broken now: " + s.first.Title
		if s.broken > 1 {
			text += fmt.Sprintf(", and %d more", s.broken-1)
		}
		return text + "." + t.andThen(s)
	case s.whole != nil:
		return t.stops(*s.whole) + t.before(s) + s.sooner()
	case s.part != nil:
		return t.part("", *s.part) + s.sooner()
	case s.hidden != nil:
		return upper(s.hidden.Title) + ", and when that one ends cannot be seen."
	case t.Scope.Counts == Counts{Unseen: t.Scope.Counts.Unseen} && len(t.Items) == 0:
		return "Nothing could be looked at, so nothing is known."
	case len(t.Unseen) > 0:
		return "Nothing that stops working was found in what could be looked at."
	}
	return "Nothing that stops working was found."
}

// stop is what the headline is made of.
type stop struct {
	whole, part *Item // the earliest end of the cluster, and of something smaller
	first       *Item // of what is broken now
	broken      int
	hidden      *Item // the first that ends, too, nobody sees when
}

func stopping(t Timeline) stop {
	var s stop
	for n := range t.Items {
		i := &t.Items[n]
		switch {
		case !stopper(*i), i.End.Version != "":
		case i.End.Now && i.Class != finding.Lingering:
			// All the others depend on the clock.
			if s.broken++; s.first == nil || i.Code == finding.ClockSuspect {
				s.first = i
			}
		case i.End.Date.IsZero():
			if i.Class == finding.Lingering && s.hidden == nil {
				s.hidden = i
			}
		case credentialOf(i.ID).stops:
			s.whole = earlier(s.whole, i)
		default:
			s.part = earlier(s.part, i)
		}
	}
	return s
}

// stopper says whether something stops working at the item's end. What renews
// itself is expected to, until it is late.
func stopper(i Item) bool {
	if i.Accepted != nil {
		return false
	}
	switch i.Class {
	case finding.Renewed, finding.TrustAnchor, finding.Lingering, finding.Fault:
		return true
	case finding.SelfRenewed:
		return i.Verdict != policy.OK
	}
	return false
}

// earlier picks the earlier end; of two at the same instant the credential
// that stands first in the table.
func earlier(a, b *Item) *Item {
	if a == nil {
		return b
	}
	switch c := a.End.compare(b.End); {
	case c > 0, c == 0 && tableRank(*b) < tableRank(*a):
		return b
	}
	return a
}

func tableRank(i Item) int {
	for n, c := range credentials {
		if c.name == baseName(i.ID) {
			return n
		}
	}
	return len(credentials)
}

func (t Timeline) stops(i Item) string {
	verb := "stops"
	if t.At.After(i.End.Date) {
		verb = "stopped"
	}
	return fmt.Sprintf("%s %s working %s: %s.", t.subject(i), verb, When(i.End.Date, t.At), i.Title)
}

// subject is what stops: the cluster that this node is a part of, or what was
// looked at from outside.
func (t Timeline) subject(i Item) string {
	if t.Scope.Root != "" || len(t.Scope.Endpoints) == 0 {
		return "This cluster"
	}
	return "The API server at " + t.endpoint(i)
}

func (t Timeline) endpoint(i Item) string {
	if len(t.Scope.Endpoints) == 1 {
		return t.Scope.Endpoints[0]
	}
	return shorten(i.ID.Node())
}

// part is the sentence for the end of something smaller than the cluster.
func (t Timeline) part(lead string, i Item) string {
	at := ""
	if t.Scope.Root == "" && len(t.Scope.Endpoints) > 0 {
		at = " at " + t.endpoint(i)
	}
	when := When(i.End.Date, t.At)
	if lead == "" {
		when = upper(when)
	}
	return fmt.Sprintf("%s%s, %s%s.", lead, when, i.Title, at)
}

// before names an end of something smaller on an earlier day than the
// cluster's own.
func (t Timeline) before(s stop) string {
	if s.part == nil || !day(s.part.End.Date).Before(day(s.whole.End.Date)) {
		return ""
	}
	if t.At.After(s.part.End.Date) {
		return " " + t.part("Already ", *s.part)
	}
	return " " + t.part("Before that, ", *s.part)
}

// sooner says that a date is the latest one.
func (s stop) sooner() string {
	if s.hidden == nil {
		return ""
	}
	return " Perhaps sooner: " + s.hidden.Title + ", and when that one ends cannot be seen."
}

func (t Timeline) andThen(s stop) string {
	switch {
	case s.whole != nil:
		return " " + t.stops(*s.whole)
	case s.part != nil:
		return " " + t.part("", *s.part)
	}
	return ""
}

func brokenToo(s stop) string {
	switch s.broken {
	case 0:
		return ""
	case 1:
		return " Broken besides: " + s.first.Title + "."
	}
	return fmt.Sprintf(" Broken besides: %s, and %d more.", s.first.Title, s.broken-1)
}

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// When writes an instant as seen from another: "on 2027-02-23 (in 92 days)",
// "today at 14:03 UTC (in 5 hours)", "on 2026-11-20 (3 days ago)".
func When(end, at time.Time) string {
	on := "on " + end.UTC().Format(time.DateOnly)
	if day(end).Equal(day(at)) {
		on = "today at " + end.UTC().Format("15:04") + " UTC"
	}
	return fmt.Sprintf("%s (%s)", on, Left(end, at))
}

// Left writes how far an instant is from another: "in 92 days", "3 days ago".
func Left(end, at time.Time) string {
	secs := end.Unix() - at.Unix()
	if secs < 0 {
		return spell(-secs) + " ago"
	}
	return "in " + spell(secs)
}

// spell writes seconds in the largest unit of which there are at least two,
// rounded down.
func spell(secs int64) string {
	const minute, hour, day, year = 60, 3600, 86400, 365 * 86400
	switch {
	case secs >= 10*year:
		return fmt.Sprintf("%d years", secs/year)
	case secs >= 2*day:
		return fmt.Sprintf("%d days", secs/day)
	case secs >= 2*hour:
		return fmt.Sprintf("%d hours", secs/hour)
	case secs >= 2*minute:
		return fmt.Sprintf("%d minutes", secs/minute)
	case secs == 1:
		return "1 second"
	}
	return fmt.Sprintf("%d seconds", secs)
}
