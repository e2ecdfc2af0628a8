// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/install"
	"perennial.dev/perennial/internal/workbench"
)

var quotedWord = regexp.MustCompile("`([^`]+)`")

// TestThreatModelNamesEveryCommand holds the table of what each command reads, writes
// and asks to the commands that there are, each in one row.
func TestThreatModelNamesEveryCommand(t *testing.T) {
	page := read(t, "docs/threat-model.md")
	_, after, found := strings.Cut(page, "| command | reads | writes | asks and runs |\n|---|---|---|---|\n")
	if !found {
		t.Fatal("there is no table of the commands")
	}
	rows := map[string]string{}
	for row := range strings.Lines(after) {
		cells := strings.Split(row, " | ")
		if len(cells) != 4 {
			break
		}
		for _, m := range quotedWord.FindAllStringSubmatch(cells[0], -1) {
			if rows[m[1]] != "" {
				t.Errorf("%s is in two rows", m[1])
			}
			rows[m[1]] = row
		}
	}
	known := commandNames(t)
	for _, name := range known {
		if rows[name] == "" {
			t.Errorf("the threat model does not say what perennial %s reads, writes and asks", name)
		}
	}
	for name := range rows {
		if !slices.Contains(known, name) && name != "man" { // which is hidden
			t.Errorf("there is no command %s", name)
		}
	}
	for name, want := range map[string][]string{
		"renew": {workbench.DefaultState, workbench.DefaultLock}, "agent": {install.Settings, "rights/agent.yaml"},
		"prepare": {"rights/prepare.yaml"}, "checkpoint": {"rights/checkpoint.yaml"}, "check": {"rights/cluster-reader.yaml"},
	} {
		for _, w := range want {
			if !strings.Contains(rows[name], w) {
				t.Errorf("the row of %s does not name %s", name, w)
			}
		}
	}
}
