// SPDX-License-Identifier: Apache-2.0

package apis

import (
	"errors"
	"fmt"
	"go/ast"
	"io/fs"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

type groupVersion struct{ group, version string }

type groupResource struct{ group, version, resource string }

// enabled is what a server with default flags enables.
type enabled struct {
	versions  map[groupVersion]bool
	resources map[groupResource]bool
}

func (e enabled) has(kind *Kind) bool {
	if e.resources[groupResource{kind.Group, kind.Version, kind.Resource}] {
		return true
	}
	// A kind that is only sent to a subresource goes with that resource, and
	// those of core are enabled.
	return e.versions[groupVersion{kind.Group, kind.Version}]
}

// The three servers in one process, each with its own defaults. Up to 1.19 the
// first was in pkg/master.
var servers = [][]string{
	{"k8s.io/kubernetes/pkg/controlplane", "k8s.io/kubernetes/pkg/master"},
	{"k8s.io/apiextensions-apiserver/pkg/apiserver"},
	{"k8s.io/kube-aggregator/pkg/apiserver"},
}

// measureEnabled follows DefaultAPIResourceConfigSource of each server.
func measureEnabled(tree *upstream.Tree) (enabled, error) {
	e := enabled{versions: map[groupVersion]bool{}, resources: map[groupResource]bool{}}
	for _, paths := range servers {
		p, err := firstPackage(tree, paths)
		if err != nil {
			return enabled{}, err
		}
		reader := enabledReader{tree, p, e}
		if err := reader.function("DefaultAPIResourceConfigSource"); err != nil {
			return enabled{}, fmt.Errorf("reading the default APIs in %s of %s: %w", p.Path, tree.Release, err)
		}
	}
	return e, nil
}

func firstPackage(tree *upstream.Tree, paths []string) (*upstream.Package, error) {
	for _, path := range paths[:len(paths)-1] {
		if p, err := tree.Package(path); !errors.Is(err, fs.ErrNotExist) {
			return p, err
		}
	}
	return tree.Package(paths[len(paths)-1])
}

type enabledReader struct {
	tree *upstream.Tree
	p    *upstream.Package
	into enabled
}

// function goes through a function's calls in order; a later one may take back
// what an earlier one enabled.
func (r enabledReader) function(name string) error {
	function, file, ok := r.p.Func(name)
	if !ok {
		return fmt.Errorf("no function %s", name)
	}
	var failure error
	ast.Inspect(function.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || failure != nil {
			return failure == nil
		}
		// The arguments of what is called here have been read by then.
		switch called := nameOf(call.Fun); called {
		case "EnableVersions", "DisableVersions":
			failure = r.versions(file, call.Args, called == "EnableVersions")
		case "EnableResources", "DisableResources":
			failure = r.resources(file, call.Args, called == "EnableResources")
		case "NewResourceConfig":
		default:
			failure = r.function(called)
		}
		return false
	})
	return failure
}

func (r enabledReader) versions(file upstream.File, arguments []ast.Expr, on bool) error {
	items, file, err := r.items(file, arguments)
	if err != nil {
		return err
	}
	for _, item := range items {
		gv, err := groupVersionOf(r.tree, file, item)
		if err != nil {
			return err
		}
		r.into.versions[gv] = on
	}
	return nil
}

func (r enabledReader) resources(file upstream.File, arguments []ast.Expr, on bool) error {
	items, file, err := r.items(file, arguments)
	if err != nil {
		return err
	}
	for _, item := range items {
		call, ok := item.(*ast.CallExpr)
		if !ok {
			return fmt.Errorf("a %T among resources", item)
		}
		gr, err := resourceOf(r.tree, r.p, file, call)
		if err != nil {
			return err
		}
		r.into.resources[gr] = on
	}
	return nil
}

// items are the arguments themselves, or those of the list that the only
// argument names (list...).
func (r enabledReader) items(file upstream.File, arguments []ast.Expr) ([]ast.Expr, upstream.File, error) {
	if len(arguments) != 1 {
		return arguments, file, nil
	}
	name, ok := arguments[0].(*ast.Ident)
	if !ok {
		return arguments, file, nil
	}
	value, in, ok := r.p.Value(name.Name)
	if !ok {
		return nil, upstream.File{}, fmt.Errorf("no list %s", name.Name)
	}
	list, ok := value.(*ast.CompositeLit)
	if !ok {
		return nil, upstream.File{}, fmt.Errorf("%s is a %T", name.Name, value)
	}
	return list.Elts, in, nil
}

// groupVersionOf reads alias.SchemeGroupVersion.
func groupVersionOf(tree *upstream.Tree, file upstream.File, e ast.Expr) (groupVersion, error) {
	selector, ok := e.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != "SchemeGroupVersion" {
		return groupVersion{}, fmt.Errorf("a %T among group versions", e)
	}
	path := file.Imported(nameOf(selector.X))
	p, err := tree.Package(path)
	if err != nil {
		return groupVersion{}, err
	}
	group, err := tree.Text(p, upstream.File{}, ast.NewIdent("GroupName"))
	if err != nil {
		return groupVersion{}, err
	}
	return groupVersion{group, path[strings.LastIndex(path, "/")+1:]}, nil
}

// resourceOf reads alias.SchemeGroupVersion.WithResource("name").
func resourceOf(tree *upstream.Tree, p *upstream.Package, file upstream.File, call *ast.CallExpr) (groupResource, error) {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != "WithResource" || len(call.Args) != 1 {
		return groupResource{}, errors.New("a call that is no WithResource")
	}
	gv, err := groupVersionOf(tree, file, selector.X)
	if err != nil {
		return groupResource{}, err
	}
	name, err := tree.Text(p, file, call.Args[0])
	return groupResource{gv.group, gv.version, name}, err
}
