// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

func calendar(t *testing.T, tl timeline.Timeline, o CalendarOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := Calendar(&b, tl, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// property is a line of a calendar, unfolded and not unescaped.
type property struct{ name, value string }

// events are those of a calendar by their UIDs, with the properties of their alarms among
// them. That programs understand the same is tested in module hack, with a reader
// that is not ours.
func events(t *testing.T, text string) map[string][]property {
	t.Helper()
	all, uid := map[string][]property{}, ""
	var within []property
	for line := range strings.SplitSeq(strings.TrimSuffix(strings.ReplaceAll(text, "\r\n ", ""), "\r\n"), "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			t.Fatalf("no property: %q", line)
		}
		switch {
		case line == "BEGIN:VEVENT":
			within, uid = nil, ""
		case line == "END:VEVENT":
			if all[uid] != nil {
				t.Errorf("two events have the UID %s", uid)
			}
			all[uid] = within
		case name == "UID":
			uid = value
		default:
			within = append(within, property{name, value})
		}
	}
	return all
}

func value(t *testing.T, of []property, name string) string {
	t.Helper()
	for _, p := range of {
		if p.name == name {
			return p.value
		}
	}
	t.Errorf("no %s in %v", name, of)
	return ""
}

// wellFormed holds a calendar to RFC 5545, 3.1: lines of at most 75 octets that end
// with CR LF and are folded between characters, and nothing but text in them.
func wellFormed(t *testing.T, name, text string) {
	t.Helper()
	for n, line := range strings.SplitAfter(text, "\r\n") {
		if line == "" {
			continue
		}
		body, ended := strings.CutSuffix(line, "\r\n")
		if !ended || len(body) > 75 || !utf8.ValidString(body) || strings.ContainsAny(body, "\r\n") || body == "" {
			t.Errorf("%s: line %d has %d octets: %q", name, n+1, len(body), line)
		}
	}
	safe(t, name, strings.ReplaceAll(text, "\r\n", "\n"))
	if !strings.HasPrefix(text, "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:") || !strings.HasSuffix(text, "END:VCALENDAR\r\n") {
		t.Errorf("%s: %.200q", name, text)
	}
}

func TestCalendarGolden(t *testing.T) {
	text := calendar(t, fixture(), CalendarOptions{})
	wellFormed(t, "calendar.ics", text)
	golden(t, "calendar.ics", []byte(text))
}

func TestOneCalendarForSeveralClusters(t *testing.T) {
	one, other := fixture(), fixture()
	one.Cluster, other.Cluster = "north", "south"
	var b bytes.Buffer
	if err := Timelines(&b, FormatICS, []timeline.Timeline{one, other}, Options{}); err != nil {
		t.Fatal(err)
	}
	wellFormed(t, "two clusters", b.String())
	got, want := events(t, b.String()), events(t, calendar(t, one, CalendarOptions{}))
	if len(got) != 2*len(want) || strings.Count(b.String(), "BEGIN:VCALENDAR") != 1 {
		t.Errorf("%d events in\n%s", len(got), &b)
	}
	for uid, event := range want {
		if fmt.Sprint(got[uid]) != fmt.Sprint(event) {
			t.Errorf("the event %s is\n%v\nbeside another cluster, and\n%v\nalone", uid, got[uid], event)
		}
	}
}

// estimated is a timeline with what the fixture lacks.
func estimated(end time.Time) timeline.Timeline {
	pod := finding.Finding{
		Code: finding.APIRemoved, ID: "manifest/batch/CronJob/default/backup", Class: finding.Fault, Keeper: finding.KeeperOwner, File: "cron.yaml", Line: 3,
		End: finding.End{Version: "1.25", Date: end, Basis: finding.Estimated}, Impact: finding.Breaks,
		Object: &finding.Object{APIVersion: "batch/v1beta1", Kind: "CronJob", Namespace: "default", Name: "backup"},
	}
	again := pod
	again.Line, again.End.Date = 40, end.AddDate(0, 0, 9)
	elsewhere := pod
	elsewhere.File = "other.yaml"
	never := cert("etcd-peer", "etcd-ca", "/etc/kubernetes/pki/etcd/peer.crt")
	never.End, never.Life = finding.At(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)), finding.Life{}
	short := cert("apiserver", "ca", "/etc/kubernetes/pki/apiserver.crt")
	short.Life = finding.Life{Start: seen, End: seen.Add(6 * time.Minute)}
	short.End = finding.At(short.Life.End)
	return timeline.Build([]finding.Finding{pod, again, elsewhere, never, short}, nil, policy.Default(), seen, timeline.Envelope{Cluster: "prod", ObservedAt: seen})
}

