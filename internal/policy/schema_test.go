// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"go.yaml.in/yaml/v3"

	"perennial.dev/perennial/internal/schema"
)

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
	published := schema.Read(t, Kind)
	for _, c := range refused {
		value, ok := readable([]byte(c.body))
		if !ok {
			continue // nothing that a schema could see
		}
		if err := published.Accepts(value); (err != nil) == c.free {
			t.Errorf("%s: the schema says %v, free is %v", c.name, err, c.free)
		}
	}
}

func TestTheSchemaAcceptsWhatIsRead(t *testing.T) {
	published := schema.Read(t, Kind)
	for name, body := range goodFiles(t) {
		value, ok := readable(body)
		if !ok {
			t.Fatalf("%s is no YAML", name)
		}
		if err := published.Accepts(value); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		p, err := Parse(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		published.Follows(t, name+" as written", asWritten(t, p))
	}
	published.Follows(t, "the default as written", asWritten(t, Default()))
}

func asWritten(t *testing.T, p Policy) []byte {
	t.Helper()
	body, err := p.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return body
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
	schema.Read(t, Kind).Fields(t, reflect.TypeFor[file](), schema.Described, func(t testing.TB, f schema.Field) {
		if f.In["additionalProperties"] != false {
			t.Errorf("%s: the schema lets further fields pass beside it", f.At)
		}
	})
}
