// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/workbench"
)

// A handover that was cut off and finished just now is not done again for whoever
// runs the same command; one that was cut off long ago, by which the API server
// was not started, or that was no handover, is.
func TestHandedOver(t *testing.T) {
	cut := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	handover := plan.Step{Number: 1, Verb: plan.Restart, Stop: &plan.Stop{}, Bridge: &plan.Bridge{}}
	inPlace := plan.Step{Number: 1, Verb: plan.Restart, Stop: &plan.Stop{}}
	for name, c := range map[string]struct {
		step           plan.Step
		result         journal.Result
		since, started time.Duration // after it was cut off
		want           bool
	}{
		"finished":            {handover, journal.Done, time.Minute, 10 * time.Second, true},
		"not finished":        {handover, "", time.Minute, 10 * time.Second, false},
		"taken back":          {handover, journal.Undone, time.Minute, 10 * time.Second, false},
		"ended before":        {handover, journal.Done, 30 * time.Minute, 10 * time.Second, false},
		"begun long ago":      {handover, journal.Done, -2 * time.Hour, 10 * time.Second, false},
		"not started by it":   {handover, journal.Done, time.Minute, -time.Second, false},
		"a restart otherwise": {inPlace, journal.Done, time.Minute, 10 * time.Second, false},
	} {
		since, begun := cut.Add(c.since), cut
		if c.since < 0 {
			since, begun = cut, cut.Add(c.since)
		}
		b := benchAt(t)
		body, err := json.Marshal(plan.Plan{Steps: []plan.Step{c.step}})
		if err != nil {
			t.Fatal(err)
		}
		records := []journal.Record{journal.Begin{Plan: "p", Content: body}, journal.Intent{Plan: "p", Step: 1}}
		ended := cut.Add(2 * time.Minute)
		if c.result != "" {
			records = append(records, journal.Outcome{Plan: "p", Step: 1, Result: c.result}, journal.End{Plan: "p", Result: c.result})
		}
		for i, r := range records {
			at := begun
			if i >= 2 {
				at = ended
			}
			if err := b.Journal.Append(at, r); err != nil {
				t.Fatal(err)
			}
		}
		if id, got := b.handedOver(since, cut.Add(c.started)); got != c.want || got && id != "p" {
			t.Errorf("%s: %v %q", name, got, id)
		}
	}
}

// benchAt is a bench with a journal in a directory of its own.
func benchAt(t *testing.T) *bench {
	t.Helper()
	b, err := workbench.Open(workbench.Options{State: filepath.Join(t.TempDir(), "state"), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	if err := b.Disk.MakeDir(b.State); err != nil {
		t.Fatal(err)
	}
	return &bench{Bench: b}
}
