// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"encoding/json"
	"fmt"
	"testing"
)

// elements is how many of a list are kept for damaging: the others are like them.
const elements = 2

// RefusesDamage damages a document everywhere, once at a time, and wants each refused:
// a value of another type, a null, a field too much, and, at the top, a required field
// that is missing. A schema that accepts anything would pass every other test.
func (s *Schema) RefusesDamage(t testing.TB, name string, body []byte) {
	t.Helper()
	whole := shortened(Value(t, body))
	if err := s.names(whole); err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	refused := func(what string, err error) {
		if err == nil {
			t.Errorf("%s: the schema of %s accepts %s", name, s.Kind, what)
		}
	}
	surplus := func(at string, fields map[string]any) {
		fields["surplus"] = true
		refused("a field too much at "+at, s.names(whole))
		delete(fields, "surplus")
	}
	each("", whole, func(at string, value any, put func(any)) {
		for what, other := range map[string]any{"null": nil, "another type": otherThan(value)} {
			put(other)
			refused(fmt.Sprintf("%s at %s", what, at), s.Accepts(whole))
		}
		put(value)
		if fields, is := value.(map[string]any); is {
			surplus(at, fields)
		}
	})
	top := whole.(map[string]any)
	surplus("the top", top)
	required, _ := s.Tree["required"].([]any)
	for _, field := range required {
		value := top[field.(string)]
		delete(top, field.(string))
		refused("a document without "+field.(string), s.Accepts(whole))
		top[field.(string)] = value
	}
	if len(required) < 2 {
		t.Errorf("the schema of %s requires %v only", s.Kind, required)
	}
	if err := s.names(whole); err != nil {
		t.Errorf("%s: what was damaged was not mended again: %v", name, err)
	}
}

// otherThan is a value of a type that nothing has which may be like a value.
func otherThan(value any) any {
	switch value.(type) {
	case string:
		return json.Number("7")
	case map[string]any:
		return []any{}
	case []any:
		return map[string]any{}
	}
	return "words"
}

// each visits every value below the top with a function that puts another into its
// place.
func each(at string, node any, visit func(at string, value any, put func(any))) {
	switch node := node.(type) {
	case map[string]any:
		for name, value := range node {
			visit(at+"."+name, value, func(other any) { node[name] = other })
			each(at+"."+name, value, visit)
		}
	case []any:
		for n, value := range node {
			visit(fmt.Sprintf("%s[%d]", at, n), value, func(other any) { node[n] = other })
			each(fmt.Sprintf("%s[%d]", at, n), value, visit)
		}
	}
}

// shortened leaves out what of a list is like the rest.
func shortened(value any) any {
	switch value := value.(type) {
	case map[string]any:
		for name, child := range value {
			value[name] = shortened(child)
		}
	case []any:
		value = value[:min(len(value), elements):min(len(value), elements)]
		for n, child := range value {
			value[n] = shortened(child)
		}
		return value
	}
	return value
}
