// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// heard is a test that failing does not end.
type heard struct {
	testing.TB
	said []string
}

func (h *heard) Helper() {}
func (h *heard) Errorf(format string, args ...any) {
	h.said = append(h.said, fmt.Sprintf(format, args...))
}

// loose is a schema that says next to nothing.
func loose(t *testing.T, text string) *Schema {
	t.Helper()
	s := &Schema{Kind: "Loose", Tree: Value(t, []byte(text)).(map[string]any)}
	s.open = compile(t, map[string]map[string]any{"loose": s.Tree}, "urn:perennial:loose:v1alpha1")
	tight := Value(t, []byte(text)).(map[string]any)
	closeUp(tight)
	s.closed = compile(t, map[string]map[string]any{"loose": tight}, "urn:perennial:loose:v1alpha1")
	return s
}

const head = `{"$id": "urn:perennial:loose:v1alpha1", "type": "object", "required": ["kind", "list"], `

// A check that cannot fail is none: each finds what is wrong with a schema.
func TestDamageIsNoticed(t *testing.T) {
	const document = `{"kind": "Loose", "list": [{"a": 1}, {"a": 2}, {"a": "no number"}]}`
	for name, c := range map[string]struct{ schema, says string }{
		"one that is whole":    {head + `"properties": {"kind": {"const": "Loose"}, "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}}}}`, ""},
		"no type":              {head + `"properties": {"kind": {"const": "Loose"}, "list": {"type": "array", "items": {"type": "object", "properties": {"a": {}}}}}}`, "another type at .list[1].a"},
		"a null":               {head + `"properties": {"kind": {"type": ["string", "null"]}, "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}}}}`, "null at .kind"},
		"no fields":            {head + `"properties": {"kind": {"const": "Loose"}, "list": {"type": "array", "items": {"type": "object"}}}}`, "a field too much at .list[0]"},
		"no fields at the top": {`{"$id": "urn:perennial:loose:v1alpha1", "type": "object", "required": ["kind", "list"]}`, "a field too much at the top"},
		"nothing is required":  {`{"$id": "urn:perennial:loose:v1alpha1", "type": "object", "properties": {"kind": {"const": "Loose"}, "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}}}}`, "requires [] only"},
	} {
		h := &heard{TB: t}
		loose(t, c.schema).RefusesDamage(h, "a document", []byte(document))
		said := strings.Join(h.said, "\n")
		if c.says == "" && said != "" || !strings.Contains(said, c.says) {
			t.Errorf("%s: %q, want %q", name, said, c.says)
		}
	}
}

type colour string

type embedded struct {
	Inner string `json:"inner,omitempty"`
}

type document struct {
	Kind string `json:"kind"`
	List []struct {
		A int `json:"a,omitempty"`
	} `json:"list"`
	Names map[string]colour `json:"names,omitempty"`
	embedded
	_ int // not exported, so no field of the document
}

func TestFieldsAreCompared(t *testing.T) {
	const list, names, inner = `"list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "integer"}}}}`, `"names": {"type": "object", "additionalProperties": {"type": "string"}}`, `"inner": {"type": "string"}`
	kind := `"kind": {"const": "Loose"}`
	for name, c := range map[string]struct {
		fields []string
		says   string
	}{
		"all":       {[]string{kind, list, names, inner}, ""},
		"embedded":  {[]string{kind, list, names}, "loose.inner is not in the schema"},
		"a field":   {[]string{list, names, inner}, "loose.kind is not in the schema"},
		"one more":  {[]string{kind, list, names, inner, `"more": {}`}, "loose.more is in the schema only"},
		"no list":   {[]string{kind, `"list": {"type": "string"}`, names, inner}, "loose.list[] is in a list or a map, but not in the schema"},
		"no map":    {[]string{kind, list, `"names": {"type": "object"}`, inner}, "loose.names.* is in a list or a map, but not in the schema"},
		"an a more": {[]string{kind, strings.Replace(list, `"a":`, `"b": {}, "a":`, 1), names, inner}, "loose.list[].b is in the schema only"},
	} {
		h := &heard{TB: t}
		s := loose(t, head+`"properties": {`+strings.Join(c.fields, ", ")+`}}`)
		s.Fields(h, reflect.TypeFor[document](), Required)
		if said := strings.Join(h.said, "\n"); said != c.says {
			t.Errorf("%s: %q, want %q", name, said, c.says)
		}
	}
	h := &heard{TB: t}
	s := loose(t, head+`"properties": {`+strings.Join([]string{kind, list, names, inner}, ", ")+`}}`)
	s.Tree["required"] = []any{"kind", "names"}
	s.Fields(h, reflect.TypeFor[document](), Required, Described)
	slices.Sort(h.said)
	if len(h.said) < 4 || !strings.Contains(strings.Join(h.said, "\n"), "loose.list: always written is true") || !strings.Contains(strings.Join(h.said, "\n"), "loose.names: always written is false") || !strings.Contains(strings.Join(h.said, "\n"), "loose.inner has no description") {
		t.Errorf("%q", h.said)
	}
}

// Every schema that is published has what readers need of it.
func TestEverySchemaStandsForItself(t *testing.T) {
	kinds := Kinds(t)
	for _, kind := range kinds {
		s := Read(t, kind)
		if text, _ := s.Tree["description"].(string); text == "" || s.Tree["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
			t.Errorf("%s has no description, or is of another draft", kind)
		}
		named, _ := s.Tree["properties"].(map[string]any)
		version, _ := named["apiVersion"].(map[string]any)
		of, _ := named["kind"].(map[string]any)
		if version["const"] != "perennial.dev/v1alpha1" || of["const"] != kind {
			t.Errorf("the schema of %s is for the apiVersion %v and the kind %v", kind, version["const"], of["const"])
		}
	}
}
