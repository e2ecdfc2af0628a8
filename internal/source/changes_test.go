// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"encoding/json"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
)

var begun = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// unfinishedPlan writes a journal with a plan of which the first step is done
// and the second one begun.
func unfinishedPlan(m *machine) {
	m.t.Helper()
	j, err := journal.Open("/var/lib/perennial/journal", host.NewDisk(m.open(), nil))
	if err != nil {
		m.t.Fatal(err)
	}
	content, err := json.Marshal(plan.Plan{ID: "p1", Steps: []plan.Step{{Number: 1, Title: "renew apiserver"}, {Number: 2, Title: "renew admin.conf"}}})
	if err != nil {
		m.t.Fatal(err)
	}
	for _, r := range []journal.Record{
		journal.Begin{Plan: "p1", Content: content}, journal.Intent{Plan: "p1", Step: 1}, journal.Outcome{Plan: "p1", Step: 1, Result: journal.Done}, journal.Intent{Plan: "p1", Step: 2},
	} {
		if err := j.Append(begun, r); err != nil {
			m.t.Fatal(err)
		}
	}
}

func TestUnfinished(t *testing.T) {
	m := newMachine(t)
	unfinishedPlan(m)
	want := layout.Want{Verb: layout.LookJournal, Path: "/var/lib/perennial/journal"}
	facts, unseen := look(t.Context(), named(t, "changes"), m.scope(want))
	if len(unseen) != 0 || len(facts) != 1 || facts[0] != (fact.Unfinished{Plan: "p1", Begun: begun, Step: "renew admin.conf"}) {
		t.Errorf("%+v %+v", facts, unseen)
	}
	m.put("var/lib/perennial/journal/"+journal.Name, "no journal\n")
	if facts, unseen := look(t.Context(), named(t, "changes"), m.scope(want)); len(facts) != 0 || len(unseen) != 1 {
		t.Errorf("of a damaged one: %+v %+v", facts, unseen)
	}
	want.Path = "/nowhere"
	if facts, unseen := look(t.Context(), named(t, "changes"), m.scope(want)); len(facts)+len(unseen) != 0 {
		t.Errorf("of none: %+v %+v", facts, unseen)
	}
}
