// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	ics "github.com/arran4/golang-ical"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/timeline"
)

// CalendarOptions is what the caller knows about the calendar.
type CalendarOptions struct {
	// Name is what the calendar is about; empty: the cluster, or else the server or
	// the node that was looked at. Events of calendars with different names are
	// different events, so it must stay the same.
	Name string
}

// Calendar writes the deadlines of a timeline in iCalendar's format (RFC 5545): an
// event for each ID and code with a date. What is broken now has none and is not
// among them, nor is what RFC 5280 (4.1.2.5) calls a certificate without an end,
// 9999-12-31. What is accepted and what is only worth knowing has no alarms.
//
// It remembers nothing of what it wrote before, and calendar programs still have
// to take a new date for an old one. So an event's UID follows from what it is
// about and not from its date, and SEQUENCE, DTSTAMP and LAST-MODIFIED from the
// instant at which was looked: of two exports the later look wins, whether an end
// has moved away or come nearer. What no longer ends cannot be cancelled without a
// memory (STATUS:CANCELLED): a program that subscribes to the calendar drops the
// event, one into which it was imported keeps it.
func Calendar(w io.Writer, t timeline.Timeline, o CalendarOptions) error {
	name := o.of(t)
	cal := newCalendar(t.Tool, name)
	cal.add(t, name)
	return cal.write(w)
}

// Calendars writes the deadlines of several clusters as one calendar.
func Calendars(w io.Writer, ts []timeline.Timeline) error {
	tool := ""
	for _, t := range ts {
		tool = cmp.Or(tool, t.Tool)
	}
	cal := newCalendar(tool, "")
	for _, t := range ts {
		cal.add(t, CalendarOptions{}.of(t))
	}
	return cal.write(w)
}

// of is the name of a timeline's calendar.
func (o CalendarOptions) of(t timeline.Timeline) string {
	return cmp.Or(o.Name, string(t.Cluster), t.Scope.Server, string(t.Scope.Node), strings.Join(t.Scope.Endpoints, " "))
}

// icalendar is a calendar on its way out.
type icalendar struct{ *ics.Calendar }

func newCalendar(tool, name string) icalendar {
	cal := icalendar{ics.NewCalendarFor("")}
	cal.SetProductId("-//" + finding.Group + "//" + short(plain(cmp.Or(tool, "perennial"))) + "//EN")
	cal.SetName(strings.TrimSpace("Kubernetes deadlines " + short(plain(name))))
	cal.SetRefreshInterval("PT12H") // the library adds the type of the value
	cal.SetXPublishedTTL("PT12H")
	return cal
}

func (c icalendar) add(t timeline.Timeline, name string) {
	seen := t.ObservedAt
	if seen.IsZero() {
		seen = t.At
	}
	for _, d := range deadlines(t.Items, name) {
		d.event(c.Calendar, short(plain(name)), seen)
	}
}

func (c icalendar) write(w io.Writer) error {
	var b bytes.Buffer
	if err := c.SerializeTo(&b, ics.WithNewLineWindows); err != nil {
		return fmt.Errorf("writing the calendar: %w", err)
	}
	return write(w, b.Bytes())
}

// SameDeadlines says whether two calendars differ in nothing but when was looked.
// Whoever keeps a file up to date leaves it then as it is: programs that read it
// would take every event for a changed one.
func SameDeadlines(a, b []byte) bool { return bytes.Equal(undated(a), undated(b)) }

func undated(calendar []byte) []byte {
	var kept []byte
	for line := range bytes.Lines(calendar) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "DTSTAMP", "LAST-MODIFIED", "SEQUENCE":
		default:
			kept = append(kept, line...)
		}
	}
	return kept
}

// deadline is an item with a date, and the UID of its event.
type deadline struct {
	timeline.Item
	uid string
}

// deadlines are in the order of their dates. Of two about the same, such as an
// object that stands twice in a file, the earlier is there.
func deadlines(items []timeline.Item, name string) []deadline {
	var all []deadline
	for _, i := range items {
		if !i.End.Date.IsZero() && i.End.Date.Year() < 9999 {
			all = append(all, deadline{i, uid(name, i)})
		}
	}
	slices.SortStableFunc(all, func(a, b deadline) int {
		return cmp.Or(a.End.Date.Compare(b.End.Date), strings.Compare(string(a.ID), string(b.ID)), strings.Compare(string(a.Code), string(b.Code)), strings.Compare(a.uid, b.uid))
	})
	known := map[string]bool{}
	return slices.DeleteFunc(all, func(d deadline) bool {
		again := known[d.uid]
		known[d.uid] = true
		return again
	})
}

