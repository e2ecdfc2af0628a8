// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"perennial.dev/perennial/internal/report"
	"perennial.dev/perennial/internal/timeline"
)

// goldens is where the fixture of all formats is, the timeline that
// internal/report makes, with what each format makes of it.
const goldens = "../report/testdata/"

// golden is the file of each format, and what it is written with.
var golden = map[report.Format]struct {
	file    string
	options report.Options
}{
	report.FormatTable:      {"table.txt", report.Options{Width: 120}},
	report.FormatWide:       {"wide.txt", report.Options{Width: 80}},
	report.FormatJSON:       {"timeline.json", report.Options{}},
	report.FormatYAML:       {"timeline.yaml", report.Options{}},
	report.FormatMarkdown:   {"timeline.md", report.Options{}},
	report.FormatICS:        {"calendar.ics", report.Options{}},
	report.FormatHTML:       {"timeline.html", report.Options{}},
	report.FormatPrometheus: {"timeline.prom", report.Options{}},
	report.FormatSARIF:      {"timeline.sarif", report.Options{}},
	report.FormatJUnit:      {"timeline.junit.xml", report.Options{}},
}

func readTimeline(t *testing.T, name string) timeline.Timeline {
	t.Helper()
	body, err := os.ReadFile(filepath.Join(goldens, name))
	if err != nil {
		t.Fatal(err)
	}
	line, err := timeline.Read(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return line
}

// TestEveryOfferedFormatHasAGolden renders the saved fixture in each format that the
// program offers. A format without a golden fails.
func TestEveryOfferedFormatHasAGolden(t *testing.T) {
	line := readTimeline(t, "timeline.json")
	for _, f := range offered() {
		want, is := golden[f.Format]
		if !is {
			t.Errorf("%s has no golden file", f.Format)
			continue
		}
		var got bytes.Buffer
		o := output{[]timeline.Timeline{line}, f.Format, want.options, time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
		if err := o.write(&got); err != nil {
			t.Fatal(err)
		}
		compare(t, want.file, withoutFrame(undatedBuild(got.Bytes())))
	}
}

// frame is what is the same on every page: its style, its script, and their digests.
var frame = regexp.MustCompile(`(?s)(<style>|<script>).*?(</style>|</script>)|(sha256-).*?(&#39;)`)

func withoutFrame(page []byte) []byte { return frame.ReplaceAll(page, []byte("$1$2$3$4")) }

// undatedBuild leaves out which program and which Go it was.
func undatedBuild(text []byte) []byte {
	var kept []byte
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte("perennial_build_info{")) {
			kept = append(kept, line...)
		}
	}
	return kept
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join(goldens, name)
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; if the new one is right, run go test ./internal/cli -update; got:\n%s", path, got)
	}
}

func TestEveryWriterIsOfAFormat(t *testing.T) {
	if len(offered()) != len(writers) {
		t.Errorf("%d formats are offered by %d writers", len(offered()), len(writers))
	}
	for f := range writers {
		if _, err := report.ParseFormat(string(f)); err != nil {
			t.Error(err)
		}
	}
}

// TestReleasedReportsAreShown shows what programs of earlier days have saved, in each
// format of today.
func TestReleasedReportsAreShown(t *testing.T) {
	files, err := filepath.Glob(goldens + "released/*/*.json")
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(body[:100], []byte(`"kind": "Timeline`)) {
			continue
		}
		for _, f := range offered() {
			var out, problems bytes.Buffer
			s := Streams{In: bytes.NewReader(body), Out: &out, Err: &problems, Now: time.Now, Getenv: func(string) string { return "" }}
			for _, from := range []string{name, "-"} {
				if code := Main(t.Context(), []string{"check", "--exit-zero", "--replay", from, "-o", string(f.Format)}, s); code != 0 || out.Len() == 0 {
					t.Errorf("%s from %s as %s: exit code %d: %s", name, from, f.Format, code, &problems)
				}
			}
			shown++
		}
	}
	if shown < 2*len(offered()) {
		t.Errorf("%d reports were shown", shown)
	}
}
