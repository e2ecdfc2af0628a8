// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/schema"
	"perennial.dev/perennial/internal/timeline"
)

// documents are the types of what this package writes, by their kinds.
var documents = map[string]reflect.Type{
	"Timeline": reflect.TypeFor[timeline.Timeline](),
	"Plan":     reflect.TypeFor[plan.Plan](),
	"History":  reflect.TypeFor[History](),
	"Releases": reflect.TypeFor[Releases](),
	"Rules":    reflect.TypeFor[ruleBook](),
}

// The goldens do not have every field; this compares all of them.
func TestSchemasNameEveryField(t *testing.T) {
	for kind, typ := range documents {
		schema.Read(t, kind).Fields(t, typ, schema.Required)
	}
}

// TestSchemasListEveryValue compares the values of each closed set with the
// constants in the source.
func TestSchemasListEveryValue(t *testing.T) {
	sets := schema.Sets{
		Open: []reflect.Type{
			reflect.TypeFor[fact.ID](), reflect.TypeFor[fact.Text](),
			reflect.TypeFor[finding.Code](),       // grows with every release; docs/codes.md lists them
			reflect.TypeFor[plan.PreflightCode](), // as above; docs/preflights.md
		},
		Narrower: []string{"timeline.items[].rule.origin", "plan.steps[].sign.spec.origin", "plan.steps[].bridge.way"},
	}
	for kind, typ := range documents {
		sets.Compare(t, schema.Read(t, kind), typ)
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[finding.Keeper](), reflect.TypeFor[fact.Why](), reflect.TypeFor[plan.Verb](), reflect.TypeFor[ReleaseState](), reflect.TypeFor[release.Origin]()} {
		if !sets.Saw(typ) {
			t.Errorf("%s was not looked at", typ)
		}
	}
}

func TestTimelinesFollowTheSchema(t *testing.T) {
	saved, err := os.ReadFile("testdata/timeline.json")
	if err != nil {
		t.Fatal(err)
	}
	empty := timeline.Build(nil, nil, policy.Default(), time.Date(2026, 1, 1, 0, 0, 0, 1, time.FixedZone("x", 3600)), timeline.Envelope{})
	outside := timeline.Build(node()[:1], nil, policy.Default(), seen, timeline.Envelope{Scope: timeline.Scope{Endpoints: []string{"10.0.0.1:6443"}}})
	s := schema.Read(t, "Timeline")
	for name, body := range map[string][]byte{
		"golden":  saved,
		"upgrade": render(t, FormatJSON, upgraded(t), Options{}),
		"empty":   render(t, FormatJSON, empty, Options{}),
		"outside": render(t, FormatJSON, outside, Options{}),
	} {
		s.Follows(t, name, body)
		s.RefusesDamage(t, name, body)
	}
	both := renderAll(t, FormatJSON, fixture(), upgraded(t))
	schema.Read(t, "TimelineList").Follows(t, "two clusters", both)
	schema.Read(t, "TimelineList").RefusesDamage(t, "two clusters", both)
}

// A schema that accepts anything would pass the tests above.
func TestTheTimelineSchemaRefuses(t *testing.T) {
	fresh := func() map[string]any {
		return schema.Value(t, render(t, FormatJSON, fixture(), Options{})).(map[string]any)
	}
	first := func(m *map[string]any) map[string]any { return (*m)["items"].([]any)[0].(map[string]any) }
	schema.Refuses(t, schema.Read(t, "Timeline"), written[map[string]any](t), fresh, map[string]func(*map[string]any){
		"another version":  func(m *map[string]any) { (*m)["apiVersion"] = finding.Group + "/v2" },
		"a null list":      func(m *map[string]any) { (*m)["unseen"] = nil },
		"a fraction":       func(m *map[string]any) { (*m)["at"] = "2026-11-22T10:30:00.5Z" },
		"another zone":     func(m *map[string]any) { (*m)["at"] = "2026-11-22T10:30:00+01:00" },
		"an odd exit code": func(m *map[string]any) { (*m)["exitCode"] = 3 },
		"an odd verdict":   func(m *map[string]any) { first(m)["verdict"] = "fine" },
		"two ends":         func(m *map[string]any) { first(m)["end"] = map[string]any{"now": true, "date": "2026-11-22T10:30:00Z"} },
	})
}

// written writes a document as the program does.
func written[T any](t *testing.T) func(T) []byte {
	return func(v T) []byte {
		body, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
}

func TestReleasesFollowTheSchema(t *testing.T) {
	c, err := release.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := schema.Read(t, "Releases")
	for name, at := range map[string]time.Time{"today": seen, "long ago": seen.AddDate(-30, 0, 0), "far ahead": seen.AddDate(30, 0, 0)} {
		s.Follows(t, name, written[Releases](t)(ReleasesAt(c, at)))
	}
	s.RefusesDamage(t, "today", written[Releases](t)(ReleasesAt(c, seen)))
	schema.Refuses(t, s, written[Releases](t), func() Releases { return ReleasesAt(c, seen) }, map[string]func(*Releases){
		"a day of no calendar":     func(r *Releases) { r.AsOf = "2026-13-01" },
		"an instant for a day":     func(r *Releases) { r.Releases[0].Released.Day = "2026-11-22T10:30:00Z" },
		"a patch for a minor":      func(r *Releases) { r.Releases[0].Minor = "1.37.0" },
		"a state nobody knows":     func(r *Releases) { r.Releases[0].State = "fine" },
		"an origin nobody knows":   func(r *Releases) { r.Releases[0].Released.Origin = "rumour" },
		"no list of the supported": func(r *Releases) { r.Supported = nil },
	})
}

func TestRulesFollowTheSchema(t *testing.T) {
	set, err := rules.Load()
	if err != nil {
		t.Fatal(err)
	}
	s := schema.Read(t, "Rules")
	s.Follows(t, "all", written[ruleBook](t)(book(set.Tables())))
	s.Follows(t, "none", written[ruleBook](t)(book(nil)))
	s.RefusesDamage(t, "all", written[ruleBook](t)(book(set.Tables())))
	schema.Refuses(t, s, written[ruleBook](t), func() ruleBook { return book(set.Tables()[:1]) }, map[string]func(*ruleBook){
		"a day of no calendar": func(b *ruleBook) { b.Tables[0].AsOf = "soon" },
		"an empty cell":        func(b *ruleBook) { b.Tables[0].Rows[0]["origin"] = "" },
		"a column in capitals": func(b *ruleBook) { b.Tables[0].Rows[0]["Column"] = "x" },
		"a row without cells":  func(b *ruleBook) { b.Tables[0].Rows[0] = map[string]string{} },
		"a table without name": func(b *ruleBook) { b.Tables[0].Name = "" },
		"a null list":          func(b *ruleBook) { b.Tables[0].Rows = nil },
	})
}
