// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/schema"
)

// past is a journal with everything that can be in one; every text is that of the
// argument.
func past(t *testing.T, text string) []journal.Plan {
	t.Helper()
	content, err := json.Marshal(plan.Plan{ID: "p1", Node: fact.Text(text), By: "agent", Steps: []plan.Step{
		{Number: 1, Verb: plan.Renew, ID: fact.ID("cp1/" + text), Title: "renew " + text},
		{Number: 2, Verb: plan.Restart, ID: "cp1/kube-scheduler", Title: "restart kube-scheduler"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	at := func(minutes int) time.Time { return seen.Add(time.Duration(minutes)*time.Minute + 123456789) }
	digest := func(n int) string { return fmt.Sprintf("sha256:%064x", n) }
	files := []journal.File{{Path: "/etc/kubernetes/" + text, Before: digest(1), After: digest(2), Backup: "/var/lib/perennial/backup/p1/" + text}, {Path: "/etc/kubernetes/new"}}
	return []journal.Plan{
		{ID: "p1", Begun: at(0), Content: content, UndoneBy: "p2", Ended: at(5), Result: journal.Done, Notes: []string{text}, Steps: []journal.Step{
			{Number: 1, Tries: []journal.Try{
				{Begun: at(1), Ended: at(2), Intent: &journal.Intent{Plan: "p1", Step: 1, Files: files}, Outcome: &journal.Outcome{Result: journal.Failed, Proof: fact.Text(text)}},
				{Begun: at(3), Ended: at(4), Intent: &journal.Intent{Plan: "p1", Step: 1, Files: files}, Outcome: &journal.Outcome{Result: journal.Done, Proof: fact.Text(text)}},
			}},
			{Number: 2, Tries: []journal.Try{{Begun: at(4), Ended: at(4), Outcome: &journal.Outcome{Result: journal.Skipped}}}},
		}},
		{ID: "p2", Begun: at(10), Content: json.RawMessage(`"` + "no plan" + `"`), Undoes: "p1", Ended: at(11), Result: journal.Undone, Steps: []journal.Step{}},
		{ID: "p3", Begun: at(20), Content: content, Steps: []journal.Step{{Number: 1, Tries: []journal.Try{{Begun: at(21), Intent: &journal.Intent{Plan: "p3", Step: 1}}}}}},
	}
}

func renderHistory(t *testing.T, f Format, h History, steps bool, o Options) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteHistory(&b, f, h, steps, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestHistoryGoldens(t *testing.T) {
	h := HistoryOf(past(t, "apiserver.crt"))
	golden(t, "history.json", []byte(renderHistory(t, FormatJSON, h, false, Options{})))
	golden(t, "history.txt", []byte(renderHistory(t, FormatTable, h, false, Options{Width: 80})))
	golden(t, "history-steps.txt", []byte(renderHistory(t, FormatTable, h, true, Options{Width: 80})))
}

func TestHistoryFollowsTheSchema(t *testing.T) {
	s := schema.Read(t, "History")
	for name, h := range map[string]History{"all": HistoryOf(past(t, "apiserver.crt")), "none": HistoryOf(nil)} {
		s.Follows(t, name, []byte(renderHistory(t, FormatJSON, h, false, Options{})))
		s.RefusesDamage(t, name, []byte(renderHistory(t, FormatJSON, h, false, Options{})))
	}
}

func TestTheHistorySchemaRefuses(t *testing.T) {
	asRendered := func(h History) []byte { return []byte(renderHistory(t, FormatJSON, h, false, Options{})) }
	schema.Refuses(t, schema.Read(t, "History"), asRendered, func() History { return HistoryOf(past(t, "apiserver.crt")) }, map[string]func(h *History){
		"a wrong kind":          func(h *History) { h.Kind = "Plan" },
		"a null list":           func(h *History) { h.Plans[0].Notes = nil },
		"a result nobody knows": func(h *History) { h.Plans[0].Result = "fine" },
		"a verb nobody knows":   func(h *History) { h.Plans[0].Steps[0].Verb = "burn" },
		"a step zero":           func(h *History) { h.Plans[0].Steps[0].Number = 0 },
		"a step without a try":  func(h *History) { h.Plans[0].Steps[0].Tries = []PastTry{} },
		"a digest of nothing":   func(h *History) { h.Plans[0].Steps[0].Tries[0].Files[0].Before = "x" },
		"a fraction":            func(h *History) { h.Plans[0].Begun = h.Plans[0].Begun.Add(time.Millisecond) },
	})
}

func TestHostileHistory(t *testing.T) {
	for n, s := range hostileNames {
		h := HistoryOf(past(t, s))
		name := fmt.Sprintf("name %d", n)
		for _, f := range Documents {
			safe(t, name+", "+string(f), renderHistory(t, f, h, false, Options{Width: 60}))
			safe(t, name+", steps, "+string(f), renderHistory(t, f, h, true, Options{Width: 60}))
		}
		fits(t, name, renderHistory(t, FormatTable, h, false, Options{Width: 60}), Options{Width: 60})
		var back History
		if err := json.Unmarshal([]byte(renderHistory(t, FormatJSON, h, false, Options{})), &back); err != nil || len(back.Plans) != 3 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
