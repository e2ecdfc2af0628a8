// SPDX-License-Identifier: Apache-2.0

package journal_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
)

func fromString(s string) fact.Text { return fact.Text(s) }

func outcomeOf(proof string) journal.Record {
	return journal.Outcome{Plan: "p1", Step: 1, Result: journal.Done, Proof: fact.Text(proof)}
}

// years is a journal with a plan a year, of which the third never ended.
func years(t *testing.T, files journal.Files) (*journal.Journal, time.Time) {
	t.Helper()
	j := open(t, files)
	at := start
	for n := 1; n <= 5; n++ {
		id := fmt.Sprintf("p%d", n)
		records := []journal.Record{begin(id), intent(id, 1), outcome(id, 1, journal.Done), journal.End{Plan: id, Result: journal.Done}}
		if n == 3 {
			records = records[:2]
		}
		for _, r := range append(records, journal.Note{Text: "a year"}) {
			if err := j.Append(at, r); err != nil {
				t.Fatal(err)
			}
		}
		at = at.AddDate(1, 0, 0)
	}
	return j, at
}

func ids(plans []journal.Plan) []string {
	var out []string
	for _, p := range plans {
		out = append(out, p.ID)
	}
	return out
}

func TestPrune(t *testing.T) {
	const year = 365*24*time.Hour + 24*time.Hour
	for _, c := range []struct {
		policy journal.Policy
		gone   []string
	}{
		{journal.Policy{Keep: 5}, nil},
		{journal.Policy{Age: 6 * year}, nil},
		{journal.Policy{Keep: 2}, []string{"p1", "p2"}},
		{journal.Policy{Keep: 1, Age: 2 * year}, []string{"p1", "p2"}},
		{journal.Policy{Keep: 4, Age: year}, []string{"p1"}},
		{journal.Policy{}, []string{"p1", "p2", "p4", "p5"}},
	} {
		m := &inMemory{}
		j, now := years(t, m)
		could := j.Prunable(c.policy, now)
		did, err := j.Prune(c.policy, now)
		if err != nil || !reflect.DeepEqual(could, did) || !slices.Equal(ids(did.Plans), c.gone) {
			t.Errorf("%+v: %v, %v, %v", c.policy, ids(could.Plans), ids(did.Plans), err)
			continue
		}
		var backups []string
		for _, id := range c.gone {
			backups = append(backups, "/backup/"+id+"/1")
		}
		if !slices.Equal(did.Backups, backups) {
			t.Errorf("%+v: backups %q", c.policy, did.Backups)
		}
		again := open(t, m)
		if !reflect.DeepEqual(again.Plans(), j.Plans()) || !reflect.DeepEqual(again.Records(), j.Records()) {
			t.Errorf("%+v: read again it differs", c.policy)
		}
		if left := ids(again.Plans()); len(left) != 5-len(c.gone) || !slices.Contains(left, "p3") || len(again.Unfinished()) != 1 {
			t.Errorf("%+v: %q is left", c.policy, left)
		}
		records := again.Records()
		last, ok := records[len(records)-1].Record.(journal.Note)
		if noted := ok && strings.Contains(string(last.Text), "no longer undoable: "+strings.Join(c.gone, ", ")); noted != (c.gone != nil) {
			t.Errorf("%+v: the last record is %+v", c.policy, records[len(records)-1])
		}
		fill(t, again, begin("next"))
		if len(open(t, m).Records()) != len(records)+1 {
			t.Errorf("%+v: it cannot be added to", c.policy)
		}
	}
}

// A backup that a remaining plan names stays.
func TestPruneKeepsSharedBackups(t *testing.T) {
	m := &inMemory{}
	j := open(t, m)
	shared := intent("p1", 1)
	undo := shared
	undo.Plan = "u1"
	fill(t, j, begin("p1"), shared, outcome("p1", 1, journal.Done), journal.End{Plan: "p1", Result: journal.Done},
		journal.Begin{Plan: "u1", Undoes: "p1"}, undo, outcome("u1", 1, journal.Done), journal.End{Plan: "u1", Result: journal.Done})
	did, err := j.Prune(journal.Policy{Keep: 1}, start.AddDate(10, 0, 0))
	if err != nil || len(did.Plans) != 1 || len(did.Backups) != 0 {
		t.Errorf("%+v, %v", did, err)
	}
	if p := open(t, m).Plans(); len(p) != 1 || p[0].Undoes != "p1" {
		t.Errorf("%+v", p)
	}
}

// A clock that went back makes everything young.
func TestPruneWithAClockBehind(t *testing.T) {
	j, _ := years(t, &inMemory{})
	if did := j.Prunable(journal.Policy{Age: time.Hour}, start.AddDate(-2, 0, 0)); len(did.Plans) != 0 {
		t.Errorf("%+v", did)
	}
}

func TestPruneThatFails(t *testing.T) {
	m := &inMemory{}
	j, now := years(t, m)
	before := j.Records()
	broken := &failing{inMemory: m, err: errors.New("read-only file system")}
	j = open(t, broken)
	if did, err := j.Prune(journal.Policy{}, now); !errors.Is(err, broken.err) || len(did.Plans) != 0 || !strings.HasPrefix(err.Error(), "pruning the journal: ") {
		t.Errorf("%+v, %v", did, err)
	}
	if !reflect.DeepEqual(j.Records(), before) || !reflect.DeepEqual(open(t, m).Records(), before) {
		t.Error("the journal has changed")
	}
}

// failing is a disk that cannot replace.
type failing struct {
	*inMemory
	err error
}

func (f *failing) Replace(string, []byte, string) error { return f.err }
