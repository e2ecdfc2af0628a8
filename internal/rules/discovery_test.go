// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/release"
)

// The tables are read from sources; servers decide. What real ones said is kept
// in testdata: nothing may be missed, and nothing said that is not so.
func TestTheTablesEqualWhatRealServersServe(t *testing.T) {
	files, err := filepath.Glob("testdata/discovery/*.txt")
	if err != nil || len(files) < 28 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	s := load(t)
	for _, file := range files {
		version, mode, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".txt"), "-")
		compareDiscovery(t, s, version, mode, readDiscovery(t, file))
	}
}

// compareDiscovery holds the tables against what a server serves.
func compareDiscovery(t *testing.T, s *Set, version, mode string, real []string) {
	t.Helper()
	minor, err := release.ParseMinor(version)
	if err != nil {
		t.Fatal(err)
	}
	var known []string
	for _, api := range s.APIs() {
		if spans := map[string]Spans{"default": api.Default, "all": api.Served}[mode]; spans.Has(minor) {
			known = append(known, api.GroupVersionKind.String())
		}
	}
	for _, kind := range real {
		if !slices.Contains(known, kind) {
			t.Errorf("%s, %s: missed %s", version, mode, kind)
		}
	}
	for _, kind := range known {
		if !slices.Contains(real, kind) {
			t.Errorf("%s, %s: %s is not served", version, mode, kind)
		}
	}
}

func readDiscovery(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") {
			kinds = append(kinds, strings.TrimSpace(line))
		}
	}
	if len(kinds) < 50 {
		t.Fatalf("%s: only %d kinds", file, len(kinds))
	}
	return kinds
}
