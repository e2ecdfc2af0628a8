// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strings"
	"testing"
)

func TestProtectStep(t *testing.T) {
	for line, want := range map[string]string{
		"clock -2h":              "clock -- -2h",
		"--name x clock -2h":     "--name x clock -- -2h",
		"clock --name x -1d12h":  "clock --name x -- -1d12h",
		"clock -- -2h":           "clock -- -2h",
		"clock +2h":              "clock +2h",
		"exec -- sleep -5":       "exec -- sleep -5",
		"exec -- clock -5":       "exec -- clock -5",
		"status -o json":         "status -o json",
		"clock -h":               "clock -h",
		"clock reset --name 0-2": "clock reset --name 0-2",
	} {
		if got := protectStep(strings.Fields(line)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%q became %q", line, strings.Join(got, " "))
		}
	}
}

func TestNames(t *testing.T) {
	for name, ok := range map[string]bool{"a": true, "cp-1": true, "": false, "-a": false, "a-": false, "..": false, "a/b": false, "A": false, ".x": false} {
		if _, err := (&registry{name: name}).entry(); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestQuote(t *testing.T) {
	if got := quote("a'b $c"); got != `'a'\''b $c'` {
		t.Errorf("got %s", got)
	}
}
