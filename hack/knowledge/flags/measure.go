// SPDX-License-Identifier: Apache-2.0

// Package flags measures the command line flags of the components of a release
// and puts the releases together to one table.
package flags

import (
	"errors"
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

// Flag is a flag of a component of one release.
type Flag struct {
	Component, Name string
	Hidden          bool
	Deprecated      bool
	Notice          string // what upstream says of the deprecation
	Default         string
	HasDefault      bool // Default is known, may be empty
	Citation        string
}

func (f *Flag) deprecate(notice string) {
	f.Deprecated = true
	if f.Notice == "" {
		f.Notice = strings.Join(strings.Fields(notice), " ")
	}
}

// command is the function that makes a component's command.
type command struct{ component, function string }

var commands = []command{
	{"kube-apiserver", "NewAPIServerCommand"},
	{"kube-controller-manager", "NewControllerManagerCommand"},
	{"kube-proxy", "NewProxyCommand"},
	{"kube-scheduler", "NewSchedulerCommand"},
	{"kubelet", "NewKubeletCommand"},
}

// Measure reads the flags of all components.
func Measure(tree *upstream.Tree) ([]Flag, error) {
	links := &linker{tree, map[string]linked{}, map[string]bool{}}
	var all []Flag
	for _, c := range commands {
		found, err := c.measure(tree, links)
		if err != nil {
			return nil, fmt.Errorf("measuring the flags of %s %s: %w", c.component, tree.Release, err)
		}
		all = append(all, found...)
	}
	return all, nil
}

func (c command) measure(tree *upstream.Tree, links *linker) ([]Flag, error) {
	app := "k8s.io/kubernetes/cmd/" + c.component + "/app"
	p, err := tree.Package(app)
	if err != nil {
		return nil, err
	}
	decl, file, ok := p.Func(c.function)
	if !ok {
		return nil, fmt.Errorf("no function %s in %s", c.function, app)
	}
	r := &reader{tree: tree, flags: map[string]*Flag{}, links: links, main: "k8s.io/kubernetes/cmd/" + c.component}
	r.call(decl, place{p, file}, variable{}, nil)
	// The kubelet parses its flags itself, the others leave that to cobra, which
	// takes those of pflag's set of the whole program, too.
	if c.component != "kubelet" {
		if err := r.program(); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(r.failures...); err != nil {
		return nil, err
	}
	var found []Flag
	for _, name := range slices.Sorted(maps.Keys(r.flags)) {
		flag := *r.flags[name]
		flag.Component = c.component
		found = append(found, flag)
	}
	return found, nil
}

// program reads what main adds to the command, and what packages that are
// linked add to the program's sets.
func (r *reader) program() error {
	p, err := r.tree.Package(r.main)
	if err != nil {
		return err
	}
	for _, file := range p.Files {
		s := &scope{at: place{p, file}, vars: map[string]variable{}}
		ast.Inspect(file.Syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			// cli.Run adds the flags for logs to the command that it runs.
			if decl, at, ok := r.function(s, call); ok && decl.Name.Name == "Run" && at.p.Path == "k8s.io/component-base/cli" {
				r.logFlags(s, &ast.CallExpr{Args: []ast.Expr{ast.NewIdent("fs")}})
			}
			if methodName(call) == "AddGoFlagSet" {
				r.takeProgram(goFlags)
			}
			return true
		})
	}
	r.takeProgram(pFlags)
	// cobra adds this one where nobody else has.
	r.add(&scope{at: place{p, p.Files[0]}}, "help")
	return nil
}

// takeProgram adds the flags of a set of the whole program: those that linked
// packages put there when they are loaded.
func (r *reader) takeProgram(library string) {
	found, err := r.links.all(r.main, library)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.failures = append(r.failures, err)
	}
	for _, flag := range found {
		if _, there := r.flags[flag.Name]; !there {
			r.flags[flag.Name] = &flag
			r.order = append(r.order, flag.Name)
		}
	}
	if library == goFlags && r.links.usesKlog[r.main] {
		for _, name := range r.klogFlags() {
			if _, there := r.flags[name]; !there {
				r.flags[name] = &Flag{Name: name, Citation: r.tree.Cite(klog, "klog.go")}
			}
		}
	}
}
