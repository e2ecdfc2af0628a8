// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"fmt"
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
)

// threshold is the instant from which a finding is due, and the condition in
// words.
type threshold struct {
	from  time.Time // zero for always
	when  string    // half a sentence that is true from then on
	known bool
	way   *way
}

// way is how the end of a finding lies to the upgrade that is asked about.
type way struct {
	on   bool // the upgrade reaches it
	what string
}

func (p Policy) threshold(f finding.Finding) threshold {
	if w, ok := p.onTheWay(f); ok {
		return threshold{when: w.what, known: true, way: &w}
	}
	switch {
	case f.Class == finding.Lingering:
		return threshold{when: "the old one is still in use", known: true}
	case f.Class == finding.Weakness && f.End.Date.IsZero():
		return threshold{when: "it is a weakness until it is mended", known: true}
	case f.Class == finding.Notice && f.End.Date.IsZero() && f.End.Version == "":
		return threshold{when: "it is worth knowing", known: true}
	case f.End.Now:
		return threshold{when: "it is broken now", known: true}
	case f.End.Date.IsZero():
		return threshold{when: "nothing says when it ends"}
	case f.Code == finding.SupportEnds:
		return p.support(f)
	}
	switch f.Class {
	case finding.Renewed:
		return p.renewed(f)
	case finding.SelfRenewed:
		return p.selfRenewed(f)
	case finding.TrustAnchor:
		return before(f.End.Date, seconds(p.TrustAnchor))
	default:
		return threshold{from: f.End.Date, when: "its date has come", known: true}
	}
}

// onTheWay looks where the end of a finding lies on an upgrade; not ok where
// nobody asks about one, or it does not end with a version.
func (p Policy) onTheWay(f finding.Finding) (way, bool) {
	ends, err := release.ParseMinor(f.End.Version)
	if p.To == 0 || f.End.Version == "" || err != nil {
		return way{}, false
	}
	switch {
	case ends > p.To:
		return way{what: fmt.Sprintf("%s is beyond %s", ends, p.To)}, true
	case ends == p.To:
		return way{true, fmt.Sprintf("the upgrade leads to %s", ends)}, true
	}
	return way{true, fmt.Sprintf("%s is on the way to %s", ends, p.To)}, true
}

func (p Policy) renewed(f finding.Finding) threshold {
	atMost := seconds(p.Renewed.AtMost)
	life, known := length(f.Life)
	if !known {
		return before(f.End.Date, atMost)
	}
	part := p.Renewed.Left.of(life)
	if atMost <= part {
		return before(f.End.Date, atMost)
	}
	t := before(f.End.Date, part)
	t.when = fmt.Sprintf("%s of its life (%s) or less is left", p.Renewed.Left, span(part))
	return t
}

// selfRenewed counts back from the end, not forward from the start of its
// life: where a CA above it ends first, the end is not that of its life.
func (p Policy) selfRenewed(f finding.Finding) threshold {
	life, known := length(f.Life)
	if !known {
		t := before(f.End.Date, 0)
		t.when = "it should have renewed itself before its end"
		return t
	}
	gone := p.SelfRenewed.Gone.of(life)
	t := before(f.End.Date, max(0, life-gone-p.SelfRenewed.Slack.of(life)))
	t.when = fmt.Sprintf("it should have renewed itself when %s of its life (%s) was gone", p.SelfRenewed.Gone, span(gone))
	return t
}

func (p Policy) support(f finding.Finding) threshold {
	switch {
	case p.Support.Before > 0:
		return before(f.End.Date, seconds(p.Support.Before))
	case f.SafeStart.IsZero() || f.SafeStart.After(f.End.Date):
		return threshold{from: f.End.Date, when: "its date has come", known: true}
	}
	return threshold{from: f.SafeStart, when: "the last day to safely begin an upgrade has come", known: true}
}

// before is a threshold some seconds before an end.
func before(end time.Time, left int64) threshold {
	from := time.Unix(end.Unix()-left, 0).UTC()
	if from.Year() < 1 {
		from = time.Time{}
	}
	return threshold{from: from, when: span(left) + " or less is left", known: true}
}

func (t threshold) verdict(f finding.Finding, now time.Time, counts bool) (Verdict, string) {
	switch {
	case !t.known:
		return Unknown, t.when
	case t.way != nil && t.way.on:
		return Due, t.when
	case t.way != nil:
		return OK, t.when
	case now.Before(t.from):
		return OK, "not due before " + t.from.UTC().Format(time.DateOnly)
	case f.Class == finding.Weakness, f.Class == finding.Notice && !counts:
		return Due, t.when
	case f.End.Date.IsZero() && f.Class == finding.Lingering:
		return Due, t.when
	case f.End.Now:
		return Overdue, t.when
	case now.After(f.End.Date):
		// A certificate is still valid in the second of its NotAfter
		// (RFC 5280, 4.1.2.5: through notAfter, inclusive).
		return Overdue, "its end has passed"
	default:
		return Due, t.when
	}
}

// length is a life in seconds. Durations do not reach far enough: a
// certificate may live until the year 9999, and a Duration ends at 292 years.
func length(l finding.Life) (secs int64, known bool) {
	if l.Start.IsZero() && l.End.IsZero() {
		return 0, false
	}
	return max(0, l.End.Unix()-l.Start.Unix()), true
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// span writes seconds as whole days, or as hours, minutes or seconds where
// two of the larger unit are not reached.
func span(secs int64) string {
	switch {
	case secs >= 2*86400:
		return fmt.Sprintf("%d d", secs/86400)
	case secs >= 2*3600:
		return fmt.Sprintf("%d h", secs/3600)
	case secs >= 2*60:
		return fmt.Sprintf("%d min", secs/60)
	default:
		return fmt.Sprintf("%d s", secs)
	}
}
