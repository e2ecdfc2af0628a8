// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// proxy is a module proxy of one table; what it lacks it says it lacks.
type proxy struct {
	list  []string
	times map[string]string
	down  bool
}

func (p proxy) versions(string) ([]string, error) { return p.list, nil }

func (p proxy) published(module, version string) (time.Time, bool, error) {
	if p.down {
		return time.Time{}, false, errors.New("no route to host")
	}
	text, ok := p.times[module+"@"+version]
	if !ok {
		return time.Time{}, false, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	return at, true, err
}

const official = `# by hand
minor,released,maintenance,planned_end,ended,final_patch
1.28,,2024-08-28 planned p,2024-10-28 planned p,2024-10-22 official o,1.28.15
1.37,,2027-08-28 planned p,2027-10-28 planned p,,
1.38,2026-12-16 planned p,2027-12-28 estimated e,2028-02-28 estimated e,,
`

func testProxy() proxy {
	return proxy{
		list: []string{"v0.28.2", "v0.37.0", "v0.37.1", "v0.37.2", "v0.37.10", "v0.37.11-rc.0"},
		times: map[string]string{
			"k8s.io/kubernetes@v1.28.0":  "2023-08-15T10:15:49Z",
			"k8s.io/kubernetes@v1.28.15": "2024-10-22T20:26:26Z",
			"k8s.io/kubernetes@v1.37.0":  "2026-08-26T10:44:20Z",
			"k8s.io/kubernetes@v1.37.2":  "2026-10-27T23:30:00-05:00",
			"k8s.io/api@v0.37.2":         "2026-10-29T07:53:31Z",
			"k8s.io/api@v0.37.10":        "2027-05-12T07:00:00Z",
		},
	}
}

func generate(t *testing.T, g generator) (string, error) {
	t.Helper()
	out, err := g.generate([]byte(official))
	return string(out), err
}

func asOf(t *testing.T, text string) time.Time {
	t.Helper()
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return day
}

func TestGenerate(t *testing.T) {
	got, err := generate(t, generator{asOf: asOf(t, "2026-11-22"), modules: testProxy()})
	if err != nil {
		t.Fatal(err)
	}
	want := tableHead + `# as-of: 2026-11-22
minor,released,maintenance,planned_end,ended,last_patch,last_patch_date
1.28,2023-08-15 measured k8s.io/kubernetes@v1.28.0,2024-08-28 planned p,2024-10-28 planned p,2024-10-22 official o,1.28.15,2024-10-22 measured k8s.io/kubernetes@v1.28.15
1.37,2026-08-26 measured k8s.io/kubernetes@v1.37.0,2027-08-28 planned p,2027-10-28 planned p,,1.37.2,2026-10-28 measured k8s.io/kubernetes@v1.37.2
1.38,2026-12-16 planned p,2027-12-28 estimated e,2028-02-28 estimated e,,,
`
	if got != want {
		t.Errorf("generated\n%s", got)
	}
}

func TestLaterPatchIsTakenLater(t *testing.T) {
	got, err := generate(t, generator{asOf: asOf(t, "2027-06-01"), modules: testProxy()})
	if err != nil || !strings.Contains(got, ",1.37.10,2027-05-12 measured k8s.io/api@v0.37.10\n") {
		t.Errorf("%v\n%s", err, got)
	}
}

// A proxy that has more than the one before must not fail the check.
func TestCheckRepeatsTheCitedMeasurement(t *testing.T) {
	table := []byte(asOfMark + "2026-11-22\n1.37,,,,,1.37.2,2026-10-29 measured k8s.io/api@v0.37.2\n")
	day, err := writtenAsOf(table)
	if err != nil {
		t.Fatal(err)
	}
	got, err := generate(t, generator{asOf: day, modules: testProxy(), cited: citedModules(table)})
	if err != nil || !strings.Contains(got, ",1.37.2,2026-10-29 measured k8s.io/api@v0.37.2\n") {
		t.Errorf("%v\n%s", err, got)
	}
}

func TestNothingIsPassedOverQuietly(t *testing.T) {
	listedButGone := testProxy()
	listedButGone.list = append(listedButGone.list, "v0.37.12")
	if _, err := generate(t, generator{asOf: asOf(t, "2026-11-22"), modules: listedButGone}); err == nil ||
		!strings.Contains(err.Error(), "measuring 1.37: the module proxy has none of k8s.io/kubernetes@v1.37.12 and k8s.io/api@v0.37.12") {
		t.Errorf("a patch that is listed and cannot be measured: %v", err)
	}
	unreachable := testProxy()
	unreachable.down = true
	if _, err := generate(t, generator{asOf: asOf(t, "2026-11-22"), modules: unreachable}); err == nil ||
		!strings.Contains(err.Error(), "no route to host") {
		t.Errorf("a proxy out of reach: %v", err)
	}
}

func TestCompareNamesTheLine(t *testing.T) {
	if err := compare([]byte("a\nb\n"), []byte("a\nb\n")); err != nil {
		t.Error(err)
	}
	err := compare([]byte("a\nb\n"), []byte("a\nc\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "line 2 is\n  b\nand should be\n  c") {
		t.Errorf("error %v", err)
	}
	if err := compare([]byte("a"), []byte("a\nb")); err == nil {
		t.Error("a missing line passes")
	}
}

func TestErrorsOfTheGoCommand(t *testing.T) {
	for text, missing := range map[string]bool{
		"reading https://example.test/@v/v1.38.0.info: 404 Not Found":    true,
		"invalid version: unknown revision v1.38.0":                      true,
		"reading https://example.test/@v/v1.38.0.info: 500 Server Error": false,
		"dial tcp: lookup example.test: no such host":                    false,
	} {
		l := listed{Error: &struct{ Err string }{text}}
		if l.missing() != missing || l.failure() == nil {
			t.Errorf("%q: missing %v", text, l.missing())
		}
	}
}
