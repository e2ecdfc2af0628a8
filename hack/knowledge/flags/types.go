// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"go/ast"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

// place is where an expression stands: what its names mean.
type place struct {
	p    *upstream.Package
	file upstream.File
}

// named is a type with a name; of a pointer it is what is pointed to. Its path
// is empty for what is no part of any package.
type named struct{ path, name string }

var flagSet = named{"github.com/spf13/pflag", "FlagSet"}

// isFlagSet reports a set of flags, or several by name: of pflag, of the
// standard library, or an interface over both.
func (n named) isFlagSet() bool {
	return strings.EqualFold(n.name, "FlagSet") || n.name == "NamedFlagSets" || n.name == "goFlagSet"
}

// kind is the type of an expression: its syntax and what its names mean.
type kind struct {
	at place
	e  ast.Expr
}

func (k kind) known() bool { return k.e != nil }

// outside are results of what is no part of the tree.
var outside = map[string]named{
	"Flags": flagSet, "PersistentFlags": flagSet, "CommandLine": flagSet, "NewFlagSet": flagSet,
}

// name is the name of a type, without pointers.
func (r *reader) name(k kind) named {
	switch e := k.e.(type) {
	case *ast.StarExpr:
		return r.name(kind{k.at, e.X})
	case *ast.ParenExpr:
		return r.name(kind{k.at, e.X})
	case *ast.Ident:
		if k.at.p == nil {
			return named{"", e.Name}
		}
		return named{k.at.p.Path, e.Name}
	case *ast.SelectorExpr:
		if x, ok := e.X.(*ast.Ident); ok {
			return named{k.at.file.Imported(x.Name), e.Sel.Name}
		}
	}
	return named{}
}

// declared finds the declaration of a named type.
func (r *reader) declared(n named) (*ast.TypeSpec, place, bool) {
	p, err := r.tree.Package(n.path)
	if err != nil {
		return nil, place{}, false
	}
	for _, file := range p.Files {
		for _, declaration := range file.Syntax.Decls {
			group, ok := declaration.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				if t, ok := spec.(*ast.TypeSpec); ok && t.Name.Name == n.name {
					return t, place{p, file}, true
				}
			}
		}
	}
	return nil, place{}, false
}

// field finds a field of a struct, also one of what it embeds.
func (r *reader) field(n named, name string) (kind, bool) {
	spec, at, ok := r.declared(n)
	if !ok {
		return kind{}, false
	}
	fields, ok := spec.Type.(*ast.StructType)
	if !ok {
		if other := r.name(kind{at, spec.Type}); other.name != "" && other != n {
			return r.field(other, name)
		}
		return kind{}, false
	}
	var embedded []named
	for _, f := range fields.Fields.List {
		if len(f.Names) == 0 {
			inner := r.name(kind{at, f.Type})
			if inner.name == name {
				return kind{at, f.Type}, true
			}
			embedded = append(embedded, inner)
		}
		for _, ident := range f.Names {
			if ident.Name == name {
				return kind{at, f.Type}, true
			}
		}
	}
	for _, inner := range embedded {
		if found, ok := r.field(inner, name); ok {
			return found, true
		}
	}
	return kind{}, false
}

// method finds a method of a type, also one of what it embeds.
func (r *reader) method(n named, name string) (*ast.FuncDecl, place, bool) {
	p, err := r.tree.Package(n.path)
	if err != nil || n.path == "" {
		return nil, place{}, false
	}
	for _, file := range p.Files {
		for _, declaration := range file.Syntax.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if ok && f.Recv != nil && f.Name.Name == name && r.name(kind{place{p, file}, f.Recv.List[0].Type}) == n {
				return f, place{p, file}, true
			}
		}
	}
	spec, at, ok := r.declared(n)
	if !ok {
		return nil, place{}, false
	}
	if _, ok := spec.Type.(*ast.InterfaceType); ok {
		return implemented(at.p, name)
	}
	if fields, ok := spec.Type.(*ast.StructType); ok {
		for _, f := range fields.Fields.List {
			if len(f.Names) > 0 {
				continue
			}
			if found, in, ok := r.method(r.name(kind{at, f.Type}), name); ok {
				return found, in, true
			}
		}
	}
	return nil, place{}, false
}

