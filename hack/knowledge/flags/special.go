// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"go/ast"
	"slices"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

const (
	logs      = "k8s.io/component-base/logs"
	klog      = "k8s.io/klog/v2"
	klogFlags = "k8s.io/component-base/logs/klogflags"
)

// special reads the calls that take flags over from a set of the whole program,
// which holds more than what is taken: by name, or all of the logging library.
func (r *reader) special(s *scope, call *ast.CallExpr) bool {
	decl, at, ok := r.function(s, call)
	if !ok {
		return false
	}
	switch {
	case at.p.Path == klog && decl.Name.Name == "InitFlags":
		for _, name := range r.klogFlags() {
			r.add(s, name)
		}
		return true
	case at.p.Path == logs && decl.Name.Name == "AddFlags" && decl.Recv == nil: // not that of Options
		return r.logFlags(s, call)
	case (decl.Name.Name == "register" || decl.Name.Name == "pflagRegister") && len(call.Args) == 3,
		decl.Name.Name == "Register" && strings.HasSuffix(at.p.Path, "/globalflag"):
		name, ok := r.text(s, call.Args[len(call.Args)-1])
		if !ok {
			r.failed(s, "a flag is taken over whose name is not constant")
			return true
		}
		r.add(s, name)
		return true
	}
	return false
}

// logFlags reads logs.AddFlags: since 1.23 it takes over what a set of the
// package holds, all flags of klog or, since 1.26, those that klogflags leaves.
func (r *reader) logFlags(s *scope, call *ast.CallExpr) bool {
	p, err := r.tree.Package(logs)
	if err != nil {
		return false
	}
	decl, file, _ := p.Func("AddFlags")
	if !visitsAll(decl) {
		return false
	}
	skip := false
	for _, option := range call.Args[1:] {
		skip = skip || !r.evaluate(s, option).missing
	}
	names, deprecated := r.klogFlags(), "deprecated"
	if text, in, ok := p.Value("deprecated"); ok {
		deprecated, _ = r.tree.Text(p, in, text)
	}
	if imports(p.Files, klogFlags) {
		names = []string{"v", "vmodule"}
	}
	configured := []string{"v", "vmodule", "log-flush-frequency"}
	own := &scope{at: place{p, file}}
	for _, name := range append(names, "log-flush-frequency") {
		if skip && slices.Contains(configured, name) {
			continue
		}
		flag := r.add(own, name)
		if !slices.Contains(configured, name) {
			flag.deprecate(deprecated)
		}
	}
	return true
}

func imports(files []upstream.File, path string) bool {
	return slices.ContainsFunc(files, func(f upstream.File) bool { return f.Imports(path) })
}

func visitsAll(decl *ast.FuncDecl) bool {
	found := false
	ast.Inspect(decl.Body, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && methodName(call) == "VisitAll" {
			found = true
		}
		return true
	})
	return found
}

// klogFlags are the flags of klog: those that its sources add to any set.
func (r *reader) klogFlags() []string {
	p, err := r.tree.Package(klog)
	if err != nil {
		r.failures = append(r.failures, err)
		return nil
	}
	var names []string
	for _, file := range p.Files {
		s := &scope{at: place{p, file}}
		ast.Inspect(file.Syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 3 {
				return true
			}
			fun, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !strings.HasSuffix(fun.Sel.Name, "Var") {
				return true
			}
			if name, ok := r.text(s, call.Args[1]); ok {
				names = append(names, strings.ReplaceAll(name, "_", "-"))
			}
			return true
		})
	}
	slices.Sort(names)
	return slices.Compact(names)
}
