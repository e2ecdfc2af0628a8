// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"go/ast"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

// value reads a default that is a literal, or a field that the function which
// makes its struct sets to one. Anything else is computed, and unknown.
func (r *reader) value(s *scope, e ast.Expr) (string, bool) {
	if selector, ok := e.(*ast.SelectorExpr); ok {
		if _, imported := s.imported(selector.X); !imported {
			return r.initial(r.name(r.kindOf(s, selector.X)), selector.Sel.Name)
		}
	}
	return r.constant(s.at, e)
}

// constant reads a literal, or the name of one.
func (r *reader) constant(at place, e ast.Expr) (string, bool) {
	if text, ok := upstream.Literal(e); ok {
		return text, true
	}
	if name, ok := e.(*ast.Ident); ok {
		if value, file, ok := at.p.Value(name.Name); ok {
			return r.constant(place{at.p, file}, value)
		}
	}
	return "", false
}

// initial finds what a field of a type is set to by the New function of its
// package, if one function sets it, once, and nothing of the component's own
// options sets a field of that name.
func (r *reader) initial(owner named, field string) (string, bool) {
	// The types of libraries are set further by the programs that use them.
	if !strings.HasPrefix(owner.path, "k8s.io/kubernetes/") {
		return "", false
	}
	p, err := r.tree.Package(owner.path)
	if err != nil {
		return "", false
	}
	found := initials{owner: owner.name, field: field}
	for _, file := range p.Files {
		found.read(place{p, file})
	}
	if options, err := r.tree.Package(r.main + "/app/options"); err == nil && options != p {
		for _, file := range options.Files {
			found.read(place{options, file})
		}
	}
	if len(found.values) != 1 {
		return "", false
	}
	return r.constant(found.at, found.values[0])
}

// initials are the expressions that a field is set to by New functions.
type initials struct {
	owner, field string
	values       []ast.Expr
	at           place
}

func (i *initials) read(at place) {
	for _, declaration := range at.file.Syntax.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if !ok || f.Body == nil || !strings.HasPrefix(f.Name.Name, "New") {
			continue
		}
		ast.Inspect(f.Body, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				i.literal(at, n)
			case *ast.AssignStmt:
				for k, left := range n.Lhs {
					if selector, ok := left.(*ast.SelectorExpr); ok && selector.Sel.Name == i.field && k < len(n.Rhs) {
						i.add(at, n.Rhs[k])
					}
				}
			}
			return true
		})
	}
}

func (i *initials) literal(at place, n *ast.CompositeLit) {
	ident, ok := n.Type.(*ast.Ident)
	if !ok || ident.Name != i.owner {
		return
	}
	for _, element := range n.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok {
			if key, ok := pair.Key.(*ast.Ident); ok && key.Name == i.field {
				i.add(at, pair.Value)
			}
		}
	}
}

func (i *initials) add(at place, e ast.Expr) { i.values, i.at = append(i.values, e), at }
