// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/plan"
)

func space(version string, labels string) json.RawMessage {
	return json.RawMessage(`{"metadata":{"name":"shop","uid":"u1","resourceVersion":"` + version + `","labels":` + labels + `}}`)
}

// Whatever stands in the fields, an object is as before, as it is to be, or
// somebody else's.
func TestHowAnObjectStands(t *testing.T) {
	o := plan.Object{APIVersion: "v1", Kind: "Namespace", Resource: "namespaces", Name: "shop", UID: "u1", Fields: []plan.Field{
		{Path: []string{"metadata", "labels", "a.b/c"}, After: plan.Text("x")},
		{Path: []string{"metadata", "labels", "d"}, Before: plan.Text("1"), After: plan.Text("2")},
	}}
	for _, c := range []struct {
		content json.RawMessage
		want    plan.Standing
		back    plan.Standing // of the same object changed back
	}{
		{nil, plan.Gone, plan.Gone},
		{space("7", `{"d":"1"}`), plan.AsBefore, plan.AsAfter},
		{space("7", `{"d":"1","e":"other"}`), plan.AsBefore, plan.AsAfter},
		{space("7", `{"a.b/c":"x","d":"2"}`), plan.AsAfter, plan.AsBefore},
		{space("7", `{"a.b/c":"x","d":"1"}`), plan.Changed, plan.Changed},
		{space("7", `{"a.b/c":"y","d":"1"}`), plan.Changed, plan.Changed},
		{space("7", `{}`), plan.Changed, plan.Changed},
		{space("7", `null`), plan.Changed, plan.Changed},
		{space("7", `"text"`), plan.Changed, plan.Changed},
		{json.RawMessage(`{"metadata":{"uid":"u2","labels":{"d":"1"}}}`), plan.Gone, plan.Gone},
		{json.RawMessage(`[]`), plan.Changed, plan.Changed},
	} {
		got, version, why := o.Stands(c.content)
		if got != c.want || (got == plan.AsBefore && version != "7") || (got == plan.Changed || got == plan.Gone) == (why == "") {
			t.Errorf("%s: %s (%q, %q), want %s", c.content, got, version, why, c.want)
		}
		if got, _, _ := o.Back().Stands(c.content); got != c.back {
			t.Errorf("%s, changed back: %s, want %s", c.content, got, c.back)
		}
	}
	patch, err := o.Back().Merge("9")
	if want := `{"metadata":{"labels":{"a.b/c":null,"d":"1"},"resourceVersion":"9","uid":"u1"}}`; err != nil || string(patch) != want {
		t.Errorf("%s, %v; want %s", patch, err, want)
	}
}

// What a plan did is taken back, the last first, and nothing where one of its
// objects was changed since.
func TestUndoOfObjects(t *testing.T) {
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	p := plan.ForCluster("p1", now, plan.Cluster{Server: "s", UID: "c"})
	field := func(name string) []plan.Field {
		return []plan.Field{{Path: []string{"metadata", "labels", name}, After: plan.Text("x")}}
	}
	for _, name := range []string{"a", "b", "c"} {
		step, any := plan.PatchStep(plan.Object{APIVersion: "v1", Kind: "Namespace", Resource: "namespaces", Name: "shop", UID: "u1", Fields: field(name), Rehearse: true}, name, "why")
		if !any {
			t.Fatal("nothing to do")
		}
		p.Add(step)
	}
	seen := func(labels string) plan.Seen {
		return plan.Seen{Facts: []fact.Fact{fact.Object{APIVersion: "v1", Type: "Namespace", Name: "shop", Content: space("1", labels)}}}
	}
	done := map[int]bool{1: true, 2: true}
	back, err := plan.ForObjectUndo(p, done, nil, seen(`{"a":"x","b":"x","other":"y"}`), "p2", now)
	if err != nil || len(back.Steps) != 2 || back.Undoes != "p1" || !strings.Contains(back.Steps[0].Why, "b") || back.Steps[0].Object.Rehearse {
		t.Errorf("%+v, %v", back, err)
	}
	// Taken back and done again, it is rehearsed again.
	again, err := plan.ForObjectUndo(back, done, nil, seen(`{"other":"y"}`), "p3", now)
	if err != nil || len(again.Steps) != 2 || !again.Steps[0].Object.Rehearse || !again.Steps[1].Object.Rehearse {
		t.Errorf("done again: %+v, %v", again, err)
	}
	if _, err := plan.ForObjectUndo(p, done, nil, seen(`{"a":"x","b":"changed"}`), "p2", now); err == nil || !strings.Contains(err.Error(), "changed since") {
		t.Errorf("a label that somebody changed: %v", err)
	}
	if _, err := plan.ForObjectUndo(p, done, nil, plan.Seen{}, "p2", now); err == nil {
		t.Error("an object that is gone is no error")
	}
	unseen := plan.Seen{Unseen: []fact.Unseen{{What: "cluster/Namespace/-/shop", Why: fact.Failed, Detail: "connection refused"}}}
	if _, err := plan.ForObjectUndo(p, done, nil, unseen, "p2", now); err == nil || !strings.Contains(err.Error(), "could not be looked at: connection refused") || strings.Contains(err.Error(), "changed since") {
		t.Errorf("an object that cannot be seen: %v", err)
	}
	// An undo that stopped half way is gone on with; what it took back and somebody
	// has changed since is somebody else's, and so is what somebody took back.
	rest, err := plan.ForObjectUndo(p, done, back.Steps[:1], seen(`{"a":"x"}`), "p4", now)
	if err != nil || len(rest.Steps) != 1 || !strings.Contains(rest.Steps[0].Why, "a") {
		t.Errorf("the rest: %+v, %v", rest, err)
	}
	for labels, taken := range map[string][]plan.Step{`{"a":"x","b":"changed"}`: back.Steps[:1], `{"a":"x"}`: back.Steps[1:], `{"b":"x"}`: nil} {
		if _, err := plan.ForObjectUndo(p, done, taken, seen(labels), "p4", now); err == nil || !strings.Contains(err.Error(), "changed since") {
			t.Errorf("%s, half undone: %v", labels, err)
		}
	}
}
