// SPDX-License-Identifier: Apache-2.0

package story

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

func ending(past map[string]Codes) Ending {
	var e Ending
	e.LoopbackEnd = time.Date(2027, 11, 22, 7, 0, 0, 0, time.UTC)
	for i := range 3 {
		c := Column{Title: [2]string{"day 366", "connected"}}
		for _, r := range rows {
			codes := r.well
			if p, ok := past[r.title]; ok && i == 2 {
				codes = p
			}
			c.Codes = append(c.Codes, codes)
		}
		e.Columns = append(e.Columns, c)
	}
	e.Message = strings.Repeat("certificate has expired or is not yet valid ", 10)
	e.OwnCheck = "[+]loopback-serving-certificate ok"
	return e
}

func knownPast(minor int) map[string]Codes {
	past := map[string]Codes{}
	for _, r := range rows {
		past[r.title] = r.past(minor)[0]
	}
	return past
}

func TestOnlyTheKnownFailuresPass(t *testing.T) {
	for _, minor := range []int{25, 32, 33, 37} {
		seen := ending(knownPast(minor))
		if err := seen.check(minor); err != nil {
			t.Errorf("1.%d: %v", minor, err)
		}
		healthy := ending(nil)
		err := healthy.check(minor)
		if err == nil {
			t.Fatalf("1.%d: an API server that goes on working passes", minor)
		}
		for _, title := range []string{"create a ConfigMap in it", "define a resource, list it", "bind a role, use it"} {
			if !strings.Contains(err.Error(), title) {
				t.Errorf("1.%d: %q is not named in %v", minor, title, err)
			}
		}
		// A server that stops being ready tells another story.
		unready := knownPast(minor)
		unready["GET /readyz"] = Codes{500}
		if e := ending(unready); e.check(minor) == nil {
			t.Errorf("1.%d: a server that is not ready passes", minor)
		}
	}
}

// With a new API server nothing of what failed before may fail.
func TestEveryFailureCountsTheSecondTime(t *testing.T) {
	well := ending(nil)
	if err := well.allWell(); err != nil {
		t.Error(err)
	}
	for title, codes := range knownPast(32) {
		if slices.Equal(codes, well.Columns[0].Codes[rowOf(t, title)]) {
			continue
		}
		again := ending(map[string]Codes{title: codes})
		if err := again.allWell(); err == nil || !strings.Contains(err.Error(), title) {
			t.Errorf("%s, %s: got %v", title, codes, err)
		}
	}
}

func rowOf(t *testing.T, title string) int {
	t.Helper()
	i := slices.IndexFunc(rows, func(r row) bool { return r.title == title })
	if i < 0 {
		t.Fatalf("there is no row %q", title)
	}
	return i
}

func TestTableFitsATerminal(t *testing.T) {
	var out bytes.Buffer
	e := ending(knownPast(25))
	e.print(Options{Out: &out})
	for line := range strings.Lines(out.String()) {
		if len(strings.TrimRight(line, "\n")) > 80 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("there is colour that nobody asked for")
	}
	if !slices.Contains(strings.Fields(out.String()), "403") || strings.Count(out.String(), "!") != 4 {
		t.Errorf("the failures are not marked:\n%s", out.String())
	}
}
