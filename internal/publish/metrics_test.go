// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/publish"
	"perennial.dev/perennial/internal/timeline"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func expires(id fact.ID, end time.Time) finding.Finding {
	return finding.Finding{Code: finding.CertificateExpires, ID: id, End: finding.At(end), Class: finding.Renewed, Keeper: finding.KeeperPerson,
		Life:     finding.Life{Start: end.AddDate(-1, 0, 0), End: end},
		Evidence: finding.Evidence{Path: "/etc/kubernetes/pki/secret.crt", Certificate: &finding.Certificate{Fingerprint: "sha256:0123", Serial: "4567", Subject: "CN=nobody"}}}
}

func line(unseen []fact.Unseen, found ...finding.Finding) timeline.Timeline {
	return timeline.Build(found, unseen, policy.Default(), now, timeline.Envelope{ObservedAt: now})
}

func metrics() *publish.Metrics {
	return publish.NewMetrics("1.2.3", "go1.26.8", time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC))
}

func TestMetrics(t *testing.T) {
	m := metrics()
	m.Looked(line([]fact.Unseen{{Source: "files", What: "/a", Why: fact.Denied}, {Source: "files", What: "/b", Why: fact.Denied}, {Source: "ports", What: "x:1", Why: fact.Timeout}},
		expires("cp1/apiserver", now.AddDate(0, 0, 10)), expires("cp1/etcd-server", now.AddDate(0, 10, 0)), expires("cp1/admin.conf", now.AddDate(0, 0, -1)),
		finding.Finding{Code: finding.SigningKey, ID: "cp1/sa", Class: finding.Notice},
	), []string{"processes"})
	m.Changed("renew", "done")
	m.Changed("renew", "done")
	m.Changed("restart", "failed")
	m.Stopped(true)
	m.Took(1500 * time.Millisecond)
	m.Every(5 * time.Minute)
	m.PersonNeeded(map[fact.ID][]string{"cp1/ca": {"CAExpires"}, "cp1/apiserver": {"SANMissing", "OpenSessions"}})
	m.Planned(map[fact.ID]time.Time{"cp1/etcd-server": now.AddDate(0, 7, 0)})
	m.SettingsValid(false)
	m.Acts(true)
	var out strings.Builder
	if err := m.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	const want = `# HELP perennial_acts 1 where what is due is changed, 0 where it is only looked at.
# TYPE perennial_acts gauge
perennial_acts 1
# HELP perennial_build_info 1, with the version of the program and of Go.
# TYPE perennial_build_info gauge
perennial_build_info{goversion="go1.26.8",version="1.2.3"} 1
# HELP perennial_changes_total Steps of changes since the start of the program, by verb and outcome.
# TYPE perennial_changes_total counter
perennial_changes_total{outcome="done",verb="renew"} 2
perennial_changes_total{outcome="failed",verb="restart"} 1
# HELP perennial_data_as_of_timestamp_seconds The day of the knowledge about releases, in seconds since 1970.
# TYPE perennial_data_as_of_timestamp_seconds gauge
perennial_data_as_of_timestamp_seconds 1.7934912e+09
# HELP perennial_dropped_ids Things that are not published, because there are too many.
# TYPE perennial_dropped_ids gauge
perennial_dropped_ids 0
# HELP perennial_end_timestamp_seconds When something stops working, in seconds since 1970; what has no date is not among them.
# TYPE perennial_end_timestamp_seconds gauge
perennial_end_timestamp_seconds{basis="measured",code="CertificateExpires",id="cp1/admin.conf",node="cp1"} 1.7952624e+09
perennial_end_timestamp_seconds{basis="measured",code="CertificateExpires",id="cp1/apiserver",node="cp1"} 1.7962128e+09
perennial_end_timestamp_seconds{basis="measured",code="CertificateExpires",id="cp1/etcd-server",node="cp1"} 1.8216144e+09
# HELP perennial_last_look_timestamp_seconds When was last looked, in seconds since 1970.
# TYPE perennial_last_look_timestamp_seconds gauge
perennial_last_look_timestamp_seconds 1.7953488e+09
# HELP perennial_last_success_timestamp_seconds When a source last saw all that it looked at, in seconds since 1970.
# TYPE perennial_last_success_timestamp_seconds gauge
perennial_last_success_timestamp_seconds{source="processes"} 1.7953488e+09
# HELP perennial_line_stopped 1 where nothing is changed any more until a person has looked.
# TYPE perennial_line_stopped gauge
perennial_line_stopped 1
# HELP perennial_look_duration_seconds How long the last look took.
# TYPE perennial_look_duration_seconds gauge
perennial_look_duration_seconds 1.5
# HELP perennial_look_interval_seconds Time between two looks, as the settings say.
# TYPE perennial_look_interval_seconds gauge
perennial_look_interval_seconds 300
# HELP perennial_next_change_timestamp_seconds When something is to be changed, in seconds since 1970; what is not planned is not among them.
# TYPE perennial_next_change_timestamp_seconds gauge
perennial_next_change_timestamp_seconds{id="cp1/etcd-server",node="cp1"} 1.8136656e+09
# HELP perennial_person_needed 1 for what only a person can take away, with the code that says why.
# TYPE perennial_person_needed gauge
perennial_person_needed{code="CAExpires",id="cp1/ca",node="cp1"} 1
perennial_person_needed{code="OpenSessions",id="cp1/apiserver",node="cp1"} 1
perennial_person_needed{code="SANMissing",id="cp1/apiserver",node="cp1"} 1
# HELP perennial_settings_valid 1 where the settings could be read; 0 where they could not, and the last ones that could are in force.
# TYPE perennial_settings_valid gauge
perennial_settings_valid 0
# HELP perennial_unseen How much could not be looked at, by source and class of cause.
# TYPE perennial_unseen gauge
perennial_unseen{source="files",why="Denied"} 2
perennial_unseen{source="ports",why="Timeout"} 1
# HELP perennial_verdict 1 for the verdict on what was found: ok, due, overdue, unknown, accepted or notice.
# TYPE perennial_verdict gauge
perennial_verdict{code="CertificateExpires",id="cp1/admin.conf",node="cp1",verdict="overdue"} 1
perennial_verdict{code="CertificateExpires",id="cp1/apiserver",node="cp1",verdict="due"} 1
perennial_verdict{code="CertificateExpires",id="cp1/etcd-server",node="cp1",verdict="ok"} 1
perennial_verdict{code="SigningKey",id="cp1/sa",node="cp1",verdict="notice"} 1
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if problems, err := testutil.CollectAndLint(m); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	for _, secret := range []string{"secret.crt", "0123", "4567", "nobody"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s is in the metrics", secret)
		}
	}
}

// There is one state before the first look, and one for more findings than
// Prometheus is to keep.
func TestMetricsOfNothingAndOfTooMuch(t *testing.T) {
	m := metrics()
	var out strings.Builder
	if err := m.WriteText(&out); err != nil || strings.Contains(out.String(), "perennial_last_look") {
		t.Errorf("%v\n%s", err, out.String())
	}
	var many []finding.Finding
	for n := range publish.IDLimit + 7 {
		many = append(many, expires(fact.NodeID("cp1", fmt.Sprintf("c%04d", n)), now.Add(time.Duration(n+1)*time.Hour)))
	}
	m.Looked(line(nil, many...), nil)
	out.Reset()
	if err := m.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\nperennial_verdict{"); n != publish.IDLimit || !strings.Contains(out.String(), "\nperennial_dropped_ids 7\n") {
		t.Errorf("%d IDs\n%s", n, out.String()[:2000])
	}
	needed, planned := map[fact.ID][]string{}, map[fact.ID]time.Time{}
	for n := range publish.IDLimit + 2 {
		id := fact.NodeID("cp1", fmt.Sprintf("c%04d", n))
		needed[id], planned[id] = []string{"SANMissing"}, now
	}
	m.PersonNeeded(needed)
	m.Planned(planned)
	out.Reset()
	if err := m.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"perennial_person_needed", "perennial_next_change_timestamp_seconds"} {
		if n := strings.Count(out.String(), "\n"+name+"{"); n != publish.IDLimit {
			t.Errorf("%d of %s", n, name)
		}
	}
	if !strings.Contains(out.String(), "\nperennial_dropped_ids 11\n") {
		t.Errorf("11 were dropped: 7 found, and 2 each that are planned and need a person\n%s", out.String()[:2000])
	}
	m.PersonNeeded(nil)
	m.Planned(nil)
	out.Reset()
	if err := m.WriteText(&out); err != nil || strings.Contains(out.String(), "perennial_person_needed") || strings.Contains(out.String(), "perennial_next_change") {
		t.Errorf("what is over is still told: %v", err)
	}
	if !strings.Contains(out.String(), `id="cp1/c0000"`) {
		t.Error("the worst was dropped")
	}
}

// What is found may have any name, and twice the same one.
func TestMetricsOfHostileNames(t *testing.T) {
	m := metrics()
	a := expires("cp1/a\x1b[31m\n\"\\\u202e", now.AddDate(0, 0, 5))
	b := a
	b.ID += "\u2066" // shown as the other one is, or not
	a.File, b.File = "x.yaml", "y.yaml"
	c := a
	c.File, c.Line = "x.yaml", 7
	m.Looked(line([]fact.Unseen{{Source: "\x1b", What: "a", Why: "\n"}, {Source: "\\x1b", What: "b", Why: "\n"}}, a, b, c), []string{"\x1b", "\\x1b"})
	long := fact.ID("cp1/" + strings.Repeat("x", 500))
	m.PersonNeeded(map[fact.ID][]string{a.ID: {"\u202e", "\u202e"}, long: {"A"}, long + "y": {"A"}})
	m.Planned(map[fact.ID]time.Time{a.ID: now, long: now.Add(time.Hour), long + "y": now})
	m.Changed("\x1b", "\xff")
	var out strings.Builder
	if err := m.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\u202e\u2066") {
		t.Errorf("%q", out.String())
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if len(line) > 600 {
			t.Errorf("%d bytes: %s", len(line), line)
		}
	}
	want := fmt.Sprintf("id=\"cp1/%s…\",node=\"cp1\"} %g\n", strings.Repeat("x", 195), float64(now.Unix()))
	if !strings.Contains(out.String(), want) {
		t.Errorf("of two IDs that are shown alike the earlier change is not told:\n%s", out.String())
	}
}

// TestDescribed compares the table that the docs show with what is published.
func TestDescribed(t *testing.T) {
	var out strings.Builder
	if err := full().WriteText(&out); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, d := range publish.Described {
		kind := map[bool]string{true: "counter", false: "gauge"}[d.Counter]
		if !strings.Contains(out.String(), fmt.Sprintf("# HELP %s %s\n# TYPE %s %s\n", d.Name, d.Help, d.Name, kind)) {
			t.Errorf("%s, a %s, is not published as it is described", d.Name, kind)
		}
		labels := slices.Sorted(slices.Values(d.Labels))
		want := d.Name + " "
		if len(labels) > 0 {
			want = d.Name + "{" + strings.Join(labels, `="[^"]*",`) + `="[^"]*"} `
		}
		if !regexp.MustCompile("(?m)^" + want).MatchString(out.String()) {
			t.Errorf("%s has other labels than %q", d.Name, d.Labels)
		}
		seen[d.Name] = true
	}
	for _, m := range regexp.MustCompile(`(?m)^# HELP (\S+)`).FindAllStringSubmatch(out.String(), -1) {
		if !seen[m[1]] {
			t.Errorf("%s is not described", m[1])
		}
	}
}

// full are metrics of which each has a value.
func full() *publish.Metrics {
	m := metrics()
	m.Looked(line([]fact.Unseen{{Source: "files", What: "/a", Why: fact.Denied}}, expires("cp1/apiserver", now.AddDate(0, 0, 10)), expires("cp1/admin.conf", now.AddDate(0, 0, -1))), []string{"processes"})
	m.Took(2 * time.Second)
	m.Every(time.Hour)
	m.Changed("renew", "done")
	m.PersonNeeded(map[fact.ID][]string{"cp1/admin.conf": {"SANMissing"}})
	m.Planned(map[fact.ID]time.Time{"cp1/apiserver": now.AddDate(0, 0, 1)})
	m.SettingsValid(true)
	m.Acts(true)
	return m
}
