// SPDX-License-Identifier: Apache-2.0

package schema

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Sets compares closed sets of values with the constants in the source.
type Sets struct {
	Open     []reflect.Type // types of strings that are no closed set
	Narrower []string       // fields that take a part of their set only, such as plan.steps[].verb

	seen map[reflect.Type]bool
}

// Compare compares the values of every closed set in a type with the schema's.
func (c *Sets) Compare(t testing.TB, s *Schema, typ reflect.Type) {
	t.Helper()
	if c.seen == nil {
		c.seen = map[reflect.Type]bool{}
	}
	s.Fields(t, typ, func(t testing.TB, f Field) {
		at, node, typ := f.At, s.resolve(f.Node), f.Go.Type
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			if typ.Kind() == reflect.Slice {
				items, _ := node["items"].(map[string]any)
				node = s.resolve(items)
			}
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.String || typ.PkgPath() == "" || slices.Contains(c.Open, typ) {
			return
		}
		c.seen[typ] = true
		want, got := Constants(t, typ), enumOf(node)
		if slices.Contains(c.Narrower, at) {
			want = slices.DeleteFunc(want, func(v string) bool { return !slices.Contains(got, v) })
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: the schema has %q, and the constants of %s are %q", at, got, typ, want)
		}
	})
}

// Saw says whether a type was compared.
func (c *Sets) Saw(typ reflect.Type) bool { return c.seen[typ] }

func enumOf(node map[string]any) (all []string) {
	list, _ := node["enum"].([]any)
	for _, v := range list {
		all = append(all, v.(string))
	}
	slices.Sort(all)
	return slices.DeleteFunc(all, func(v string) bool { return v == "" }) // none
}

// Constants are the values of all constants of a type, read from its package's
// source.
func Constants(t testing.TB, typ reflect.Type) (all []string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join("..", path.Base(typ.PkgPath()), "*.go"))
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
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
	}
	if len(all) == 0 {
		t.Errorf("%s has no constants in %q", typ, files)
	}
	slices.Sort(all)
	return slices.DeleteFunc(all, func(v string) bool { return v == "" })
}
