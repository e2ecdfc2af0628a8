// SPDX-License-Identifier: Apache-2.0

package upgrade_test

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/upgrade"
)

// servers is what real servers of a minor serve: by default, and with all enabled.
type servers map[string]map[string]bool

// recorded are those of which internal/rules keeps what they answered.
func recorded(t *testing.T) map[release.Minor]servers {
	t.Helper()
	files, err := filepath.Glob("../rules/testdata/discovery/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	all := map[release.Minor]servers{}
	for _, file := range files {
		version, mode, _ := strings.Cut(strings.TrimSuffix(filepath.Base(file), ".txt"), "-")
		m, err := release.ParseMinor(version)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		kinds := map[string]bool{}
		for line := range strings.Lines(string(text)) {
			if !strings.HasPrefix(line, "#") {
				kinds[strings.TrimSpace(line)] = true
			}
		}
		if all[m] == nil {
			all[m] = servers{}
		}
		all[m][mode] = kinds
	}
	return all
}

// What is said of a document in each version that a real server serves is what
// the real server of the next minor does with it, hop by hop: none missed, none
// false.
func TestHopsOfRealServers(t *testing.T) {
	set, all := load(t), recorded(t)
	hops, judged := 0, 0
	for _, m := range slices.Sorted(maps.Keys(all)) {
		now, next := all[m], all[m+1]
		if next == nil {
			continue
		}
		hops++
		j := upgrade.New(set, rules.Way{From: m, To: m + 1})
		for kind := range now["all"] {
			apiVersion, name, _ := strings.Cut(kind, " ")
			o := document(apiVersion, name)
			o.File = kind
			j.See(o)
		}
		got := map[string]finding.Code{}
		for _, f := range j.Findings() {
			if f.Code == finding.APIRemoved || f.Code == finding.APIOff {
				got[f.File] = f.Code
			}
		}
		for kind := range now["all"] {
			judged++
			want := finding.Code("")
			switch {
			case !next["all"][kind]:
				want = finding.APIRemoved
			case now["default"][kind] && !next["default"][kind]:
				want = finding.APIOff
			}
			if got[kind] != want {
				t.Errorf("from %s to %s: %s: found %q, want %q", m, m+1, kind, got[kind], want)
			}
		}
	}
	if hops < 13 {
		t.Errorf("%d hops only", hops)
	}
	t.Logf("%d hops, %d kinds judged", hops, judged)
}
