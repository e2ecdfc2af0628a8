// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

func schemaTree(t testing.TB) map[string]any {
	t.Helper()
	body, err := os.ReadFile("../../docs/schema/config.v1alpha1.json")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return tree.(map[string]any)
}

func schemaOf(t testing.TB) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	if err := c.AddResource("config.json", schemaTree(t)); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("config.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// asJSON is a settings file as an editor's validator sees it: a day is text
// there, and fields that are merged in stand where they were merged.
func asJSON(n *yaml.Node) any {
	switch {
	case n.Kind == yaml.DocumentNode:
		return asJSON(n.Content[0])
	case n.Kind == yaml.AliasNode:
		return asJSON(n.Alias)
	case n.Kind == yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i < len(n.Content); i += 2 {
			if n.Content[i].ShortTag() == "!!merge" {
				from, many := asJSON(n.Content[i+1]).([]any)
				if !many {
					from = []any{asJSON(n.Content[i+1])}
				}
				for _, one := range slices.Backward(from) { // the first wins
					if one, ok := one.(map[string]any); ok {
						maps.Copy(out, one)
					}
				}
			}
		}
		for i := 0; i < len(n.Content); i += 2 {
			if n.Content[i].ShortTag() != "!!merge" {
				out[n.Content[i].Value] = asJSON(n.Content[i+1])
			}
		}
		return out
	case n.Kind == yaml.SequenceNode:
		out := []any{}
		for _, item := range n.Content {
			out = append(out, asJSON(item))
		}
		return out
	}
	if tag := n.ShortTag(); tag != "!!str" && tag != "!!timestamp" {
		var v any
		if n.Decode(&v) == nil {
			return v
		}
	}
	return n.Value
}

// readable leaves out what a plain reader gives up on, such as an alias of itself.
func readable(body []byte) (any, bool) {
	var doc yaml.Node
	var plain any
	if yaml.Unmarshal(body, &plain) != nil || yaml.Unmarshal(body, &doc) != nil || len(doc.Content) == 0 {
		return nil, false
	}
	return asJSON(&doc), true
}

func TestTheSchemaRefuses(t *testing.T) {
	schema := schemaOf(t)
	for _, c := range refused {
		value, ok := readable([]byte(c.body))
		if !ok {
			continue // nothing that a schema could see
		}
		if err := schema.Validate(value); (err != nil) == c.free {
			t.Errorf("%s: the schema says %v, free is %v", c.name, err, c.free)
		}
	}
}

func TestTheSchemaAcceptsWhatIsRead(t *testing.T) {
	schema := schemaOf(t)
	for name, body := range goodFiles(t) {
		value, ok := readable(body)
		if !ok {
			t.Fatalf("%s is no YAML", name)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		p, err := Parse(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		validate(t, schema, name, p)
	}
	validate(t, schema, "the default", Default())
}

// validate holds what is written about a policy to the schema.
func validate(t *testing.T, schema *jsonschema.Schema, name string, p Policy) {
	t.Helper()
	body, err := p.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%s as written: %v\n%s", name, err, body)
	}
}

func goodFiles(t *testing.T) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/good/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	all := map[string][]byte{}
	for _, name := range names {
		if all[name], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// The examples do not have every field; this compares all of them, both ways.
func TestTheSchemaNamesEveryField(t *testing.T) {
	root := schemaTree(t)
	compareFields(t, root, root, reflect.TypeFor[file](), "config")
}

func compareFields(t *testing.T, root, node map[string]any, typ reflect.Type, at string) {
	t.Helper()
	for {
		ref, ok := node["$ref"].(string)
		if !ok {
			break
		}
		node = root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	switch {
	case strings.HasPrefix(typ.Name(), "entry["):
		if node["properties"] != nil {
			t.Errorf("%s is a scalar, but has fields in the schema", at)
		}
		return
	case typ.Kind() == reflect.Slice:
		items, ok := node["items"].(map[string]any)
		if !ok {
			t.Errorf("%s is a list, but not in the schema", at)
			return
		}
		compareFields(t, root, items, typ.Elem(), at+"[]")
		return
	}
	if node["additionalProperties"] != false {
		t.Errorf("%s: the schema lets further fields pass", at)
	}
	named := maps.Clone(node["properties"].(map[string]any))
	for i := range typ.NumField() {
		name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
		child, ok := named[name].(map[string]any)
		if !ok {
			t.Errorf("%s.%s is not in the schema", at, name)
			continue
		}
		if child["description"] == nil && child["$ref"] == nil && child["enum"] == nil && child["const"] == nil {
			t.Errorf("%s.%s has no description", at, name)
		}
		compareFields(t, root, child, typ.Field(i).Type, at+"."+name)
		delete(named, name)
	}
	for name := range named {
		t.Errorf("%s.%s is in the schema only", at, name)
	}
}
