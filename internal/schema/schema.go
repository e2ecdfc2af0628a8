// SPDX-License-Identifier: Apache-2.0

// Package schema holds documents and Go types to the JSON Schemas that are published
// under docs/schema, by a validator that is not the product's. Only tests import it.
package schema

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// dir is where the schemas are, as seen from a package below internal/.
const dir, suffix = "../../docs/schema", ".v1alpha1.json"

// Schema is the published schema of a kind.
type Schema struct {
	Kind string // such as Timeline
	Tree map[string]any

	open, closed *jsonschema.Schema
}

// Read reads the published schema of a kind. It is the same one each time, and
// nobody's to change.
func Read(t testing.TB, kind string) *Schema {
	t.Helper()
	known.Lock()
	defer known.Unlock()
	if s, is := known.schemas[kind]; is {
		return s
	}
	s := &Schema{Kind: kind}
	name := strings.ToLower(kind)
	trees := all(t)
	if trees[name] == nil {
		t.Fatalf("no schema of the kind %s is published: docs/schema has no %s", kind, name+suffix)
	}
	s.Tree = trees[name]
	if title := s.Tree["title"]; title != kind {
		t.Fatalf("%s is the schema of %v, not of %s", name+suffix, title, kind)
	}
	s.open = compile(t, trees, s.Tree["$id"].(string))
	trees = all(t)
	for _, tree := range trees {
		closeUp(tree)
	}
	s.closed = compile(t, trees, s.Tree["$id"].(string))
	known.schemas[kind] = s
	return s
}

// known are the schemas that were read: some tests ask for one thousands of times.
var known = struct {
	sync.Mutex
	schemas map[string]*Schema
}{schemas: map[string]*Schema{}}

// Kinds are all kinds of which a schema is published.
func Kinds(t testing.TB) (kinds []string) {
	t.Helper()
	for _, tree := range all(t) {
		kinds = append(kinds, tree["title"].(string))
	}
	return kinds
}

// all are the published schemas, by their files' names without what follows the kind.
func all(t testing.TB) map[string]map[string]any {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d schemas in %s: %v", len(files), dir, err)
	}
	trees := map[string]map[string]any{}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := strings.TrimSuffix(filepath.Base(file), suffix)
		tree := Value(t, body).(map[string]any)
		if id := "urn:perennial:" + name + ":v1alpha1"; tree["$id"] != id {
			t.Fatalf("%s has the $id %v, not %s", file, tree["$id"], id)
		}
		trees[name] = tree
	}
	return trees
}

func compile(t testing.TB, trees map[string]map[string]any, id string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	for _, tree := range trees {
		if err := c.AddResource(tree["$id"].(string), tree); err != nil {
			t.Fatal(err)
		}
	}
	compiled, err := c.Compile(id)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// closeUp forbids fields that a schema does not name. Readers must accept them, but
// the program must not write one that is not documented.
func closeUp(node any) {
	switch node := node.(type) {
	case map[string]any:
		if _, object := node["properties"].(map[string]any); object {
			node["additionalProperties"] = false
		}
		for _, child := range node {
			closeUp(child)
		}
	case []any:
		for _, child := range node {
			closeUp(child)
		}
	}
}

// Value decodes a document as the validator wants it.
func Value(t testing.TB, body []byte) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatalf("%v\n%.300s", err, body)
	}
	return value
}

// Accepts says what a reader would have against a document: a field that the schema
// does not name is nothing.
func (s *Schema) Accepts(value any) error { return s.open.Validate(value) }

// names says what is wrong with a document that the program writes: a field that the
// schema does not name is, too.
func (s *Schema) names(value any) error { return s.closed.Validate(value) }

// Follows holds a document that the program has written to the schema.
func (s *Schema) Follows(t testing.TB, name string, body []byte) {
	t.Helper()
	if err := s.names(Value(t, body)); err != nil {
		t.Errorf("%s: %v\n%.2000s", name, err, body)
	}
}

// Refuses holds the schema to refuse what changes make of a document that it accepts.
func Refuses[T any](t testing.TB, s *Schema, written func(T) []byte, fresh func() T, changes map[string]func(*T)) {
	t.Helper()
	if err := s.Accepts(Value(t, written(fresh()))); err != nil {
		t.Fatal(err)
	}
	for name, change := range changes {
		document := fresh()
		change(&document)
		if s.Accepts(Value(t, written(document))) == nil {
			t.Errorf("the schema of %s accepts %s", s.Kind, name)
		}
	}
}
