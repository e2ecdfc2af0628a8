// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Policy says which plans stay in the journal. An unfinished one always does;
// of the others, one stays that is among the newest or young enough.
type Policy struct {
	Keep int           // so many of the plans that began last
	Age  time.Duration // those that ended less than this ago; 0: none for its age
}

// Pruned is what leaves the journal.
type Pruned struct {
	Plans []Plan // they are no longer told by the history, and cannot be undone
	// Backups are the copies that no remaining plan names. They hold private
	// keys; whoever prunes removes them, after the journal.
	Backups []string
}

// Prunable is what Prune would take out.
func (j *Journal) Prunable(p Policy, now time.Time) Pruned {
	var out Pruned
	var kept []string
	plans := j.Plans()
	for i, plan := range plans {
		newest := len(plans)-i <= p.Keep
		young := now.Sub(plan.Ended) < p.Age
		if plan.Result == "" || newest || young {
			kept = append(kept, plan.Backups()...)
			continue
		}
		out.Plans = append(out.Plans, plan)
	}
	for _, plan := range out.Plans {
		for _, b := range plan.Backups() {
			if !slices.Contains(kept, b) && !slices.Contains(out.Backups, b) {
				out.Backups = append(out.Backups, b)
			}
		}
	}
	return out
}

// Prune takes plans out of the journal and leaves a note that names them. The
// file is replaced as a whole: after a power failure it is the old or the new
// one. Notes of no plan go with their age.
func (j *Journal) Prune(p Policy, now time.Time) (Pruned, error) {
	out := j.Prunable(p, now)
	if len(out.Plans) == 0 {
		return out, nil
	}
	var gone []string
	for _, plan := range out.Plans {
		gone = append(gone, plan.ID)
	}
	note, err := newEntry(0, now, Note{Text: fact.Text("pruned, and no longer undoable: " + strings.Join(gone, ", "))})
	if err != nil {
		return Pruned{}, fmt.Errorf("pruning the journal: %w", err)
	}
	var entries []Entry
	for _, e := range j.entries {
		stale := plan(e.Record) == "" && now.Sub(e.At) >= p.Age
		if !stale && !slices.Contains(gone, plan(e.Record)) {
			entries = append(entries, e)
		}
	}
	entries = append(entries, note)
	var told history
	for i := range entries {
		entries[i].Seq, entries[i].line.Seq = i+1, i+1
		told.add(entries[i])
	}
	if err := j.rewrite(entries); err != nil {
		j.ragged = true
		return Pruned{}, fmt.Errorf("pruning the journal: %w", err)
	}
	j.entries, j.history, j.torn = entries, told, nil
	return out, nil
}

// plan is the plan that a record is about; empty for none.
func plan(r Record) string {
	switch r := r.(type) {
	case Begin:
		return r.Plan
	case Intent:
		return r.Plan
	case Outcome:
		return r.Plan
	case End:
		return r.Plan
	case Note:
		return r.Plan
	}
	return ""
}
