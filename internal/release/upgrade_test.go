// SPDX-License-Identifier: Apache-2.0

package release

import (
	"strings"
	"testing"
)

func TestLastSafeStart(t *testing.T) {
	c := load(t)
	for _, want := range []struct {
		from        Minor
		at          string
		pace        Pace
		start, text string
	}{
		{35, "2026-11-22", DefaultPace, "2027-01-31",
			"1.35 is supported until 2027-02-28 (planned): start by 2027-01-31 the upgrade to 1.36, 1 hop at 28 days per hop; the newest supported minor is 1.37, 2 hops away"},
		{35, "2027-02-28", DefaultPace, "2027-01-31",
			"1.35 is supported until 2027-02-28 (planned): the last safe start was 2027-01-31, 28 days ago, to 1.36, 1 hop at 28 days per hop; the newest supported minor is 1.38, 3 hops away"},
		{36, "2026-11-22", 14, "2027-06-14",
			"1.36 is supported until 2027-06-28 (planned): start by 2027-06-14 the upgrade to 1.37, 1 hop at 14 days per hop"},
		{37, "2026-11-22", DefaultPace, "2027-09-30", // to a minor that is only planned
			"1.37 is supported until 2027-10-28 (planned): start by 2027-09-30 the upgrade to 1.38, 1 hop at 28 days per hop"},
		{34, "2026-10-01", DefaultPace, "2026-09-29",
			"1.34 is supported until 2026-10-27 (official): the last safe start was 2026-09-29, 2 days ago, to 1.35, 1 hop at 28 days per hop; the newest supported minor is 1.37, 3 hops away"},
		{35, "2026-11-22", 0, "2027-02-27",
			"1.35 is supported until 2027-02-28 (planned): start by 2027-02-27 the upgrade to 1.36, 1 hop at 1 day per hop; the newest supported minor is 1.37, 2 hops away"},
	} {
		start, path, ok := c.LastSafeStart(want.from, day(t, want.at), want.pace)
		if !ok || start != day(t, want.start) || path.String() != want.text {
			t.Errorf("from %s on %s: %s, %v\n%s", want.from, want.at, start, ok, path)
		}
	}
}

// In a table that a vendor made, a minor need not outlive its predecessor.
func TestLastSafeStartOverTwoHops(t *testing.T) {
	c := load(t)
	err := c.Merge(strings.NewReader(tableStart + "1.35,2025-12-17 measured m,,2027-07-28 planned extended support,,,\n"))
	if err != nil {
		t.Fatal(err)
	}
	start, path, ok := c.LastSafeStart(35, day(t, "2027-01-10"), DefaultPace)
	if !ok || path.Target != 37 || path.Hops != 2 || start != day(t, "2027-06-02") {
		t.Errorf("%s, %v: %s", start, ok, path)
	}
}

func TestOutOfSupport(t *testing.T) {
	c := load(t)
	for _, want := range []struct {
		from Minor
		pace Pace
		text string
	}{
		{34, DefaultPace, "1.34 is out of support since 2026-10-27: 1 hop to 1.35, the oldest supported minor, 3 hops to 1.37, the newest; " +
			"one minor at a time and 28 days per hop, a start on 2026-11-22 is back in support with 1.35 on 2026-12-20"},
		{32, DefaultPace, "1.32 is out of support since 2026-02-28: 3 hops to 1.35, the oldest supported minor, 5 hops to 1.37, the newest; " +
			"one minor at a time and 28 days per hop, a start on 2026-11-22 is back in support with 1.35 on 2027-02-14"},
		{31, DefaultPace, "1.31 is out of support since 2025-11-11: 4 hops to 1.35, the oldest supported minor, 6 hops to 1.37, the newest; " +
			"one minor at a time and 28 days per hop, a start on 2026-11-22 is back in support with 1.36 on 2027-04-11"},
		{14, DefaultPace, "1.14 is out of support: 21 hops to 1.35, the oldest supported minor, 23 hops to 1.37, the newest; " +
			"one minor at a time and 28 days per hop, a start on 2026-11-22 is back in support with 1.41 on 2028-12-17"},
		{16, 200, "1.16 is out of support since 2020-09-02: 19 hops to 1.35, the oldest supported minor, 21 hops to 1.37, the newest; " +
			"one minor at a time and 200 days per hop never catches up"},
	} {
		start, path, ok := c.LastSafeStart(want.from, day(t, "2026-11-22"), want.pace)
		if ok || !start.IsZero() || !path.Out || path.Oldest != 35 || path.Newest != 37 || path.String() != want.text {
			t.Errorf("from %s: %s, %v\n%s", want.from, start, ok, path)
		}
	}
}

func TestLastSafeStartWithoutAnAnswer(t *testing.T) {
	c := load(t)
	for from, want := range map[Minor]string{
		0:  "the end of support of 1.0 is not known",
		60: "the end of support of 1.60 is not known",
		49: "1.49 is supported until 2031-10-28 (estimated), but at 28 days per hop no later minor is in time",
	} {
		start, path, ok := c.LastSafeStart(from, day(t, "2026-11-22"), DefaultPace)
		if ok || !start.IsZero() || path.Out || path.String() != want {
			t.Errorf("from %s: %s, %v, %s", from, start, ok, path)
		}
	}
}

// Every supported minor has a last safe start before its end, whatever the day.
func TestLastSafeStartIsBeforeTheEnd(t *testing.T) {
	c := load(t)
	for at := c.AsOf(); at.Year() < 2029; at = at.AddDate(0, 0, 7) {
		for _, m := range c.Supported(at) {
			start, path, ok := c.LastSafeStart(m, at, DefaultPace)
			if !ok || !start.Before(path.End) || path.Target <= m {
				t.Fatalf("%s on %s: %s, %v, %s", m, at, start, ok, path)
			}
		}
	}
}
