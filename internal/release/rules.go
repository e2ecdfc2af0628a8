// SPDX-License-Identifier: Apache-2.0

package release

import "time"

// Upstream's rules, as code over dates.
//
// Length of support: about nine months up to 1.18, which meant the three newest
// minors (N-2); twelve months and two of maintenance since 1.19, ending on the
// 28th (KEP-1498 and kubernetes.io/releases/patch-releases, "Support Period").
//
// Cadence: four releases a year up to 1.21, three since 1.22 (KEP-2572).
const (
	firstYearlySupport Minor = 19
	firstThreeAYear    Minor = 22

	shortSupportMonths = 9
	fullSupportMonths  = 12
	maintenanceMonths  = 2
	endDayOfMonth      = 28
)

// ReleasesPerYear is the cadence that upstream set itself when m was released.
func ReleasesPerYear(m Minor) int {
	if m < firstThreeAYear {
		return 4
	}
	return 3
}

// PlannedByRule computes when maintenance starts and support ends for a minor
// released on the given day. Before 1.19 there is no maintenance, and support
// lasts nine months or until the third following release, whichever is later;
// third is the day of that release and is not used from 1.19 on.
func PlannedByRule(m Minor, released, third time.Time) (maintenance, end time.Time) {
	if m < firstYearlySupport {
		end = released.AddDate(0, shortSupportMonths, 0)
		if third.After(end) {
			end = third
		}
		return time.Time{}, end
	}
	return the28thAfter(released, fullSupportMonths),
		the28thAfter(released, fullSupportMonths+maintenanceMonths)
}

func the28thAfter(released time.Time, months time.Month) time.Time {
	return time.Date(released.Year(), released.Month()+months, endDayOfMonth, 0, 0, 0, 0, time.UTC)
}

// estimatedAhead is how far beyond the last row the rules are trusted: three
// years of releases.
const estimatedAhead = 9

// lookupOrEstimate finds a row, or makes one by the rules for a minor after the
// last row.
func (c *Calendar) lookupOrEstimate(m Minor) (Release, bool) {
	if m <= c.last() {
		return c.Lookup(m)
	}
	if m > c.last()+estimatedAhead {
		return Release{}, false
	}
	// A year has three releases at the same time each year, so that the one
	// three minors before is the best clue: 52 weeks keep the weekday too.
	yearBefore, ok := c.lookupOrEstimate(m - 3)
	if !ok {
		return Release{}, false
	}
	released := yearBefore.Released.Day.AddDate(0, 0, 52*7)
	maintenance, end := PlannedByRule(m, released, time.Time{})
	return Release{
		Minor:       m,
		Released:    Date{released, Estimated, "52 weeks after " + (m - 3).String()},
		Maintenance: Date{maintenance, Estimated, "12 months after release"},
		PlannedEnd:  Date{end, Estimated, "14 months after release"},
	}, true
}

// Exception is a documented departure of the calendar from the rules.
type Exception struct {
	Minor    Minor
	Kind     ExceptionKind
	Reason   string
	Citation string
}

// ExceptionKind says which rule an exception is from.
type ExceptionKind string

const (
	// PlanDiffers: upstream planned other days than the rule gives.
	PlanDiffers ExceptionKind = "plan"
	// EndDiffers: support ended on another day than planned.
	EndDiffers ExceptionKind = "end"
	// PatchAfterEnd: a patch was released more than two days after the end.
	PatchAfterEnd ExceptionKind = "patch"
	// CadenceDiffers: the year of this release had another number of releases.
	CadenceDiffers ExceptionKind = "cadence"
)

// Exceptions returns the documented departures of the embedded calendar from
// the rules, ordered by minor and kind.
func (c *Calendar) Exceptions() []Exception {
	return append([]Exception(nil), c.exceptions...)
}
