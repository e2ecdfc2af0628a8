// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// File is a parsed Go file.
type File struct {
	Name    string
	Syntax  *ast.File
	imports map[string]string // name in this file to import path
}

// Package is a parsed directory, without its tests.
type Package struct {
	Path  string // import path
	Files []File // by name
}

// Package parses the package at an import path; its error is fs.ErrNotExist
// where this release has no such package.
func (t *Tree) Package(importPath string) (*Package, error) {
	if p, ok := t.parsed[importPath]; ok {
		return p, nil
	}
	dir, ok := t.Dir(importPath)
	if !ok {
		return nil, fmt.Errorf("parsing %s: %w", importPath, fs.ErrNotExist)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("parsing %s: %w", importPath, err)
	}
	p := &Package{Path: importPath}
	for _, entry := range entries {
		name := entry.Name()
		if !Measured(dir, name) {
			continue
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("parsing %s: %w", importPath, err)
		}
		p.Files = append(p.Files, File{name, syntax, Imports(syntax)})
	}
	if len(p.Files) == 0 {
		return nil, fmt.Errorf("parsing %s: %w", importPath, fs.ErrNotExist)
	}
	t.parsed[importPath] = p
	return p, nil
}

// linux is what the programs of a control plane are built for.
var linux = build.Context{GOOS: "linux", GOARCH: "amd64", Compiler: "gc", CgoEnabled: true, ReleaseTags: build.Default.ReleaseTags}

// Measured leaves out tests, files that are not built for Linux, and generated
// ones in which there is nothing to measure and which are most of the text.
func Measured(dir, name string) bool {
	for _, end := range []string{
		"_test.go", ".pb.go", ".deepcopy.go", ".conversion.go", ".defaults.go", "_swagger_doc_generated.go", ".model_name.go",
	} {
		if strings.HasSuffix(name, end) {
			return false
		}
	}
	built, err := linux.MatchFile(dir, name)
	return strings.HasSuffix(name, ".go") && err == nil && built
}

// Imports are the imports of a file: the name they have in it, or that their
// path ends with, and the path.
func Imports(file *ast.File) map[string]string {
	imports := map[string]string{}
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		name := path[strings.LastIndex(path, "/")+1:]
		if path == "k8s.io/klog/v2" {
			name = "klog" // v2 is part of the module's path here, elsewhere it is an API version
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		imports[name] = path
	}
	return imports
}

// Imported is the import path that a name stands for in a file, or "".
func (f File) Imported(name string) string { return f.imports[name] }

// Imports reports that the file imports a package.
func (f File) Imports(path string) bool {
	for _, imported := range f.imports {
		if imported == path {
			return true
		}
	}
	return false
}

// Source is a file of a directory, read only as far as its imports.
type Source struct {
	Name    string
	Text    []byte
	Imports []string // import paths
}

// Sources reads the files of a directory that Package would parse.
func Sources(dir string) ([]Source, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var sources []Source
	for _, entry := range entries {
		name := entry.Name()
		if !Measured(dir, name) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
		if err != nil {
			return nil, err
		}
		source := Source{Name: name, Text: text}
		for _, spec := range syntax.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return nil, err
			}
			source.Imports = append(source.Imports, path)
		}
		sources = append(sources, source)
	}
	return sources, nil
}

// Value finds the initial value of a package-level constant or variable and
// the file that has it.
func (p *Package) Value(name string) (ast.Expr, File, bool) {
	for _, file := range p.Files {
		for _, declaration := range file.Syntax.Decls {
			group, ok := declaration.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				values, ok := spec.(*ast.ValueSpec)
				if !ok {
					continue
				}
				for i, ident := range values.Names {
					if ident.Name == name && i < len(values.Values) {
						return values.Values[i], file, true
					}
				}
			}
		}
	}
	return nil, File{}, false
}

// Func finds a function, not a method.
func (p *Package) Func(name string) (*ast.FuncDecl, File, bool) {
	for _, file := range p.Files {
		for _, declaration := range file.Syntax.Decls {
			if f, ok := declaration.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == name {
				return f, file, true
			}
		}
	}
	return nil, File{}, false
}

// Text resolves an expression to the string that it stands for: a literal, a
// sum, a conversion, or a constant of this or another package of the tree.
func (t *Tree) Text(p *Package, file File, e ast.Expr) (string, error) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			return strconv.Unquote(e.Value)
		}
	case *ast.ParenExpr:
		return t.Text(p, file, e.X)
	case *ast.BinaryExpr:
		left, err := t.Text(p, file, e.X)
		if err != nil || e.Op != token.ADD {
			return "", errors.Join(err, errors.New("not a sum of strings"))
		}
		right, err := t.Text(p, file, e.Y)
		return left + right, err
	case *ast.CallExpr:
		if len(e.Args) == 1 {
			return t.Text(p, file, e.Args[0])
		}
	case *ast.Ident:
		value, in, ok := p.Value(e.Name)
		if !ok {
			return "", fmt.Errorf("%s has no %s", p.Path, e.Name)
		}
		return t.Text(p, in, value)
	case *ast.SelectorExpr:
		other, err := t.imported(file, e)
		if err != nil {
			return "", err
		}
		return t.Text(other, File{}, e.Sel)
	}
	return "", fmt.Errorf("resolving a %T in %s: not a constant text", e, p.Path)
}

func (t *Tree) imported(file File, e *ast.SelectorExpr) (*Package, error) {
	name, ok := e.X.(*ast.Ident)
	if !ok || file.Imported(name.Name) == "" {
		return nil, fmt.Errorf("resolving %s: not of an imported package", e.Sel.Name)
	}
	return t.Package(file.Imported(name.Name))
}

// Walk calls visit for the import path of every directory below an import
// path, sorted, those without Go files too.
func (t *Tree) Walk(importPath string, visit func(importPath string) error) error {
	root, ok := t.Dir(importPath)
	if !ok {
		return fmt.Errorf("walking %s: %w", importPath, fs.ErrNotExist)
	}
	var found []string
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		inside, err := filepath.Rel(root, path)
		if inside != "." {
			found = append(found, importPath+"/"+filepath.ToSlash(inside))
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("walking %s: %w", importPath, err)
	}
	slices.Sort(found)
	for _, path := range found {
		if err := visit(path); err != nil {
			return err
		}
	}
	return nil
}
