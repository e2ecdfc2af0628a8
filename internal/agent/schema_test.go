// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

func statusSchema(t *testing.T) map[string]any {
	t.Helper()
	body, err := os.ReadFile("../../docs/schema/agentstatus.v1alpha1.json")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return tree.(map[string]any)
}

// asWritten validates a status as it is written.
func asWritten(t *testing.T, tree map[string]any, s any) (value any, err error) {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("status.json", tree); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("status.json")
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if value, err = jsonschema.UnmarshalJSON(bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	return value, schema.Validate(value)
}

// The schema names every field, and none that there is not.
func TestStatusFollowsThePublishedSchema(t *testing.T) {
	filled(t, reflect.ValueOf(fixture()), "status")
	tree := statusSchema(t)
	names := named(tree) // and lets no other pass
	value, err := asWritten(t, tree, fixture())
	if err != nil {
		t.Error(err)
	}
	written := map[string]bool{}
	keys(value, written)
	for name := range names {
		if !written[name] {
			t.Errorf("%s is in the schema only", name)
		}
	}
	least := Status{APIVersion: finding.APIVersion, Kind: StatusKind, Since: noon, At: noon, Next: []Next{}, Person: []Person{}, Verdict: "ok"}
	if _, err := asWritten(t, tree, least); err != nil {
		t.Error(err)
	}
}

// filled holds the fixture to have something in every field.
func filled(t *testing.T, v reflect.Value, at string) {
	t.Helper()
	switch {
	case v.Kind() == reflect.Pointer:
		filled(t, v.Elem(), at)
	case v.Kind() == reflect.Slice:
		any := reflect.New(v.Type().Elem()).Elem() // has what one of them has
		for i := range v.Len() {
			if any.Kind() != reflect.Struct {
				return
			}
			for f := range any.NumField() {
				if !v.Index(i).Field(f).IsZero() {
					any.Field(f).Set(v.Index(i).Field(f))
				}
			}
		}
		filled(t, any, at+"[]")
	case v.Kind() == reflect.Map:
		for _, key := range v.MapKeys() {
			filled(t, v.MapIndex(key), at+"."+key.String())
		}
	case v.Kind() != reflect.Struct || v.Type() == reflect.TypeFor[time.Time]():
		if v.IsZero() {
			t.Errorf("the fixture has nothing in %s", at)
		}
	default:
		for i := range v.NumField() {
			filled(t, v.Field(i), at+"."+v.Type().Field(i).Name)
		}
	}
}

// named are all fields that a schema names; it closes them.
func named(node any) map[string]bool {
	all := map[string]bool{}
	switch node := node.(type) {
	case map[string]any:
		if fields, is := node["properties"].(map[string]any); is {
			node["additionalProperties"] = false
			for name := range fields {
				all[name] = true
			}
		}
		for _, child := range node {
			for name := range named(child) {
				all[name] = true
			}
		}
	}
	return all
}

func keys(value any, into map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		for name, child := range value {
			into[name] = true
			keys(child, into)
		}
	case []any:
		for _, child := range value {
			keys(child, into)
		}
	}
}

func TestTheStatusSchemaRefuses(t *testing.T) {
	for name, change := range map[string]func(s *Status){
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
	} {
		s := fixture()
		change(&s)
		if _, err := asWritten(t, statusSchema(t), s); err == nil {
			t.Errorf("the schema lets %s pass", name)
		}
	}
}
