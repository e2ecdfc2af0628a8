// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"fmt"
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
	var out strings.Builder
	if err := m.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	const want = `# HELP perennial_build_info 1, with the version of the program and of Go.
# TYPE perennial_build_info gauge
perennial_build_info{goversion="go1.26.8",version="1.2.3"} 1
# HELP perennial_changes_total Steps of changes since the start of the program, by verb and outcome.
# TYPE perennial_changes_total counter
perennial_changes_total{outcome="done",verb="renew"} 2
perennial_changes_total{outcome="failed",verb="restart"} 1
# HELP perennial_data_as_of_timestamp_seconds The day of the knowledge about releases, in seconds since 1970.
# TYPE perennial_data_as_of_timestamp_seconds gauge
perennial_data_as_of_timestamp_seconds 1.7934912e+09
# HELP perennial_dropped_ids Things found that are not published, because there are too many.
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
	m.Looked(line(nil, a, b, c), nil)
	var out strings.Builder
	if err := m.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(out.String(), "\x1b\u202e\u2066") {
		t.Errorf("%q", out.String())
	}
}
