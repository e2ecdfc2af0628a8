// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strconv"
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

// narrower is how the table becomes narrower, in this order, until it fits.
var narrower = []step{
	{"CREDENTIAL", elideTo, 40},
	{"ENDS (UTC)", shorten, 0}, // without the time of day
	{"KEPT BY", drop, 0},
	{"SIGNED BY", drop, 0},
	{"CREDENTIAL", elideTo, 16},
	{"LEFT", drop, 0},
	{"CREDENTIAL", elideTo, 10},
}

func (v *view) grid(rows []timeline.Item) *grid {
	g := &grid{heads: []string{"CREDENTIAL", "ENDS (UTC)", "LEFT", "SIGNED BY", "KEPT BY", "STATE"}}
	if v.o.Wide {
		g.heads = append(g.heads, "DUE FROM", "BASIS", "CODE", "ISSUER ID", "SERIAL", "FINGERPRINT", "PATH")
	}
	for _, i := range rows {
		word, style := state(i)
		row := []cell{
			{text: v.name(i.ID)},
			{text: ends(i, "2006-01-02 15:04"), short: ends(i, time.DateOnly)},
			{text: left(i, v.now)},
			{text: signedBy(i)},
			{text: timeline.KeptBy(i.Keeper)},
			{text: word, style: style},
		}
		if v.o.Wide {
			row[1].text = ends(i, time.RFC3339)
			row = append(row, wide(i)...)
		}
		g.rows = append(g.rows, row)
	}
	return g
}

// wide is what only the wide table has.
func wide(i timeline.Item) []cell {
	due := "-"
	if !i.DueFrom.IsZero() {
		due = i.DueFrom.UTC().Format(time.RFC3339)
	}
	return []cell{
		{text: due},
		{text: orDash(plain(i.End.Basis))},
		{text: plain(i.Code)},
		{text: first(i, func(e finding.Evidence) string { return string(e.IssuerID) })},
		{text: first(i, func(e finding.Evidence) string { return certificate(e).Serial })},
		{text: first(i, func(e finding.Evidence) string { return certificate(e).Fingerprint })},
		{text: first(i, place)},
	}
}

// first is the first value that the evidence of an item has.
func first(i timeline.Item, of func(finding.Evidence) string) string {
	for _, e := range i.Evidence {
		if s := of(e); s != "" {
			return plain(s)
		}
	}
	return "-"
}

func certificate(e finding.Evidence) finding.Certificate {
	if e.Certificate == nil {
		return finding.Certificate{}
	}
	return *e.Certificate
}

func place(e finding.Evidence) string {
	if e.Path != "" {
		return e.Path
	}
	return e.Endpoint
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func ends(i timeline.Item, layout string) string {
	if i.End.Date.IsZero() {
		return orDash(plain(i.End.Version))
	}
	return i.End.Date.UTC().Format(layout)
}

func left(i timeline.Item, now time.Time) string {
	if i.End.Date.IsZero() {
		return "-"
	}
	return Residual(i.End.Date, now)
}

// Residual is what is left until an end, as kubeadm prints it ("364d", "9y"),
// but exact where it matters: under two days in hours, under two hours in
// minutes, under two minutes in seconds. What has passed is "3d ago".
func Residual(end, now time.Time) string {
	secs := end.Unix() - now.Unix()
	if secs < 0 {
		return residual(-secs) + " ago"
	}
	return residual(secs)
}

func residual(secs int64) string {
	const minute, hour, day, year = 60, 3600, 86400, 365 * 86400
	switch {
	case secs >= year:
		return strconv.FormatInt(secs/year, 10) + "y"
	case secs >= 2*day:
		return strconv.FormatInt(secs/day, 10) + "d"
	case secs >= 2*hour:
		return strconv.FormatInt(secs/hour, 10) + "h"
	case secs >= 2*minute:
		return strconv.FormatInt(secs/minute, 10) + "m"
	}
	return strconv.FormatInt(secs, 10) + "s"
}

// signedBy is the name of the issuer, found by verifying.
func signedBy(i timeline.Item) string {
	for _, e := range i.Evidence {
		switch {
		case e.IssuerID == "":
		case e.IssuerID == i.ID:
			return "itself"
		case e.IssuerID.Node() == i.ID.Node():
			return plain(e.IssuerID.Name())
		default:
			return plain(e.IssuerID)
		}
	}
	for _, e := range i.Evidence {
		if c := certificate(e); c.CA && c.Subject == c.Issuer {
			return "itself"
		}
	}
	return "-"
}

// okShown is how many rows that are ok a table shows, of leaves and of CAs
// each, before it folds the rest.
const okShown = 16

// folded leaves out the later ones of very many rows that are ok.
func (v *view) folded() (shown, hidden []timeline.Item) {
	if v.o.Wide {
		return v.rows, nil
	}
	leaves, anchors := 0, 0
	for _, i := range v.rows {
		n := &leaves
		if i.Code == finding.CAExpires {
			n = &anchors
		}
		if i.Verdict == policy.OK {
			if *n++; *n > okShown {
				hidden = append(hidden, i)
				continue
			}
		}
		shown = append(shown, i)
	}
	return shown, hidden
}

func (v *view) table() {
	rows, hidden := v.folded()
	if len(rows) == 0 {
		return
	}
	g := v.grid(rows)
	if v.width > 0 {
		g.fit(v.width, narrower)
	}
	g.write(&v.page)
	if len(hidden) > 0 {
		v.text(faint, fmt.Sprintf("and %d more that are ok, the next of them ends %s; -o wide shows them",
			len(hidden), timeline.When(hidden[0].End.Date, v.now)), 2)
	}
	v.gap()
}
