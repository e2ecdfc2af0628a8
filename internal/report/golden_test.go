// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/timeline"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file under testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; if the new one is right, run go test ./internal/report -update\ngot:\n%s", path, got)
	}
}

func TestTimelineGoldens(t *testing.T) {
	cases := []struct {
		name   string
		format Format
		o      Options
	}{
		{"table.txt", FormatTable, Options{Width: 120}},
		{"table-80.txt", FormatTable, Options{Width: 80}},
		{"table-60.txt", FormatTable, Options{Width: 60}},
		{"table-color.txt", FormatTable, Options{Width: 120, Color: true}},
		{"wide.txt", FormatWide, Options{Width: 80}},
		{"timeline.json", FormatJSON, Options{}},
		{"timeline.yaml", FormatYAML, Options{}},
		{"timeline.md", FormatMarkdown, Options{}},
		{"timeline.sarif", FormatSARIF, Options{}},
		{"timeline.junit.xml", FormatJUnit, Options{}},
		{"calendar.ics", FormatICS, Options{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			golden(t, c.name, render(t, c.format, fixture(), c.o))
		})
	}
}

func TestASavedTimelineRendersTheSame(t *testing.T) {
	saved := render(t, FormatJSON, fixture(), Options{})
	read, err := timeline.Read(bytes.NewReader(saved))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range ours() {
		fresh := render(t, f, fixture(), Options{Width: 100})
		again := render(t, f, read, Options{Width: 100})
		if !bytes.Equal(fresh, again) {
			t.Errorf("%s: a saved timeline renders differently:\n%s\ninstead of\n%s", f, again, fresh)
		}
	}
}

// ours are the formats that this package writes.
func ours() (all []Format) {
	for _, f := range Formats {
		if f.Format != FormatHTML && f.Format != FormatPrometheus {
			all = append(all, f.Format)
		}
	}
	return all
}

func render(t *testing.T, f Format, tl timeline.Timeline, o Options) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Timeline(&b, f, tl, o); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestExplainGolden(t *testing.T) {
	tl := fixture()
	var about []timeline.Item
	for _, i := range tl.Items {
		if i.ID.Name() == "scheduler.conf" || i.ID.Name() == "apiserver-loopback" {
			about = append(about, i)
		}
	}
	info, _ := finding.Explain(finding.ClientIdentityStale)
	var b bytes.Buffer
	if err := Explain(&b, info, about, Options{Width: 80, Now: tl.At}); err != nil {
		t.Fatal(err)
	}
	golden(t, "explain.txt", b.Bytes())
}

func TestReleasesGoldens(t *testing.T) {
	c, err := release.Load()
	if err != nil {
		t.Fatal(err)
	}
	r := ReleasesAt(c, seen)
	for name, o := range map[string]Options{"releases.txt": {Width: 110}, "releases-60.txt": {Width: 60}, "releases-wide.txt": {Wide: true}} {
		var b bytes.Buffer
		if err := WriteReleases(&b, FormatTable, r, o); err != nil {
			t.Fatal(err)
		}
		fits(t, name, b.String(), o)
	}
	var b bytes.Buffer
	if err := WriteReleases(&b, FormatTable, r, Options{Width: 110}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nMINOR ", "\n1.37 ", "\n1.16 ", "Supported on 2026-11-22: 1.35, 1.36, 1.37."} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the calendar has no %q:\n%s", want, &b)
		}
	}
}

// The rows themselves are the calendar's affair; here only how one is told.
func TestReleaseStates(t *testing.T) {
	c, err := release.Load()
	if err != nil {
		t.Fatal(err)
	}
	at := func(day string) time.Time {
		d, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	row, _ := c.Lookup(35)
	end := row.End().Day.Format(time.DateOnly)
	for _, want := range []struct {
		day   string
		state ReleaseState
		left  string
	}{
		{"2020-01-01", Ahead, "7y"},
		{end, InMaintenance, "24h"},
		{row.End().Day.AddDate(0, 0, 2).Format(time.DateOnly), Ended, "24h ago"},
	} {
		for _, r := range ReleasesAt(c, at(want.day)).Releases {
			if r.Minor != "1.35" {
				continue
			}
			if r.State != want.state {
				t.Errorf("on %s 1.35 is %s, want %s", want.day, r.State, want.state)
			}
			if got := releaseCells(r, at(want.day), false)[4].text; got != want.left {
				t.Errorf("on %s 1.35 has %s left, want %s", want.day, got, want.left)
			}
		}
	}
}

func TestResidual(t *testing.T) {
	now := seen
	for _, c := range []struct {
		left time.Duration
		want string
	}{
		{0, "0s"},
		{time.Second, "1s"},
		{119 * time.Second, "119s"},
		{2 * time.Minute, "2m"},
		{2*time.Hour - time.Second, "119m"},
		{2 * time.Hour, "2h"},
		{31 * time.Hour, "31h"},
		{48*time.Hour - time.Second, "47h"},
		{48 * time.Hour, "2d"},
		{365*24*time.Hour - time.Second, "364d"},
		{365 * 24 * time.Hour, "1y"},
		{3649 * 24 * time.Hour, "9y"},
		{-time.Second, "1s ago"},
		{-50 * time.Hour, "2d ago"},
	} {
		if got := Residual(now.Add(c.left), now); got != c.want {
			t.Errorf("%s left is %q, want %q", c.left, got, c.want)
		}
	}
	if got := Residual(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), now); got != "7978y" {
		t.Errorf("until the year 9999 it is %q", got)
	}
}

func TestFormats(t *testing.T) {
	for _, f := range Formats {
		if got, err := ParseFormat(string(f.Format)); err != nil || got != f.Format {
			t.Errorf("ParseFormat(%s) = %s, %v", f.Format, got, err)
		}
		if f.Help == "" || strings.Contains(f.Help, "\n") {
			t.Errorf("%s: help is %q, want one line", f.Format, f.Help)
		}
	}
	_, err := ParseFormat("xml\x1b[31m")
	want := `unknown output format "xml\\x1b[31m": want one of table, wide, json, yaml, html, markdown, ics, prometheus, sarif, junit`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	for _, f := range []Format{"xml", FormatHTML, FormatPrometheus} {
		for _, n := range []int{1, 2} {
			if err := Timelines(&bytes.Buffer{}, f, make([]timeline.Timeline, n), Options{}); err == nil {
				t.Errorf("%d timelines are written as %s", n, f)
			}
		}
	}
}
