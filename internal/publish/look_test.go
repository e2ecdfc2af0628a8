// SPDX-License-Identifier: Apache-2.0

package publish_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/publish"
	"perennial.dev/perennial/internal/timeline"
)

var program = publish.Program{Version: "1.2.3", GoVersion: "go1.26.8", AsOf: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}

func looks(t *testing.T, all ...timeline.Timeline) string {
	t.Helper()
	var out strings.Builder
	if err := publish.WriteLooks(&out, all, program); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// What a look tells reads as an agent tells it, and what only an agent knows is
// absent: a zero would say that all is well.
func TestALookTellsOnlyWhatItKnows(t *testing.T) {
	l := line([]fact.Unseen{{Source: "files", What: "/a", Why: fact.Denied}}, expires("cp1/apiserver", now.AddDate(0, 0, 10)))
	text := looks(t, l)
	agent := metrics()
	agent.Looked(l, nil)
	var whole strings.Builder
	if err := agent.WriteText(&whole); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for sample := range strings.Lines(text) {
		if !strings.Contains(whole.String(), sample) {
			t.Errorf("an agent does not say %q", sample)
		}
		if !strings.HasPrefix(sample, "#") {
			known[strings.FieldsFunc(sample, func(r rune) bool { return r == '{' || r == ' ' })[0]] = true
		}
	}
	for _, d := range publish.Described {
		want := false
		switch d.Name {
		case "perennial_end_timestamp_seconds", "perennial_verdict", "perennial_unseen", "perennial_dropped_ids", "perennial_last_look_timestamp_seconds",
			"perennial_data_as_of_timestamp_seconds", "perennial_build_info":
			want = true
		}
		if known[d.Name] != want {
			t.Errorf("%s is told: %v, want %v", d.Name, known[d.Name], want)
		}
	}
}

func TestLooksAtSeveralClusters(t *testing.T) {
	one, other := line(nil, expires("cluster/apiserver", now.AddDate(0, 0, 10))), line(nil, expires("cluster/apiserver", now.AddDate(0, 0, 20)))
	one.Cluster, other.Cluster = "north", "south\x1b"
	text := looks(t, one, other)
	for _, want := range []string{`cluster="north",code="CertificateExpires"`, `cluster="south\\x1b",code="CertificateExpires"`} {
		if strings.Count(text, want) != 2 {
			t.Errorf("no end and verdict of %s in\n%s", want, text)
		}
	}
	if strings.Contains(looks(t, one), "north") {
		t.Error("a single cluster is a label")
	}
	var out strings.Builder
	if err := publish.WriteLooks(&out, []timeline.Timeline{one, one}, program); err == nil || !strings.Contains(err.Error(), "north") {
		t.Errorf("one cluster twice: %v", err)
	}
	if out := check(t, text, "check", "metrics"); out != "" {
		t.Error(out)
	}
}

// TestPromtoolReadsTheGolden checks what `check -o prometheus` writes of the
// fixture of all formats.
func TestPromtoolReadsTheGolden(t *testing.T) {
	for _, name := range []string{"timeline.prom"} {
		text, err := os.ReadFile("../report/testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if out := check(t, string(text), "check", "metrics"); out != "" {
			t.Errorf("%s: %s", name, out)
		}
	}
}
