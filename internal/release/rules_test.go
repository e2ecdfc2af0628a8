// SPDX-License-Identifier: Apache-2.0

package release

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// departure is what an Exception documents.
type departure struct {
	minor Minor
	kind  ExceptionKind
}

// TestRulesGiveTheCalendar compares rules and calendar minor by minor. Each
// difference needs its entry in exceptions.csv and each entry its difference.
func TestRulesGiveTheCalendar(t *testing.T) {
	c := load(t)
	found := map[departure]string{}
	for _, r := range c.Releases() {
		third, _ := c.lookupOrEstimate(r.Minor + 3)
		maintenance, end := PlannedByRule(r.Minor, r.Released.Day, third.Released.Day)
		if !end.Equal(r.PlannedEnd.Day) || !maintenance.Equal(r.Maintenance.Day) {
			found[departure{r.Minor, PlanDiffers}] = fmt.Sprintf("the rule gives %s and %s, the calendar %s and %s",
				maintenance.Format(time.DateOnly), end.Format(time.DateOnly), r.Maintenance, r.PlannedEnd)
		}
		if !r.Ended.IsZero() && !r.Ended.Day.Equal(r.PlannedEnd.Day) {
			found[departure{r.Minor, EndDiffers}] = fmt.Sprintf("planned %s, ended %s", r.PlannedEnd, r.Ended)
		}
		if !r.Ended.IsZero() && daysBetween(r.Ended.Day, r.LastPatchDate.Day) > 2 {
			found[departure{r.Minor, PatchAfterEnd}] = fmt.Sprintf("ended %s, last patch %s", r.Ended, r.LastPatchDate)
		}
	}
	for year, minors := range minorsByYear(c) {
		newest := minors[len(minors)-1]
		if len(minors) != ReleasesPerYear(newest) {
			// The delayed one is that with the longest cycle before it.
			slowest := slices.MaxFunc(minors, func(a, b Minor) int { return cycle(c, a) - cycle(c, b) })
			found[departure{slowest, CadenceDiffers}] = fmt.Sprintf("%d had %d releases", year, len(minors))
		}
	}

	documented := map[departure]bool{}
	for _, e := range c.Exceptions() {
		if e.Reason == "" || e.Citation == "" {
			t.Errorf("the exception %s %s has no reason or no citation", e.Minor, e.Kind)
		}
		d := departure{e.Minor, e.Kind}
		if documented[d] {
			t.Errorf("the exception %s %s stands twice", e.Minor, e.Kind)
		}
		documented[d] = true
		if _, ok := found[d]; !ok {
			t.Errorf("the exception %s %s is not needed: rule and calendar agree", e.Minor, e.Kind)
		}
	}
	for d, how := range found {
		if !documented[d] {
			t.Errorf("%s needs an exception of kind %s: %s", d.minor, d.kind, how)
		}
	}
}

func minorsByYear(c *Calendar) map[int][]Minor {
	years := map[int][]Minor{}
	for _, r := range c.Releases() {
		// The years that the calendar holds whole.
		if y := r.Released.Day.Year(); y >= 2020 && y <= c.AsOf().Year() {
			years[y] = append(years[y], r.Minor)
		}
	}
	return years
}

func cycle(c *Calendar, m Minor) int {
	before, _ := c.Lookup(m - 1)
	r, _ := c.Lookup(m)
	return daysBetween(before.Released.Day, r.Released.Day)
}

func TestExceptionsAreSorted(t *testing.T) {
	exceptions := load(t).Exceptions()
	if !slices.IsSortedFunc(exceptions, func(a, b Exception) int { return int(a.Minor - b.Minor) }) {
		t.Error("exceptions.csv is not sorted by minor")
	}
	if len(exceptions) != 14 {
		t.Errorf("%d exceptions", len(exceptions))
	}
}

// The rows ahead are estimates by the same rules that continue the table.
func TestEstimatedRowsFollowTheRules(t *testing.T) {
	c := load(t)
	short := &Calendar{asOf: c.asOf, releases: c.releases[:len(c.releases)-3]}
	for _, m := range []Minor{38, 39, 40} {
		row, _ := c.Lookup(m)
		estimate, ok := short.lookupOrEstimate(m)
		if !ok || estimate.Released.Day != row.Released.Day || estimate.PlannedEnd.Day != row.PlannedEnd.Day ||
			estimate.Maintenance.Day != row.Maintenance.Day {
			t.Errorf("%s: the row says %s to %s, the rules %s to %s", m, row.Released, row.PlannedEnd, estimate.Released, estimate.PlannedEnd)
		}
	}
	if row, _ := c.Lookup(38); row.Released.Origin != Planned || row.PlannedEnd.Origin != Estimated {
		t.Errorf("1.38 is %s to %s", row.Released, row.PlannedEnd)
	}
}

func TestShortSupport(t *testing.T) {
	released := day(t, "2019-09-18")
	if _, end := PlannedByRule(16, released, day(t, "2020-05-01")); end != day(t, "2020-06-18") {
		t.Errorf("nine months end %s", end)
	}
	maintenance, end := PlannedByRule(18, released, day(t, "2020-08-26"))
	if !maintenance.IsZero() || end != day(t, "2020-08-26") {
		t.Errorf("N-2 gives %s and %s", maintenance, end)
	}
}

func TestReleasesPerYear(t *testing.T) {
	for m, want := range map[Minor]int{16: 4, 21: 4, 22: 3, 37: 3} {
		if got := ReleasesPerYear(m); got != want {
			t.Errorf("%s: %d releases a year, want %d", m, got, want)
		}
	}
}
