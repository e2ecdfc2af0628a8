// SPDX-License-Identifier: Apache-2.0

package release

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func load(t *testing.T) *Calendar {
	t.Helper()
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func day(t *testing.T, text string) time.Time {
	t.Helper()
	d, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The days that users plan by, written out a second time on purpose.
func TestCalendarDays(t *testing.T) {
	c := load(t)
	for _, want := range []struct {
		minor                                 Minor
		released, planned, ended, final, date string
	}{
		{16, "2019-09-18", "2020-08-26", "2020-09-02", "1.16.15", "2020-09-02"},
		{17, "2019-12-06", "2020-12-08", "2021-01-13", "1.17.17", "2021-01-13"},
		{18, "2020-03-25", "2021-04-08", "2021-06-18", "1.18.20", "2021-06-16"},
		{19, "2020-08-26", "2021-10-28", "2021-10-28", "1.19.16", "2021-10-27"},
		{20, "2020-12-08", "2022-02-28", "2022-02-28", "1.20.15", "2022-01-19"},
		{21, "2021-04-08", "2022-06-28", "2022-06-28", "1.21.14", "2022-06-15"},
		{22, "2021-08-04", "2022-10-28", "2022-12-08", "1.22.17", "2022-12-08"},
		{23, "2021-12-07", "2023-02-28", "2023-02-28", "1.23.17", "2023-02-22"},
		{24, "2022-05-03", "2023-07-28", "2023-07-28", "1.24.17", "2023-08-23"},
		{25, "2022-08-23", "2023-10-28", "2023-10-28", "1.25.16", "2023-11-15"},
		{26, "2022-12-09", "2024-02-28", "2024-02-28", "1.26.15", "2024-03-14"},
		{27, "2023-04-11", "2024-06-28", "2024-07-16", "1.27.16", "2024-07-17"},
		{28, "2023-08-15", "2024-10-28", "2024-10-22", "1.28.15", "2024-10-22"},
		{29, "2023-12-13", "2025-02-28", "2025-02-28", "1.29.15", "2025-03-11"},
		{30, "2024-04-17", "2025-06-28", "2025-07-15", "1.30.14", "2025-06-18"},
		{31, "2024-08-13", "2025-10-28", "2025-11-11", "1.31.14", "2025-11-12"},
		{32, "2024-12-11", "2026-02-28", "2026-02-28", "1.32.13", "2026-02-27"},
		{33, "2025-04-23", "2026-06-28", "2026-06-28", "1.33.13", "2026-06-11"},
		{34, "2025-08-27", "2026-10-27", "2026-10-27", "1.34.13", "2026-10-28"},
		{35, "2025-12-17", "2027-02-28", "", "1.35.10", "2026-10-28"},
		{36, "2026-04-22", "2027-06-28", "", "1.36.6", "2026-10-28"},
		{37, "2026-08-26", "2027-10-28", "", "1.37.2", "2026-10-27"},
	} {
		r, ok := c.Lookup(want.minor)
		if !ok {
			t.Errorf("%s is missing", want.minor)
			continue
		}
		got := []string{dayText(r.Released), dayText(r.PlannedEnd), dayText(r.Ended), r.LastPatch.String(), dayText(r.LastPatchDate)}
		if !slices.Equal(got, []string{want.released, want.planned, want.ended, want.final, want.date}) {
			t.Errorf("%s is %v", want.minor, got)
		}
	}
	if c.AsOf() != day(t, "2026-11-22") || c.Newest() != 37 || len(c.Releases()) != 25 {
		t.Errorf("as of %s, newest %s, %d rows", c.AsOf(), c.Newest(), len(c.Releases()))
	}
}

func dayText(d Date) string {
	text, _, _ := strings.Cut(d.String(), " ")
	return text
}

func TestEveryDateHasOriginAndCitation(t *testing.T) {
	for _, r := range load(t).Releases() {
		for _, d := range []Date{r.Released, r.Maintenance, r.PlannedEnd, r.Ended, r.LastPatchDate} {
			if !d.IsZero() && (d.Origin == "" || d.Citation == "") {
				t.Errorf("%s: %s has no origin or no citation", r.Minor, d)
			}
		}
		if _, ok := load(t).Lookup(r.Minor + 100); ok {
			t.Errorf("%s was found", r.Minor+100)
		}
	}
}

func TestSupported(t *testing.T) {
	c := load(t)
	for at, want := range map[string][]Minor{
		"2019-01-01": nil,
		"2019-09-18": {16}, // 1.13 to 1.15 are before the calendar
		"2020-08-26": {16, 17, 18, 19},
		"2021-06-18": {18, 19, 20, 21},
		"2021-06-19": {19, 20, 21},
		"2026-10-27": {34, 35, 36, 37}, // its last day counts
		"2026-10-28": {35, 36, 37},
		"2026-11-22": {35, 36, 37},
		"2027-01-01": {35, 36, 37, 38},
		"2027-03-01": {36, 37, 38},
		"2028-03-01": {39, 40, 41}, // 1.41 is beyond the table
	} {
		if got := c.Supported(day(t, at).Add(23 * time.Hour)); !slices.Equal(got, want) {
			t.Errorf("on %s supported are %v, want %v", at, got, want)
		}
	}
}

func TestSupportEnd(t *testing.T) {
	c := load(t)
	for _, want := range []struct {
		minor  Minor
		end    string
		origin Origin
	}{
		{22, "2022-12-08", Official},
		{34, "2026-10-27", Official},
		{35, "2027-02-28", Planned},
		{37, "2027-10-28", Planned},
		{38, "2028-02-28", Estimated},
		{41, "2029-02-28", Estimated}, // 1.38 plus a year
		{49, "2031-10-28", Estimated},
	} {
		end, origin, ok := c.SupportEnd(want.minor)
		if !ok || end != day(t, want.end) || origin != want.origin {
			t.Errorf("support of %s ends %s (%s), %v; want %s (%s)", want.minor, end, origin, ok, want.end, want.origin)
		}
	}
	for _, m := range []Minor{-1, 0, 15, 50, maxMinor} {
		if end, _, ok := c.SupportEnd(m); ok {
			t.Errorf("support of %s ends %s, but nobody can know", m, end)
		}
	}
}

func TestStale(t *testing.T) {
	c := load(t)
	for _, fresh := range []string{"2020-01-01", "2026-11-22", "2027-03-22"} {
		if stale, text := c.Stale(day(t, fresh)); stale || text != "" {
			t.Errorf("stale on %s: %s", fresh, text)
		}
	}
	stale, text := c.Stale(day(t, "2027-03-23"))
	want := "the release calendar is 121 days old (as of 2026-11-22): newer releases and changed support ends are missing from it"
	if !stale || text != want {
		t.Errorf("on day 121: %v, %q", stale, text)
	}
}

func TestReleasesAreACopy(t *testing.T) {
	c := load(t)
	c.Releases()[0].Minor = 99
	c.Exceptions()[0].Minor = 99
	if c.Releases()[0].Minor != 16 || c.Exceptions()[0].Minor != 16 {
		t.Error("a caller can change the calendar")
	}
}

func TestKubeletSkew(t *testing.T) {
	for apiserver, want := range map[Minor]int{18: 2, 24: 2, 25: 2, 27: 2, 28: 3, 37: 3} {
		if got := KubeletSkew(apiserver); got != want {
			t.Errorf("a kubelet may be %d minors older than API server %s, want %d", got, apiserver, want)
		}
	}
}
