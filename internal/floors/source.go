// SPDX-License-Identifier: Apache-2.0

package floors

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"strconv"
	"strings"
)

// File is one Go source file, as the bans see it.
type File struct {
	Name   string // below the repository's root
	Source []byte
	Syntax *ast.File
	Set    *token.FileSet
	Test   bool
}

// Parse reads a Go source file.
func Parse(name string, source []byte) (*File, error) {
	set := token.NewFileSet()
	syntax, err := parser.ParseFile(set, name, source, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	return &File{Name: name, Source: source, Syntax: syntax, Set: set, Test: strings.HasSuffix(name, "_test.go")}, nil
}

// Hit is a place in a file that a ban has found.
type Hit struct {
	Line int
	What string
}

func (f *File) hit(n ast.Node, what string) Hit {
	return Hit{Line: f.Set.Position(n.Pos()).Line, What: what}
}

// lines counts the lines of the file.
func (f *File) lines() int {
	return bytes.Count(bytes.TrimSuffix(f.Source, []byte("\n")), []byte("\n")) + 1
}

func importPath(s *ast.ImportSpec) string {
	p, _ := strconv.Unquote(s.Path.Value) // the parser has accepted it
	return p
}

// imports finds the imports whose path a condition holds for.
func (f *File) imports(banned func(path string) bool) []Hit {
	var hits []Hit
	for _, s := range f.Syntax.Imports {
		if p := importPath(s); banned(p) {
			hits = append(hits, f.hit(s, "import of "+p))
		}
	}
	return hits
}

// within says whether an import path is one of the packages or below it.
func within(p string, packages ...string) bool {
	for _, b := range packages {
		if p == b || strings.HasPrefix(p, b+"/") {
			return true
		}
	}
	return false
}

// localName is the name by which the file knows a package of the standard
// library; empty when it does not import it.
func (f *File) localName(pkg string) string {
	for _, s := range f.Syntax.Imports {
		switch {
		case importPath(s) != pkg:
		case s.Name != nil:
			return s.Name.Name
		default:
			return path.Base(pkg)
		}
	}
	return ""
}

// names says whether the expression is the package's member of that name.
func (f *File) names(e ast.Expr, pkg, member string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != member {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == f.localName(pkg)
}

// uses finds the uses of members of a package.
func (f *File) uses(pkg string, members ...string) []Hit {
	var hits []Hit
	ast.Inspect(f.Syntax, func(n ast.Node) bool {
		e, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		for _, m := range members {
			if f.names(e, pkg, m) {
				hits = append(hits, f.hit(e, pkg+"."+m))
			}
		}
		return true
	})
	return hits
}