func TestCalendarTellsWhatIsEstimated(t *testing.T) {
	end := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	text := calendar(t, estimated(end), CalendarOptions{})
	all := events(t, text)
	if len(all) != 3 {
		t.Fatalf("%d events, want one for each object and file, and one for the certificate with an end:\n%s", len(all), text)
	}
	for _, e := range all {
		if value(t, e, "DTSTART") != "20270301T000000Z" {
			continue
		}
		summary, description := value(t, e, "SUMMARY"), value(t, e, "DESCRIPTION")
		if !strings.HasSuffix(summary, "(estimated)") || !strings.HasPrefix(summary, "prod: ") || value(t, e, "STATUS") != "TENTATIVE" ||
			!strings.Contains(description, `with Kubernetes 1.25\; that is about 2027-03-01\, estimated`) || !strings.Contains(description, ".yaml:3") {
			t.Errorf("%s\n%s", summary, description)
		}
	}
}

// alarms of an event, by their triggers.
func alarms(e []property) (all []string) {
	for _, p := range e {
		if strings.HasPrefix(p.name, "TRIGGER") {
			all = append(all, strings.TrimPrefix(p.name, "TRIGGER")+":"+p.value)
		}
	}
	return all
}

func TestCalendarAlarms(t *testing.T) {
	all := events(t, calendar(t, fixture(), CalendarOptions{}))
	for name, want := range map[string][]string{
		"cp1/apiserver CertificateExpires":        {";VALUE=DATE-TIME:20261125T102109Z", ":-P30D", ":-P7D", ":-P1D"},
		"cp1/ca CAExpires":                        {";VALUE=DATE-TIME:20340223T102107Z", ":-P30D", ":-P7D", ":-P1D"},
		"cp1/kubelet.conf CertificateExpires":     {";VALUE=DATE-TIME:20270127T012109Z", ":-P7D", ":-P1D"}, // it is not late before
		"cp1/scheduler.conf ClientIdentityStale":  {":-P30D", ":-P7D", ":-P1D"},                            // due at once
		"cp1/super-admin.conf CertificateExpires": nil,                                                     // accepted
		"cp1/release SupportEnds":                 nil,                                                     // worth knowing
	} {
		found := false
		for _, e := range all {
			if strings.HasSuffix(value(t, e, "DESCRIPTION"), `\n`+name) {
				found = true
				if got := alarms(e); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%s has alarms %q, want %q", name, got, want)
				}
			}
		}
		if !found {
			t.Errorf("no event for %s", name)
		}
	}
	for _, e := range events(t, calendar(t, estimated(seen.AddDate(1, 0, 0)), CalendarOptions{})) {
		if value(t, e, "DTSTART") == "20261122T103600Z" {
			if got := alarms(e); fmt.Sprint(got) != "[;VALUE=DATE-TIME:20261122T103400Z]" {
				t.Errorf("a certificate of six minutes has alarms %q", got)
			}
		}
	}
}

// TestCalendarUpdates renews a certificate and looks again: events stay the same
// events, and whatever way a date moves the second export is the newer one.
func TestCalendarUpdates(t *testing.T) {
	number := func(e []property) int {
		n, err := strconv.Atoi(value(t, e, "SEQUENCE"))
		if err != nil {
			t.Error(err)
		}
		return n
	}
	for name, by := range map[string]time.Duration{"renewed": 365 * 24 * time.Hour, "shortened": -20 * 24 * time.Hour, "the same": 0} {
		at := func(seen time.Time, end time.Time) []property {
			f := cert("apiserver", "ca", "/etc/kubernetes/pki/apiserver.crt")
			f.End = finding.At(end)
			tl := timeline.Build([]finding.Finding{f}, nil, policy.Default(), seen, timeline.Envelope{ObservedAt: seen, Scope: timeline.Scope{Node: "cp1"}})
			all := events(t, calendar(t, tl, CalendarOptions{}))
			if len(all) != 1 || all["d4fc20e0-f6a6-8492-8cd6-3506b38ab818"] == nil {
				t.Fatalf("the UID of a deadline has changed: %v", all)
			}
			return all["d4fc20e0-f6a6-8492-8cd6-3506b38ab818"]
		}
		end := issued.AddDate(1, 0, 0)
		first, second := at(seen, end), at(seen.Add(time.Second), end.Add(by))
		if number(second) <= number(first) || value(t, second, "DTSTAMP") != "20261122T103001Z" || value(t, second, "LAST-MODIFIED") != "20261122T103001Z" {
			t.Errorf("%s: %v\nafter\n%v", name, second, first)
		}
		if want := end.Add(by).Format("20060102T150405Z"); value(t, second, "DTSTART") != want {
			t.Errorf("%s: the event is at %s, want %s", name, value(t, second, "DTSTART"), want)
		}
	}
	for _, c := range []struct {
		seen time.Time
		want int
	}{{time.Date(2025, 1, 1, 0, 0, 1, 0, time.UTC), 1}, {time.Unix(0, 0), 0}, {time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC), 1<<31 - 1}} {
		if got := sequence(c.seen); got != c.want {
			t.Errorf("seen %s: SEQUENCE %d, want %d", c.seen, got, c.want)
		}
	}
}

