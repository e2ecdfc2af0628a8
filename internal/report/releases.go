// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
)

// Releases is the release calendar as seen at an instant, for programs.
type Releases struct {
	APIVersion string       `json:"apiVersion"`
	Kind       string       `json:"kind"`
	At         time.Time    `json:"at"`
	AsOf       string       `json:"asOf"`            // the day on which the data was true
	Stale      string       `json:"stale,omitempty"` // a sentence, when the data is old
	Supported  []string     `json:"supported"`       // minors, oldest first
	Releases   []ReleaseRow `json:"releases"`        // newest first
}

// ReleaseRow is one minor release. Days are "2027-02-28"; the last day counts.
type ReleaseRow struct {
	Minor       string       `json:"minor"`
	State       ReleaseState `json:"state"`
	Released    *Day         `json:"released,omitempty"`
	Maintenance *Day         `json:"maintenance,omitempty"` // from then on critical fixes only
	PlannedEnd  *Day         `json:"plannedEnd,omitempty"`
	Ended       *Day         `json:"ended,omitempty"`
	// StartBy is the last safe day to start upgrading, at 28 days for each
	// minor, so that support never lapses. Absent where it is too late.
	StartBy   string `json:"startBy,omitempty"`
	LastPatch string `json:"lastPatch,omitempty"`
	Path      string `json:"path,omitempty"` // the way to a supported release, a sentence
}

// Day is a day with where it comes from.
type Day struct {
	Day      string         `json:"day"`
	Origin   release.Origin `json:"origin"`
	Citation string         `json:"citation,omitempty"`
}

// ReleaseState says where a release stands.
type ReleaseState string

// The states.
const (
	Ahead         ReleaseState = "ahead"       // not released yet
	Supported     ReleaseState = "supported"   // gets all fixes
	InMaintenance ReleaseState = "maintenance" // gets critical fixes only
	Ended         ReleaseState = "ended"
)

// ReleasesAt lists the calendar as it is at an instant.
func ReleasesAt(c *release.Calendar, at time.Time) Releases {
	out := Releases{
		APIVersion: finding.APIVersion,
		Kind:       "Releases",
		At:         at.UTC().Truncate(time.Second),
		AsOf:       c.AsOf().Format(time.DateOnly),
		Supported:  []string{},
		Releases:   []ReleaseRow{},
	}
	_, out.Stale = c.Stale(at)
	supported := c.Supported(at)
	for _, m := range supported {
		out.Supported = append(out.Supported, m.String())
	}
	for _, r := range slices.Backward(c.Releases()) {
		row := ReleaseRow{
			Minor:       r.Minor.String(),
			State:       stateOf(r, at, slices.Contains(supported, r.Minor)),
			Released:    dayOf(r.Released),
			Maintenance: dayOf(r.Maintenance),
			PlannedEnd:  dayOf(r.PlannedEnd),
			Ended:       dayOf(r.Ended),
		}
		if !r.LastPatchDate.IsZero() {
			row.LastPatch = r.LastPatch.String()
		}
		if row.State == Supported || row.State == InMaintenance {
			start, path, ok := c.LastSafeStart(r.Minor, at, release.DefaultPace)
			row.Path = path.String()
			if ok {
				row.StartBy = start.Format(time.DateOnly)
			}
		}
		out.Releases = append(out.Releases, row)
	}
	return out
}

func stateOf(r release.Release, at time.Time, supported bool) ReleaseState {
	switch {
	case supported && !r.Maintenance.IsZero() && !at.Before(r.Maintenance.Day):
		return InMaintenance
	case supported:
		return Supported
	case at.Before(r.Released.Day):
		return Ahead
	}
	return Ended
}

func dayOf(d release.Date) *Day {
	if d.IsZero() {
		return nil
	}
	return &Day{Day: d.Day.Format(time.DateOnly), Origin: d.Origin, Citation: d.Citation}
}

// WriteReleases writes the calendar in a format.
func WriteReleases(w io.Writer, f Format, r Releases, o Options) error {
	switch f {
	case FormatTable, FormatWide:
		o.Wide = o.Wide || f == FormatWide
		return releasesTable(w, r, o)
	case FormatJSON:
		return JSON(w, r)
	case FormatYAML:
		return YAML(w, r)
	}
	_, err := ParseFormat(string(f))
	return err
}

// releasesNarrower is how the calendar becomes narrower until it fits.
var releasesNarrower = []step{
	{"MAINTENANCE", drop, 0},
	{"LAST PATCH", drop, 0},
	{"RELEASED", drop, 0},
	{"SUPPORT ENDS", shorten, 0}, // without the origin
	{"START BY", drop, 0},
}

func releasesTable(w io.Writer, r Releases, o Options) error {
	p := &page{width: o.Width, color: o.Color}
	if o.Wide {
		p.width = 0
	}
	p.text("", "Kubernetes releases as of "+r.AsOf+".", 2)
	if r.Stale != "" {
		p.text(yellow, "Note: "+plain(r.Stale)+".", 2)
	}
	p.gap()
	p.text(bold, fmt.Sprintf("Supported on %s: %s.", r.At.Format(time.DateOnly), orNone(strings.Join(r.Supported, ", "))), 2)
	p.gap()
	g := &grid{heads: []string{"MINOR", "RELEASED", "MAINTENANCE", "SUPPORT ENDS", "LEFT", "START BY", "LAST PATCH", "STATE"}}
	if o.Wide {
		g.heads = append(g.heads, "SOURCE OF THE END")
	}
	for _, row := range r.Releases {
		g.rows = append(g.rows, releaseCells(row, r.At, o.Wide))
	}
	if p.width > 0 {
		g.fit(p.width, releasesNarrower)
	}
	g.write(p)
	return write(w, []byte(p.finished()))
}

func orNone(s string) string {
	if s == "" {
		return "none that is known"
	}
	return s
}

func releaseCells(row ReleaseRow, at time.Time, wide bool) []cell {
	end := row.Ended
	if end == nil {
		end = row.PlannedEnd
	}
	cells := []cell{
		{text: plain(row.Minor)},
		{text: dayText(row.Released)},
		{text: dayText(row.Maintenance)},
		{text: dayText(end) + originText(end), short: dayText(end)},
		{text: dayLeft(end, at)},
		{text: orDash(plain(row.StartBy))},
		{text: orDash(plain(row.LastPatch))},
		{text: plain(row.State), style: releaseStyles[row.State]},
	}
	if wide {
		source := "-"
		if end != nil {
			source = orDash(plain(end.Citation))
		}
		cells = append(cells, cell{text: source})
	}
	return cells
}

var releaseStyles = map[ReleaseState]string{Supported: green, InMaintenance: yellow, Ended: faint, Ahead: faint}

func dayText(d *Day) string {
	if d == nil {
		return "-"
	}
	return plain(d.Day)
}

// originText marks a day that is not yet a fact.
func originText(d *Day) string {
	if d == nil || d.Origin != release.Planned && d.Origin != release.Estimated {
		return ""
	}
	return " " + string(d.Origin)
}

// dayLeft counts to the end of the last day.
func dayLeft(d *Day, at time.Time) string {
	if d == nil {
		return "-"
	}
	day, err := time.Parse(time.DateOnly, d.Day)
	if err != nil {
		return "-"
	}
	return Residual(day.AddDate(0, 0, 1), at)
}
