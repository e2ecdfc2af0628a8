// SPDX-License-Identifier: Apache-2.0

package upgrade_test

import (
	"fmt"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/upgrade"
)

// load reads the embedded tables, and rows of a user's over them.
func load(t *testing.T, tables ...string) *rules.Set {
	t.Helper()
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	for i, table := range tables {
		if err := set.Merge(fmt.Sprintf("table %d", i), strings.NewReader(table)); err != nil {
			t.Fatal(err)
		}
	}
	return set
}

// judge lets facts be judged for a way; from 0 is not known.
func judge(t *testing.T, way rules.Way, facts ...fact.Fact) []finding.Finding {
	t.Helper()
	return judgeWith(load(t), way, facts...)
}

func judgeWith(set *rules.Set, way rules.Way, facts ...fact.Fact) []finding.Finding {
	j := upgrade.New(set, way)
	for _, f := range facts {
		j.See(f)
	}
	return j.Findings()
}

// short is a finding in one line: ID, code, impact, end, and the fix.
func short(f finding.Finding) string {
	return fmt.Sprintf("%s %s %s %s %s | %s", f.ID, f.Code, f.Impact, f.End.Version, f.End.Basis, f.Fix)
}

func shorts(all []finding.Finding) string {
	lines := make([]string, len(all))
	for i, f := range all {
		lines[i] = short(f)
	}
	return strings.Join(lines, "\n")
}

// complete asks of every finding what a report needs.
func complete(t *testing.T, all []finding.Finding) {
	t.Helper()
	for _, f := range all {
		if _, ok := finding.Explain(f.Code); !ok || f.ID == "" || f.Effect == "" || f.Fix == "" || f.End.Version == "" || f.End.Basis == "" || f.Impact == "" || f.Class == "" {
			t.Errorf("a finding is not complete: %+v", f)
		}
		if (f.Impact == finding.Blocks || f.Impact == finding.Breaks) != (f.Class == finding.Fault) {
			t.Errorf("%s %s is of the class %s", f.Code, f.Impact, f.Class)
		}
		if strings.ContainsAny(f.Fix+f.Effect+f.Reason, "\n\x1b") {
			t.Errorf("%s has more than one line or hostile characters: %q %q", f.Code, f.Effect, f.Fix)
		}
	}
}
