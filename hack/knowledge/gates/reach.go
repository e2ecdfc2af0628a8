// SPDX-License-Identifier: Apache-2.0

package gates

import (
	"bytes"
	"errors"
	"go/ast"
	"io/fs"
	"slices"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

// components are the programs that are measured.
var components = []string{"kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubelet"}

// adders are the functions by which a library's gates get into a component's:
// in its own packages or in any that it links.
var adders = []string{"AddFeatureGates", "AddFeaturesToExistingFeatureGates", "AddVersionedFeaturesToExistingFeatureGates", "SetupCurrentKubernetesSpecificFeatureGates"}

// linker follows imports through the tree.
type linker struct {
	tree  *upstream.Tree
	known map[string]node // by import path
}

type node struct {
	imports []string
	adds    []string // packages whose gates are added here
}

// added are the libraries whose gates a component adds, as import paths: of
// all that it links from the modules of the tree.
func (l *linker) added(component string) (map[string]bool, error) {
	libraries := map[string]bool{}
	err := upstream.Reach("k8s.io/kubernetes/cmd/"+component+"/app", func(path string) ([]string, error) {
		n, err := l.node(path)
		for _, library := range n.adds {
			libraries[library] = true
		}
		return n.imports, err
	})
	return libraries, err
}

func (l *linker) node(path string) (node, error) {
	if n, ok := l.known[path]; ok {
		return n, nil
	}
	dir, ok := l.tree.Dir(path)
	if !ok {
		return node{}, nil // a module that is no part of the tree
	}
	sources, err := upstream.Sources(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return node{}, err
	}
	var n node
	for _, source := range sources {
		for _, imported := range source.Imports {
			if strings.HasPrefix(imported, "k8s.io/") {
				n.imports = append(n.imports, imported)
			}
		}
		if slices.ContainsFunc(adders, func(name string) bool { return bytes.Contains(source.Text, []byte("."+name+"(")) }) {
			if err := l.adds(path, source.Name, &n); err != nil {
				return node{}, err
			}
		}
	}
	l.known[path] = n
	return n, nil
}

// adds reads whose gates a file adds.
func (l *linker) adds(path, name string, n *node) error {
	p, err := l.tree.Package(path)
	if err != nil {
		return err
	}
	for _, file := range p.Files {
		if file.Name != name {
			continue
		}
		ast.Inspect(file.Syntax, func(x ast.Node) bool {
			call, ok := x.(*ast.CallExpr)
			if !ok {
				return true
			}
			if selector, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains(adders, selector.Sel.Name) {
				if library := file.Imported(lastName(selector.X)); library != "" {
					n.adds = append(n.adds, library)
				}
			}
			return true
		})
	}
	return nil
}

// overrides are the defaults that a component sets for itself in its options,
// by gate.
func overrides(tree *upstream.Tree, component string) (map[string]bool, error) {
	found := map[string]bool{}
	p, err := tree.Package("k8s.io/kubernetes/cmd/" + component + "/app/options")
	if errors.Is(err, fs.ErrNotExist) {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	var failure error
	for _, file := range p.Files {
		ast.Inspect(file.Syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 || !strings.HasPrefix(lastName(call.Fun), "OverrideDefault") {
				return true
			}
			name, err := tree.Text(p, file, call.Args[0])
			value, valueErr := readBool(p, call.Args[1])
			failure = errors.Join(failure, err, valueErr)
			found[name] = value
			return true
		})
	}
	return found, failure
}
