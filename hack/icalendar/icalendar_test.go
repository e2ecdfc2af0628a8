// SPDX-License-Identifier: Apache-2.0

package icalendar

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/emersion/go-ical"
)

const golden = "../../internal/report/testdata/"

// timeline is what the test needs of the product's JSON.
type timeline struct {
	Cluster    string    `json:"cluster"`
	ObservedAt time.Time `json:"observedAt"`
	Scope      struct {
		Node string `json:"node"`
	} `json:"scope"`
	Items []item `json:"items"`
}

type item struct {
	ID, Code, Title, Verdict, Effect, Reason, Fix string

	Counts   bool      `json:"counts"`
	DueFrom  time.Time `json:"dueFrom"`
	Accepted *struct {
		Until time.Time `json:"until"`
	} `json:"accepted"`
	End struct {
		Date  time.Time `json:"date"`
		Basis string    `json:"basis"`
	} `json:"end"`
}

func TestEveryEventIsAnItem(t *testing.T) {
	for _, c := range []struct {
		calendar, timeline string
		hostile            bool
	}{{"calendar.ics", "timeline.json", false}, {"calendar-hostile.ics", "calendar-hostile.json", true}} {
		t.Run(c.calendar, func(t *testing.T) {
			tl, cal := readTimeline(t, c.timeline), readCalendar(t, c.calendar)
			found := map[string]bool{}
			for _, e := range cal.Events() {
				id := text(t, e.Props, ical.PropUID)
				if found[id] {
					t.Errorf("two events have the UID %s", id)
				}
				found[id] = true
			}
			dated := 0
			for _, i := range tl.Items {
				if i.End.Date.IsZero() {
					continue
				}
				dated++
				e := eventOf(t, cal, i)
				compare(t, e, i, tl)
				if !c.hostile {
					compareText(t, e, i)
				}
			}
			if dated != len(cal.Events()) || dated == 0 {
				t.Errorf("%d events for %d items with a date", len(cal.Events()), dated)
			}
		})
	}
}

func readTimeline(t *testing.T, name string) (tl timeline) {
	t.Helper()
	body, err := os.ReadFile(golden + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(body, &tl); err != nil {
		t.Fatal(err)
	}
	return tl
}

// readCalendar reads a calendar, and has it written again: the writer refuses what
// lacks a property that has to be there, or has one twice.
func readCalendar(t *testing.T, name string) *ical.Calendar {
	t.Helper()
	body, err := os.ReadFile(golden + name)
	if err != nil {
		t.Fatal(err)
	}
	cal, err := ical.NewDecoder(bytes.NewReader(body)).Decode()
	if err != nil {
		t.Fatal(err)
	}
	if err := ical.NewEncoder(&bytes.Buffer{}).Encode(cal); err != nil {
		t.Error(err)
	}
	if version, product := text(t, cal.Props, ical.PropVersion), text(t, cal.Props, ical.PropProductID); version != "2.0" || !strings.HasPrefix(product, "-//perennial.dev//") {
		t.Errorf("version %q of %q", version, product)
	}
	return cal
}

func text(t *testing.T, props ical.Props, name string) string {
	t.Helper()
	value, err := props.Text(name)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if strings.ContainsFunc(strings.ReplaceAll(value, "\n", ""), func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }) {
		t.Errorf("%s hides or moves something: %q", name, value)
	}
	return value
}

func instant(t *testing.T, props ical.Props, name string) time.Time {
	t.Helper()
	at, err := props.DateTime(name, nil)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	if !strings.HasSuffix(props.Get(name).Value, "Z") {
		t.Errorf("%s is not in UTC: %s", name, props.Get(name).Value)
	}
	return at
}

// eventOf finds the event by the last line of its description, "ID Code", or of a
// hostile name by its date, which no other has.
func eventOf(t *testing.T, cal *ical.Calendar, i item) *ical.Event {
	t.Helper()
	var byDate []*ical.Event
	for _, e := range cal.Events() {
		if strings.HasSuffix(text(t, e.Props, ical.PropDescription), "\n"+i.ID+" "+i.Code) {
			return &e
		}
		if instant(t, e.Props, ical.PropDateTimeStart).Equal(i.End.Date) {
			byDate = append(byDate, &e)
		}
	}
	if len(byDate) != 1 {
		t.Fatalf("%d events may be that of %q %s", len(byDate), i.ID, i.Code)
	}
	return byDate[0]
}