// implemented finds the one method of a name in a package, for an interface that
// the package declares and implements.
func implemented(p *upstream.Package, name string) (*ast.FuncDecl, place, bool) {
	var found *ast.FuncDecl
	var at place
	for _, file := range p.Files {
		for _, declaration := range file.Syntax.Decls {
			f, ok := declaration.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != name {
				continue
			}
			if found != nil {
				return nil, place{}, false
			}
			found, at = f, place{p, file}
		}
	}
	return found, at, found != nil
}

// function finds what a call calls; not ok for what is no part of the tree.
func (r *reader) function(s *scope, call *ast.CallExpr) (*ast.FuncDecl, place, bool) {
	switch fun := call.Fun.(type) {
	case *ast.Ident:
		decl, file, ok := s.at.p.Func(fun.Name)
		return decl, place{s.at.p, file}, ok
	case *ast.SelectorExpr:
		if path, ok := s.imported(fun.X); ok {
			p, err := r.tree.Package(path)
			if err != nil {
				return nil, place{}, false
			}
			decl, file, ok := p.Func(fun.Sel.Name)
			return decl, place{p, file}, ok
		}
		return r.method(r.name(r.kindOf(s, fun.X)), fun.Sel.Name)
	}
	return nil, place{}, false
}

// imported is the import path that an expression names.
func (s *scope) imported(e ast.Expr) (string, bool) {
	x, ok := e.(*ast.Ident)
	if !ok {
		return "", false
	}
	if _, local := s.vars[x.Name]; local {
		return "", false
	}
	path := s.at.file.Imported(x.Name)
	return path, path != ""
}

// kindOf finds the type of an expression as far as that is needed to follow
// sets of flags.
func (r *reader) kindOf(s *scope, e ast.Expr) kind {
	switch e := e.(type) {
	case *ast.ParenExpr:
		return r.kindOf(s, e.X)
	case *ast.StarExpr:
		return r.kindOf(s, e.X)
	case *ast.UnaryExpr:
		return r.kindOf(s, e.X)
	case *ast.CompositeLit:
		return kind{s.at, e.Type}
	case *ast.TypeAssertExpr:
		return kind{s.at, e.Type}
	case *ast.IndexExpr:
		return r.element(r.kindOf(s, e.X))
	case *ast.Ident:
		return r.kindOfIdent(s, e)
	case *ast.SelectorExpr:
		return r.kindOfSelector(s, e)
	case *ast.CallExpr:
		kinds := r.results(s, e)
		if len(kinds) > 0 {
			return kinds[0]
		}
	}
	return kind{}
}

func (r *reader) element(k kind) kind {
	switch e := k.e.(type) {
	case *ast.MapType:
		return kind{k.at, e.Value}
	case *ast.ArrayType:
		return kind{k.at, e.Elt}
	}
	return kind{}
}

func (r *reader) kindOfIdent(s *scope, e *ast.Ident) kind {
	if v, ok := s.vars[e.Name]; ok {
		return v.kind
	}
	if value, file, ok := s.at.p.Value(e.Name); ok {
		return r.kindOf(&scope{at: place{s.at.p, file}}, value)
	}
	return kind{}
}

func (r *reader) kindOfSelector(s *scope, e *ast.SelectorExpr) kind {
	path, ok := s.imported(e.X)
	if !ok {
		found, _ := r.field(r.name(r.kindOf(s, e.X)), e.Sel.Name)
		return found
	}
	if p, err := r.tree.Package(path); err == nil {
		if value, file, ok := p.Value(e.Sel.Name); ok {
			return r.kindOf(&scope{at: place{p, file}}, value)
		}
		return kind{}
	}
	return r.outsideKind(e.Sel.Name)
}

func (r *reader) outsideKind(name string) kind {
	n, ok := outside[name]
	if !ok {
		return kind{}
	}
	return kind{e: &ast.Ident{Name: n.name}}
}

// results are the types of what a call returns.
func (r *reader) results(s *scope, call *ast.CallExpr) []kind {
	if fun, ok := call.Fun.(*ast.Ident); ok && fun.Name == "new" && len(call.Args) == 1 {
		return []kind{{s.at, call.Args[0]}}
	}
	decl, at, ok := r.function(s, call)
	if !ok {
		if fun, isSelector := call.Fun.(*ast.SelectorExpr); isSelector {
			return []kind{r.outsideKind(fun.Sel.Name)}
		}
		return nil
	}
	if decl.Type.Results == nil {
		return nil
	}
	var kinds []kind
	for _, field := range decl.Type.Results.List {
		for range max(1, len(field.Names)) {
			kinds = append(kinds, kind{at, field.Type})
		}
	}
	return kinds
}
