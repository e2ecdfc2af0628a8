// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/docs"
)

// runs says whether a witness runs a call: its file says so, or its test has the
// command, and the call's words together in one function of those that it reaches.
// Words that a page leaves open are the test's own.
func (w witness) runs(c docs.Call) error {
	if !strings.HasPrefix(w.says, "Test") {
		text, err := os.ReadFile(filepath.Join(repository, w.in))
		if err == nil && !regexp.MustCompile(w.says).Match(text) {
			err = fmt.Errorf("%s has no %s", w.in, w.says)
		}
		return err
	}
	p, err := parseTests(filepath.Join(repository, w.in))
	if err != nil {
		return err
	}
	if p.bodies[w.says] == nil {
		return fmt.Errorf("%s has no %s", w.in, w.says)
	}
	said, named, together := wordsOf(c), false, false
	for _, name := range p.reached(w.says) {
		has := p.texts(name)
		named = named || has[c.Args[0]]
		together = together || !slices.ContainsFunc(said, func(word string) bool { return !has[word] })
	}
	if !named || !together {
		return fmt.Errorf("%s of %s runs no %s with %q", w.says, w.in, c.Args[0], said)
	}
	return nil
}

var (
	left  = regexp.MustCompile(`^[A-Z]+$`)
	value = regexp.MustCompile(`^(?:--yes|-y|[A-Z_]+=.*)$`)
)

// wordsOf are the words of a call that a test has to have: the command below the first
// word, which helpers have, its flags, and what it is about.
func wordsOf(c docs.Call) []string {
	var all []string
	for n, arg := range c.Args {
		switch {
		case n == 0 && len(c.Args) > 1 && (c.Program == docs.Perennial || arg == "node") && !strings.HasPrefix(c.Args[1], "-"):
		case arg == "--":
			return all
		case left.MatchString(arg), value.MatchString(arg):
		case n > 0 && strings.HasPrefix(c.Args[n-1], "--") && !strings.HasPrefix(arg, "-") && c.Program == docs.Lab: // a name, a version
		case c.Program == docs.Lab && arg == "--name": // helpers have it
		default:
			all = append(all, arg)
		}
	}
	return all
}

// testCode is a package's tests.
type testCode struct {
	bodies map[string][]ast.Node // functions and variables by name, methods by .name
}

func parseTests(dir string) (testCode, error) {
	p := testCode{map[string][]ast.Node{}}
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err == nil && len(files) == 0 {
		err = errors.New(dir + " has no tests")
	}
	for _, name := range files {
		if filepath.Base(name) == tables { // which names everything
			continue
		}
		file, parsing := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if parsing != nil {
			return p, parsing
		}
		for _, d := range file.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				at := d.Name.Name
				if d.Recv != nil {
					at = "." + at
				}
				p.bodies[at] = append(p.bodies[at], d.Body)
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if v, ok := s.(*ast.ValueSpec); ok {
						for _, name := range v.Names {
							p.bodies[name.Name] = append(p.bodies[name.Name], v)
						}
					}
				}
			}
		}
	}
	return p, err
}

const tables = "docs_tables_test.go"

// reached are a function and all that it names, and what those name. A method stands
// for those of its name of every type.
func (p testCode) reached(name string) []string {
	all := []string{name}
	add := func(name string) {
		if p.bodies[name] != nil && !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	var visit func(ast.Node) bool
	visit = func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.SelectorExpr:
			add("." + node.Sel.Name)
			ast.Inspect(node.X, visit)
			return false
		case *ast.Ident:
			add(node.Name)
		}
		return true
	}
	for n := 0; n < len(all); n++ {
		for _, body := range p.bodies[all[n]] {
			ast.Inspect(body, visit)
		}
	}
	return all
}

// texts are the words in the texts of a function.
func (p testCode) texts(name string) map[string]bool {
	all := map[string]bool{}
	for _, body := range p.bodies[name] {
		ast.Inspect(body, func(node ast.Node) bool {
			if lit, ok := node.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					for _, word := range strings.Fields(text) {
						all[strings.SplitN(word, "=", 2)[0]] = true
						all[word] = true
					}
				}
			}
			return true
		})
	}
	return all
}

// A witness that does not run the call, or is not there, is none.
func TestWitnesses(t *testing.T) {
	for line, is := range elsewhere {
		calls := docs.CallsOf(line)
		if len(calls) == 0 {
			t.Errorf("%s calls nothing of ours", line)
			continue
		}
		if err := is.runs(calls[0]); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	for line, w := range map[string]witness{
		"perennial restart kube-apiserver --in-haste": {"internal/e2e", "TestNodeHandover"},
		"perennial restart kube-apiserver --clean-up": {"internal/e2e", "TestNodeCheckpoint"},
		"perennial restart kube-apiserver":            {"internal/e2e", "TestNodeHandedOver"},
		"perennial releases kube-apiserver":           {"internal/e2e", "TestNodeHandover"},
		"make demo":                                   {".ci/run", "make demonstration"},
		"make test":                                   {".ci/walk", "make test"},
		"lab node up":                                 {"lab/cmd", "TestNodes"},
	} {
		if w.runs(docs.CallsOf(line)[0]) == nil {
			t.Errorf("%s passes for what runs %s", w.says, line)
		}
	}
}