func compare(t *testing.T, e *ical.Event, i item, tl timeline) {
	t.Helper()
	at := instant(t, e.Props, ical.PropDateTimeStart)
	if !at.Equal(i.End.Date) {
		t.Errorf("%s: the event is at %s, want %s", i.ID, at, i.End.Date)
	}
	for _, name := range []string{ical.PropDateTimeStamp, ical.PropLastModified} {
		if got := instant(t, e.Props, name); !got.Equal(tl.ObservedAt) {
			t.Errorf("%s: %s is %s, want %s", i.ID, name, got, tl.ObservedAt)
		}
	}
	state := i.Verdict
	switch {
	case i.Accepted != nil:
		state = "accepted"
	case !i.Counts:
		state = "notice"
	}
	for name, want := range map[string]string{ical.PropCategories: state, ical.PropClass: "PRIVATE", ical.PropTransparency: "TRANSPARENT"} {
		if got := text(t, e.Props, name); got != want {
			t.Errorf("%s: %s is %q, want %q", i.ID, name, got, want)
		}
	}
	if e.Props.Get(ical.PropURL) != nil || e.Props.Get(ical.PropDateTimeEnd) != nil || e.Props.Get(ical.PropSequence) == nil {
		t.Errorf("%s: want no URL, no end, and a sequence: %v", i.ID, e.Props)
	}
	summary := text(t, e.Props, ical.PropSummary)
	title := []rune(i.Title)
	if !strings.Contains(summary, ": "+string(title[:min(len(title), 200)])) {
		t.Errorf("%s: the summary is %q, the title %q", i.ID, summary, i.Title)
	}
	if got, want := fmt.Sprint(alarms(t, e, summary)), fmt.Sprint(alarmsOf(i)); got != want {
		t.Errorf("%s: alarms at %s, want %s", i.ID, got, want)
	}
}

// compareText compares what the product escapes: what is not hostile is as it was.
func compareText(t *testing.T, e *ical.Event, i item) {
	t.Helper()
	description := "\n" + text(t, e.Props, ical.PropDescription) + "\n"
	lines := []string{"Ends: " + i.End.Date.UTC().Format("2006-01-02 15:04:05") + " UTC, " + i.End.Basis, i.Effect, i.Reason, i.ID + " " + i.Code}
	if i.Fix != "" {
		lines = append(lines, "Fix: "+i.Fix)
	}
	for _, line := range lines {
		if line != "" && !strings.Contains(description, "\n"+line+"\n") {
			t.Errorf("%s: no line %q in %q", i.ID, line, description)
		}
	}
	if planned := strings.HasSuffix(text(t, e.Props, ical.PropSummary), " (planned)"); planned != (i.End.Basis == "planned") {
		t.Errorf("%s: %q, and the date is %s", i.ID, text(t, e.Props, ical.PropSummary), i.End.Basis)
	}
}

// alarms are the instants at which a program shows the event.
func alarms(t *testing.T, e *ical.Event, summary string) (all []time.Time) {
	t.Helper()
	for _, child := range e.Children {
		if child.Name != ical.CompAlarm {
			t.Errorf("an event has a %s", child.Name)
			continue
		}
		if text(t, child.Props, ical.PropAction) != "DISPLAY" || text(t, child.Props, ical.PropDescription) != summary {
			t.Errorf("an alarm is %v", child.Props)
		}
		trigger := child.Props.Get(ical.PropTrigger)
		if trigger.Params.Get(ical.ParamValue) == "DATE-TIME" {
			at, err := trigger.DateTime(nil)
			if err != nil {
				t.Error(err)
			}
			all = append(all, at)
			continue
		}
		before, err := trigger.Duration()
		if err != nil {
			t.Error(err)
		}
		all = append(all, instant(t, e.Props, ical.PropDateTimeStart).Add(before))
	}
	return all
}

// alarmsOf are when it is due, and 30, 7 and 1 day before its end where that is
// later; none for what does not count.
func alarmsOf(i item) (all []time.Time) {
	if !i.Counts {
		return nil
	}
	if !i.DueFrom.IsZero() {
		all = append(all, i.DueFrom)
	}
	for _, days := range []time.Duration{30, 7, 1} {
		if at := i.End.Date.Add(-days * 24 * time.Hour); at.After(i.DueFrom) {
			all = append(all, at)
		}
	}
	return all
}
