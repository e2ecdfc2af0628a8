// SPDX-License-Identifier: Apache-2.0

package release

import (
	"bytes"
	_ "embed"
	"fmt"
	"slices"
	"time"
)

// Origin says how much a date, or another value of a table, can be relied on.
type Origin string

const (
	// Measured is read off the released code or modules. For a date it is the
	// day (UTC) of the tagged commit; staging modules follow a little later.
	Measured Origin = "measured"
	// Official is stated by the Kubernetes project as having happened.
	Official Origin = "official"
	// Planned is announced by the Kubernetes project for a later day.
	Planned Origin = "planned"
	// Estimated follows from the support rules; nobody has announced it.
	Estimated Origin = "estimated"
)

// Date is a day with where it comes from. The zero Date means that there is
// none: not yet, or never.
type Date struct {
	Day      time.Time // midnight UTC
	Origin   Origin
	Citation string // a module version, a file of a repository, or an address
}

// IsZero reports that there is no date.
func (d Date) IsZero() bool { return d.Day.IsZero() }

// String prints the day and the origin, and "" for no date.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return d.Day.Format(time.DateOnly) + " " + string(d.Origin)
}

// Release is one row of the calendar.
type Release struct {
	Minor    Minor
	Released Date
	// Maintenance is the day from which only critical fixes are taken. There
	// was no such phase before 1.19 (KEP-1498).
	Maintenance Date
	PlannedEnd  Date
	// Ended is the last supported day according to upstream once it has
	// passed. It differs from PlannedEnd where the exceptions say so.
	Ended Date
	// LastPatch is the final patch, or the last seen on the as-of day while the
	// minor is supported. Upstream has released patches after the end; see the
	// exceptions.
	LastPatch     Version
	LastPatchDate Date
}

// End is the last supported day: what happened, else what is planned.
func (r Release) End() Date {
	if !r.Ended.IsZero() {
		return r.Ended
	}
	return r.PlannedEnd
}

//go:embed data/releases.csv
var releasesTable []byte

//go:embed data/exceptions.csv
var exceptionsTable []byte

// Calendar holds every minor release since 1.16 and the announced or estimated
// ones ahead.
type Calendar struct {
	asOf       time.Time
	releases   []Release // ascending, without holes
	exceptions []Exception
}

// Load reads the embedded calendar.
func Load() (*Calendar, error) {
	rows, asOf, err := readReleases(bytes.NewReader(releasesTable))
	if err != nil {
		return nil, fmt.Errorf("reading the embedded release calendar: %w", err)
	}
	c := &Calendar{}
	if err := c.replace(rows, asOf); err != nil {
		return nil, fmt.Errorf("reading the embedded release calendar: %w", err)
	}
	c.exceptions, err = readExceptions(bytes.NewReader(exceptionsTable))
	if err != nil {
		return nil, fmt.Errorf("reading the embedded exceptions to the support rules: %w", err)
	}
	return c, nil
}

// AsOf is the day on which the calendar was true, at midnight UTC.
func (c *Calendar) AsOf() time.Time { return c.asOf }

// staleAfter is one release cycle: after that a minor is surely missing.
const staleAfter = 120

// Stale reports that the calendar is older than 120 days, with a sentence for
// the user; the sentence is empty while the calendar is fresh.
func (c *Calendar) Stale(now time.Time) (bool, string) {
	age := daysBetween(c.asOf, now)
	if age <= staleAfter {
		return false, ""
	}
	return true, fmt.Sprintf("the release calendar is %d days old (as of %s): newer releases and changed support ends are missing from it",
		age, c.asOf.Format(time.DateOnly))
}

// Releases returns all rows, oldest first, with those not yet released. The
// caller may keep the slice.
func (c *Calendar) Releases() []Release { return slices.Clone(c.releases) }

// Lookup finds the row of a minor.
func (c *Calendar) Lookup(m Minor) (Release, bool) {
	i := int(m - c.oldest())
	if i < 0 || i >= len(c.releases) {
		return Release{}, false
	}
	return c.releases[i], true
}

// Newest is the newest minor that had been released on the as-of day.
func (c *Calendar) Newest() Minor {
	for _, r := range slices.Backward(c.releases) {
		if r.Released.Origin == Measured || r.Released.Origin == Official {
			return r.Minor
		}
	}
	return 0
}

func (c *Calendar) oldest() Minor { return c.releases[0].Minor }

func (c *Calendar) last() Minor { return c.releases[len(c.releases)-1].Minor }

// SupportEnd is the last supported day of a minor: what happened, else what is
// planned, else what the rules estimate, for up to three years of releases
// after the last row. It is not ok for minors older than the calendar, whose
// support ended before that of its first row, and for those too far ahead.
func (c *Calendar) SupportEnd(m Minor) (end time.Time, origin Origin, ok bool) {
	r, ok := c.lookupOrEstimate(m)
	if !ok {
		return time.Time{}, "", false
	}
	return r.End().Day, r.End().Origin, true
}

// Supported lists the minors that are released and supported on the day of at,
// oldest first. For a day ahead this includes planned and estimated releases.
func (c *Calendar) Supported(at time.Time) []Minor {
	var supported []Minor
	for m := c.oldest(); ; m++ {
		r, ok := c.lookupOrEstimate(m)
		if !ok {
			return supported
		}
		if r.supportedOn(dayOf(at)) {
			supported = append(supported, m)
		}
	}
}

func (r Release) supportedOn(day time.Time) bool {
	return !day.Before(r.Released.Day) && !day.After(r.End().Day)
}

func dayOf(t time.Time) time.Time {
	y, m, d := t.UTC().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}

// daysBetween counts whole days, negative if to is before from.
func daysBetween(from, to time.Time) int {
	return int(dayOf(to).Sub(dayOf(from)) / (24 * time.Hour))
}