func TestCalendarsOfTwoClusters(t *testing.T) {
	one, other := events(t, calendar(t, fixture(), CalendarOptions{Name: "prod"})), events(t, calendar(t, fixture(), CalendarOptions{Name: "test"}))
	for uid := range one {
		if other[uid] != nil {
			t.Errorf("%s is an event of both", uid)
		}
		if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(uid) {
			t.Errorf("%s is no UUID of version 8", uid)
		}
	}
	for _, e := range one {
		if s := value(t, e, "SUMMARY"); !strings.HasPrefix(s, "prod cp1: ") {
			t.Errorf("%q", s)
		}
	}
}

func TestSameDeadlines(t *testing.T) {
	tl := fixture()
	first := calendar(t, tl, CalendarOptions{})
	tl.ObservedAt = tl.ObservedAt.Add(time.Hour)
	later := calendar(t, tl, CalendarOptions{})
	if first == later || !SameDeadlines([]byte(first), []byte(later)) {
		t.Error("a later look alone is a change")
	}
	tl.Items[3].End.Date = tl.Items[3].End.Date.Add(time.Second)
	if SameDeadlines([]byte(first), []byte(calendar(t, tl, CalendarOptions{}))) {
		t.Error("another date is no change")
	}
	if SameDeadlines(nil, []byte(first)) {
		t.Error("no file is the same as one")
	}
}

// everythingHostile has each name that JSON keeps, for the reader in module hack.
func everythingHostile() timeline.Timeline {
	var fs []finding.Finding
	for n, s := range hostileNames {
		if !utf8.ValidString(s) {
			continue
		}
		f := cert(fmt.Sprintf("%d-%s", n, s), "ca", s)
		f.ID = fact.ID(fmt.Sprintf("cp1/%d-%s", n, s))
		f.Effect, f.Reason, f.Fix = s, s, s+`,;:"\n\`+s
		f.End.Date = f.End.Date.Add(time.Duration(n) * time.Hour)
		fs = append(fs, f)
	}
	return timeline.Build(fs, nil, policy.Default(), seen, timeline.Envelope{Cluster: fact.Text(hostileNames[1]), ObservedAt: seen, Tool: hostileNames[4]})
}

func TestCalendarOfHostileNames(t *testing.T) {
	for n, s := range hostileNames {
		tl := hostile(s)
		text := calendar(t, tl, CalendarOptions{Name: s})
		wellFormed(t, fmt.Sprintf("name %d", n), text)
		if got, want := len(events(t, text)), strings.Count(text, "BEGIN:VEVENT"); got != want || want != 6 {
			t.Errorf("name %d: %d events, %d UIDs, want 6", n, want, got)
		}
		if len(text) > 40_000 {
			t.Errorf("name %d: %d bytes", n, len(text))
		}
	}
	tl := everythingHostile()
	text := calendar(t, tl, CalendarOptions{})
	wellFormed(t, "all names", text)
	golden(t, "calendar-hostile.ics", []byte(text))
	golden(t, "calendar-hostile.json", render(t, FormatJSON, tl, Options{}))
}

func FuzzCalendar(f *testing.F) {
	for _, s := range hostileNames {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		wellFormed(t, "fuzzed", calendar(t, hostile(s), CalendarOptions{Name: s}))
	})
}
