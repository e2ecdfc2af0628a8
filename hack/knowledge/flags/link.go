// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"bytes"
	"errors"
	"go/ast"
	"io/fs"
	"os"
	"slices"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

// The two sets of flags that a whole program has.
const (
	goFlags = "flag"
	pFlags  = "github.com/spf13/pflag"
)

const verflag = "k8s.io/component-base/version/verflag"

// linker finds what packages put into the program's sets when they are loaded.
type linker struct {
	tree  *upstream.Tree
	known map[string]linked // by import path
	// usesKlog: a package that this main package links puts klog's flags into
	// the set of the standard library.
	usesKlog map[string]bool
}

type linked struct {
	imports []string
	flags   map[string][]Flag // by library
	klog    bool
}

// all lists the flags that what a package imports puts into a library's set.
func (l *linker) all(main, library string) ([]Flag, error) {
	var found []Flag
	err := upstream.Reach(main, func(path string) ([]string, error) {
		n, err := l.read(path)
		found = append(found, n.flags[library]...)
		if n.klog {
			l.usesKlog[main] = true
		}
		return n.imports, err
	})
	return found, err
}

func (l *linker) read(path string) (linked, error) {
	if n, ok := l.known[path]; ok {
		return n, nil
	}
	n := linked{flags: map[string][]Flag{}}
	if dir, ok := l.tree.Dir(path); ok {
		if _, err := os.Stat(dir); err == nil {
			if err := l.readDir(path, dir, &n); err != nil {
				return linked{}, err
			}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return linked{}, err
		}
	}
	l.known[path] = n
	return n, nil
}

func (l *linker) readDir(path, dir string, n *linked) error {
	sources, err := upstream.Sources(dir)
	if err != nil {
		return err
	}
	if path == verflag { // by a function of its own
		n.flags[pFlags] = []Flag{{Name: "version", Citation: l.tree.Cite(path, "verflag.go")}}
	}
	for _, source := range sources {
		n.imports = append(n.imports, source.Imports...)
		registers := bytes.Contains(source.Text, []byte("flag.")) &&
			(slices.Contains(source.Imports, goFlags) || slices.Contains(source.Imports, pFlags))
		if !registers {
			continue
		}
		p, err := l.tree.Package(path)
		if err != nil {
			return err
		}
		for _, file := range p.Files {
			if file.Name == source.Name {
				l.registered(place{p, file}, n)
			}
		}
	}
	return nil
}

// registered reads flag.String("name", ...) in initial values of variables and
// in init functions.
func (l *linker) registered(at place, n *linked) {
	r := &reader{tree: l.tree}
	s := &scope{at: at, vars: map[string]variable{}}
	visit := func(node ast.Node) bool {
		call, ok := node.(*ast.CallExpr)
		if !ok {
			return true
		}
		fun, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := fun.X.(*ast.Ident)
		if !ok {
			return true
		}
		library := at.file.Imported(x.Name)
		if library == klog && fun.Sel.Name == "InitFlags" && len(call.Args) == 1 {
			if argument, ok := call.Args[0].(*ast.SelectorExpr); ok && argument.Sel.Name == "CommandLine" {
				n.klog = true
			}
		}
		found := adders.FindStringSubmatch(fun.Sel.Name)
		if found == nil || library != goFlags && library != pFlags {
			return true
		}
		i := 0
		if found[1] != "" || found[2] != "" {
			i = 1
		}
		if i >= len(call.Args) {
			return true
		}
		if name, ok := r.text(s, call.Args[i]); ok {
			n.flags[library] = append(n.flags[library], Flag{
				Name: strings.ReplaceAll(name, "_", "-"), Citation: l.tree.Cite(at.p.Path, at.file.Name),
			})
		}
		return true
	}
	for _, declaration := range at.file.Syntax.Decls {
		switch d := declaration.(type) {
		case *ast.GenDecl:
			ast.Inspect(d, visit)
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "init" {
				ast.Inspect(d, visit)
			}
		}
	}
}
