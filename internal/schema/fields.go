// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Field is a field of a Go type beside what the schema says of it.
type Field struct {
	At   string         // such as timeline.items[].id
	Node map[string]any // of the field
	In   map[string]any // of what it is a field of
	Go   reflect.StructField
}

func (f Field) name() string { return nameOf(f.Go) }

func nameOf(f reflect.StructField) string {
	if name, _, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" {
		return name
	}
	return f.Name
}

// Fields compares every field of a type with the schema, both ways, since examples
// do not have every field, and lets further be checked of each.
func (s *Schema) Fields(t testing.TB, typ reflect.Type, further ...func(testing.TB, Field)) {
	t.Helper()
	s.fields(t, s.Tree, typ, strings.ToLower(s.Kind), further)
}

func (s *Schema) fields(t testing.TB, node map[string]any, typ reflect.Type, at string, further []func(testing.TB, Field)) {
	t.Helper()
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	node = s.resolve(node)
	if writesItself(typ) {
		if node["properties"] != nil {
			t.Errorf("%s is one value, but has fields in the schema", at)
		}
		return
	}
	switch typ.Kind() {
	case reflect.Slice:
		s.below(t, node, "items", typ, at+"[]", further)
	case reflect.Map:
		s.below(t, node, "additionalProperties", typ, at+".*", further)
	case reflect.Struct:
		named, _ := node["properties"].(map[string]any)
		named = maps.Clone(named) // a definition may be used more than once
		for f := range written(typ) {
			child, ok := named[nameOf(f)].(map[string]any)
			if !ok {
				t.Errorf("%s.%s is not in the schema", at, nameOf(f))
				continue
			}
			delete(named, nameOf(f))
			field := Field{At: at + "." + nameOf(f), Node: child, In: node, Go: f}
			for _, check := range further {
				check(t, field)
			}
			s.fields(t, child, f.Type, field.At, further)
		}
		for name := range named {
			t.Errorf("%s.%s is in the schema only", at, name)
		}
	}
}

// below compares what a list or a map holds.
func (s *Schema) below(t testing.TB, node map[string]any, key string, typ reflect.Type, at string, further []func(testing.TB, Field)) {
	t.Helper()
	child, ok := node[key].(map[string]any)
	if !ok {
		t.Errorf("%s is in a list or a map, but not in the schema", at)
		return
	}
	s.fields(t, child, typ.Elem(), at, further)
}

// resolve follows references inside of the schema.
func (s *Schema) resolve(node map[string]any) map[string]any {
	for {
		ref, ok := node["$ref"].(string)
		name, here := strings.CutPrefix(ref, "#/$defs/")
		if !ok || !here {
			return node
		}
		node = s.Tree["$defs"].(map[string]any)[name].(map[string]any)
	}
}

// written are the fields that package json writes for a struct: those of what is
// embedded are its own.
func written(typ reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for _, f := range reflect.VisibleFields(typ) {
			if inside := f.Anonymous && f.Tag.Get("json") == ""; inside || !f.IsExported() || nameOf(f) == "-" {
				continue
			}
			if !yield(f) {
				return
			}
		}
	}
}

var (
	jsonItself = reflect.TypeFor[json.Marshaler]()
	textItself = reflect.TypeFor[encoding.TextMarshaler]()
)

// writesItself says that a type decides by itself what is written.
func writesItself(typ reflect.Type) bool {
	return typ.Implements(jsonItself) || typ.Implements(textItself)
}

// Required is a further check: what is always written is required, and nothing else.
func Required(t testing.TB, f Field) {
	t.Helper()
	_, options, _ := strings.Cut(f.Go.Tag.Get("json"), ",")
	required, _ := f.In["required"].([]any)
	if always := options == ""; slices.Contains(required, any(f.name())) != always {
		t.Errorf("%s: always written is %v, but the schema says otherwise", f.At, always)
	}
}

// Described is a further check: a person can read what each field is.
func Described(t testing.TB, f Field) {
	t.Helper()
	for _, by := range []string{"description", "$ref", "enum", "const"} {
		if f.Node[by] != nil {
			return
		}
	}
	t.Errorf("%s has no description", f.At)
}
