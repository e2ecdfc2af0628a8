// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

// published is the schema of a kind, as people get it.
func published(t *testing.T, kind string) map[string]any {
	t.Helper()
	body, err := os.ReadFile("../../docs/schema/" + kind + ".v1alpha1.json")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return tree.(map[string]any)
}

func compile(t *testing.T, tree any) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("timeline.json", tree); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("timeline.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// closed forbids fields that the schema does not name. Readers must accept
// them, but this program must not write one that it does not document.
func closed(node any) {
	switch node := node.(type) {
	case map[string]any:
		if _, object := node["properties"].(map[string]any); object {
			node["additionalProperties"] = false
		}
		for _, child := range node {
			closed(child)
		}
	case []any:
		for _, child := range node {
			closed(child)
		}
	}
}

func TestJSONFollowsThePublishedSchema(t *testing.T) {
	tree := published(t, "timeline")
	closed(tree)
	schema := compile(t, tree)
	saved, err := os.ReadFile("testdata/timeline.json")
	if err != nil {
		t.Fatal(err)
	}
	empty := timeline.Build(nil, nil, policy.Default(), time.Date(2026, 1, 1, 0, 0, 0, 1, time.FixedZone("x", 3600)), timeline.Envelope{})
	outside := timeline.Build(node()[:1], nil, policy.Default(), seen, timeline.Envelope{Scope: timeline.Scope{Endpoints: []string{"10.0.0.1:6443"}}})
	for name, body := range map[string][]byte{
		"golden":  saved,
		"empty":   render(t, FormatJSON, empty, Options{}),
		"outside": render(t, FormatJSON, outside, Options{}),
	} {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A schema that accepts anything would pass the test above.
func TestTheSchemaRefuses(t *testing.T) {
	schema := compile(t, published(t, "timeline"))
	for name, change := range map[string]func(map[string]any){
		"another version":  func(m map[string]any) { m["apiVersion"] = "perennial.dev/v2" },
		"no items":         func(m map[string]any) { delete(m, "items") },
		"a null list":      func(m map[string]any) { m["unseen"] = nil },
		"a fraction":       func(m map[string]any) { m["at"] = "2026-11-22T10:30:00.5Z" },
		"another zone":     func(m map[string]any) { m["at"] = "2026-11-22T10:30:00+01:00" },
		"an odd exit code": func(m map[string]any) { m["exitCode"] = json.Number("3") },
		"an odd verdict":   func(m map[string]any) { m["items"].([]any)[0].(map[string]any)["verdict"] = "fine" },
		"two ends": func(m map[string]any) {
			m["items"].([]any)[0].(map[string]any)["end"] = map[string]any{"now": true, "date": "2026-11-22T10:30:00Z"}
		},
	} {
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(render(t, FormatJSON, fixture(), Options{})))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Fatal(err)
		}
		change(value.(map[string]any))
		if schema.Validate(value) == nil {
			t.Errorf("the schema accepts %s", name)
		}
	}
}

// The goldens do not have every field; this compares all of them.
func TestTheSchemaNamesEveryField(t *testing.T) {
	root := published(t, "timeline")
	compareFields(t, root, root, reflect.TypeFor[timeline.Timeline](), "timeline")
}

func compareFields(t *testing.T, root, node map[string]any, typ reflect.Type, at string) {
	t.Helper()
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if ref, ok := node["$ref"].(string); ok {
		node = root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	switch {
	case typ == reflect.TypeFor[time.Time](), typ == reflect.TypeFor[fact.Text](), typ == reflect.TypeFor[plan.Span]():
		return
	case typ.Kind() == reflect.Slice:
		if node["items"] == nil {
			t.Errorf("%s is a list, but not in the schema", at)
			return
		}
		compareFields(t, root, node["items"].(map[string]any), typ.Elem(), at+"[]")
		return
	case typ.Kind() != reflect.Struct:
		return
	}
	named, _ := node["properties"].(map[string]any)
	named = maps.Clone(named) // a definition may be used more than once
	required, _ := node["required"].([]any)
	for i := range typ.NumField() {
		name, options, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		child, ok := named[name].(map[string]any)
		if !ok {
			t.Errorf("%s.%s is not in the schema", at, name)
			continue
		}
		always := options == ""
		if contains(required, name) != always {
			t.Errorf("%s.%s: always written is %v, but the schema says otherwise", at, name, always)
		}
		compareFields(t, root, child, typ.Field(i).Type, at+"."+name)
		delete(named, name)
	}
	for name := range named {
		t.Errorf("%s.%s is in the schema only", at, name)
	}
}

func contains(all []any, name string) bool {
	for _, v := range all {
		if v == name {
			return true
		}
	}
	return false
}
