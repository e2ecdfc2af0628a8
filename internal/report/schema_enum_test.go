// SPDX-License-Identifier: Apache-2.0

package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/floors"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/timeline"
)

// openSets are the types of strings that are no closed set.
var openSets = map[reflect.Type]bool{
	reflect.TypeFor[fact.ID]():            true,
	reflect.TypeFor[fact.Text]():          true,
	reflect.TypeFor[finding.Code]():       true, // grows with every release; docs/codes.md lists them
	reflect.TypeFor[plan.PreflightCode](): true, // as above; docs/preflights.md
}

// narrowerSets are closed sets that a schema narrows, because a field takes a part of the set only.
var narrowerSets = map[string]bool{"timeline.items[].rule.origin": true, "plan.steps[].sign.spec.origin": true, "plan.steps[].bridge.way": true}

// TestSchemasListEveryValue compares the values of each closed set with the
// constants in the source.
func TestSchemasListEveryValue(t *testing.T) {
	seen := map[reflect.Type]bool{}
	for _, c := range []struct {
		name   string
		schema map[string]any
		typ    reflect.Type
	}{
		{"timeline", published(t, "timeline"), reflect.TypeFor[timeline.Timeline]()},
		{"plan", published(t, "plan"), reflect.TypeFor[plan.Plan]()},
		{"history", published(t, "history"), reflect.TypeFor[History]()},
	} {
		values(t, c.schema, c.schema, c.typ, c.name, seen)
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[finding.Keeper](), reflect.TypeFor[fact.Why](), reflect.TypeFor[plan.Verb]()} {
		if !seen[typ] {
			t.Errorf("%s was not looked at", typ)
		}
	}
}

func values(t *testing.T, root, node map[string]any, typ reflect.Type, at string, seen map[reflect.Type]bool) {
	t.Helper()
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if ref, ok := node["$ref"].(string); ok {
		node = root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
	}
	switch typ.Kind() {
	case reflect.Slice:
		if items, ok := node["items"].(map[string]any); ok {
			values(t, root, items, typ.Elem(), at+"[]", seen)
		}
	case reflect.Struct:
		properties, _ := node["properties"].(map[string]any)
		for f := range typ.Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if child, ok := properties[name].(map[string]any); ok {
				values(t, root, child, f.Type, at+"."+name, seen)
			}
		}
	case reflect.String:
		if openSets[typ] || typ.PkgPath() == "" {
			return
		}
		seen[typ] = true
		want, got := constantsOf(t, typ), enumOf(node)
		if narrowerSets[at] {
			want = slices.DeleteFunc(want, func(v string) bool { return !slices.Contains(got, v) })
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %q, and the constants of %s are %q", at, got, typ, want)
		}
	}
}

func enumOf(node map[string]any) (all []string) {
	list, _ := node["enum"].([]any)
	for _, v := range list {
		all = append(all, v.(string))
	}
	slices.Sort(all)
	return slices.DeleteFunc(all, func(v string) bool { return v == "" }) // none
}

// constantsOf are the values of all constants of a type, read from its package's
// source.
func constantsOf(t *testing.T, typ reflect.Type) (all []string) {
	t.Helper()
	dir := filepath.Join("..", path.Base(strings.TrimPrefix(typ.PkgPath(), floors.Module)))
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(f, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if of, ok := spec.Type.(*ast.Ident); ok && of.Name == typ.Name() {
				for _, v := range spec.Values {
					if lit, ok := v.(*ast.BasicLit); ok && lit.Kind == token.STRING {
						value, _ := strconv.Unquote(lit.Value)
						all = append(all, value)
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil || len(all) == 0 {
		t.Errorf("%s has no constants: %v", typ, err)
	}
	slices.Sort(all)
	return all
}