// uid is a UUID of version 8 (RFC 9562, 5.8) that follows from what an item is
// about. It says nothing about it, as RFC 7986 (5.3) asks for.
func uid(name string, i timeline.Item) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{name, string(i.ID), string(i.Code), i.File}, "\x00")))
	id := sum[:16]
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
}

func (d deadline) event(cal *ics.Calendar, name string, seen time.Time) {
	e := cal.AddEvent(d.uid)
	e.SetDtStampTime(seen)
	e.SetModifiedAt(seen)
	e.SetSequence(sequence(seen))
	e.SetStartAt(d.End.Date)
	e.SetSummary(d.summary(name))
	e.SetDescription(d.description())
	e.AddCategory(plain(d.State()))
	e.SetClass(ics.ClassificationPrivate)
	e.SetTimeTransparency(ics.TransparencyTransparent) // nobody is busy then
	e.SetStatus(ics.ObjectStatusConfirmed)
	if d.End.Basis == finding.Estimated {
		e.SetStatus(ics.ObjectStatusTentative)
	}
	if d.Counts {
		d.alarms(e, e.GetProperty(ics.ComponentPropertySummary).Value)
	}
}

// sequence grows by one a second, and fits into the 32 bits that RFC 5545 (3.3.8)
// has for an integer until the year 2093.
func sequence(seen time.Time) int {
	since := seen.Unix() - time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	return int(min(max(since, 0), math.MaxInt32))
}

// alarms are at the instant from which it is due, and 30, 7 and 1 day before the
// end. Before it is due somebody else is expected to take the end away, such as
// the kubelet, and nobody has to be woken.
func (d deadline) alarms(e *ics.VEvent, text string) {
	alarm := func(trigger string, params ...ics.PropertyParameter) {
		a := e.AddAlarm()
		a.SetAction(ics.ActionDisplay)
		a.SetDescription(text)
		a.SetTrigger(trigger, params...)
	}
	if !d.DueFrom.IsZero() {
		alarm(d.DueFrom.UTC().Format("20060102T150405Z"), ics.WithValue(string(ics.ValueDataTypeDateTime)))
	}
	for _, days := range []int{30, 7, 1} {
		if d.End.Date.AddDate(0, 0, -days).After(d.DueFrom) {
			alarm(fmt.Sprintf("-P%dD", days))
		}
	}
}

// summary has the calendar's name before it and the node's, where that is another
// one: whoever reads it has other calendars, too.
func (d deadline) summary(name string) string {
	where := name
	if node := short(plain(d.ID.Node())); d.Object == nil && node != name {
		where = strings.TrimSpace(name + " " + node)
	}
	text := where + ": " + short(plain(d.Title))
	switch d.End.Basis {
	case finding.Estimated, finding.Planned:
		text += " (" + string(d.End.Basis) + ")"
	}
	return text
}

func (d deadline) description() string {
	ends := "Ends: " + d.End.Date.UTC().Format(time.DateTime) + " UTC, " + plain(d.End.Basis)
	if d.End.Version != "" {
		ends = "Ends: with Kubernetes " + plain(d.End.Version) + "; that is about " + d.End.Date.UTC().Format(time.DateOnly) + ", " + plain(d.End.Basis)
	}
	lines := []string{plain(d.Effect), plain(d.Reason), ends, "State: " + plain(d.Verdict) + ", " + plain(d.Because)}
	if a := d.Accepted; a != nil {
		lines = append(lines, "Accepted until "+a.Until.UTC().Format(time.DateOnly)+": "+plain(a.Reason))
	}
	if d.File != "" {
		lines = append(lines, "In: "+whereOf(d.Item))
	}
	if d.Fix != "" {
		lines = append(lines, "Fix: "+plain(d.Fix))
	}
	lines = append(lines, plain(d.ID)+" "+plain(d.Code))
	var kept []string
	for _, line := range lines {
		if line != "" {
			kept = append(kept, short(line))
		}
	}
	return strings.Join(kept, "\n")
}

// short bounds a line that others may have made long.
func short(line string) string { return elide(line, 500) }
