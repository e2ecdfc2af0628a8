// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/schema"
)

func TestTheSchemaNamesEveryField(t *testing.T) {
	s := schema.Read(t, StatusKind)
	s.Fields(t, reflect.TypeFor[Status](), schema.Required)
	sets := schema.Sets{Open: []reflect.Type{reflect.TypeFor[fact.ID](), reflect.TypeFor[fact.Text](), reflect.TypeFor[Code](), reflect.TypeFor[finding.Code](), reflect.TypeFor[plan.PreflightCode]()}}
	sets.Compare(t, s, reflect.TypeFor[Status]())
	if !sets.Saw(reflect.TypeFor[journal.Result]()) {
		t.Error("the results were not looked at")
	}
}

func TestStatusFollowsTheSchema(t *testing.T) {
	s := schema.Read(t, StatusKind)
	least := Status{APIVersion: finding.APIVersion, Kind: StatusKind, Since: noon, At: noon, Next: []Next{}, Person: []Person{}, Verdict: "ok"}
	s.Follows(t, "the least", asWritten(t)(least))
	s.Follows(t, "all", asWritten(t)(fixture()))
	s.RefusesDamage(t, "all", asWritten(t)(fixture()))
}

func asWritten(t *testing.T) func(Status) []byte {
	return func(s Status) []byte {
		body, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
}

func TestTheStatusSchemaRefuses(t *testing.T) {
	schema.Refuses(t, schema.Read(t, StatusKind), asWritten(t), fixture, map[string]func(s *Status){
		"a wrong kind":         func(s *Status) { s.Kind = "Timeline" },
		"another version":      func(s *Status) { s.APIVersion = finding.Group + "/v2" },
		"a null list":          func(s *Status) { s.Next = nil },
		"a fraction":           func(s *Status) { s.At = s.At.Add(time.Millisecond) },
		"another time zone":    func(s *Status) { s.Next[0].At = s.Next[0].At.In(time.FixedZone("x", 3600)) },
		"an unknown verdict":   func(s *Status) { s.Verdict = "fine" },
		"an unknown exit code": func(s *Status) { s.ExitCode = 3 },
		"a code in words":      func(s *Status) { s.Person[0].Code = "line stopped" },
		"an empty ID":          func(s *Status) { s.Next[0].ID = fact.ID("") },
		"a digest of nothing":  func(s *Status) { s.Settings.Digest = "x" },
	})
}
