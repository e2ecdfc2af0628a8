// SPDX-License-Identifier: Apache-2.0

package apis

import (
	"errors"
	"go/ast"
	"go/token"
	"io/fs"
	"strconv"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

// measureGuards finds resources that a server does not serve while a gate is
// off, however they are enabled: in pkg/registry/GROUP/rest, inside of
//
//	if resource := "name"; config.ResourceEnabled(v1.SchemeGroupVersion.WithResource(resource)) {
//		if utilfeature.DefaultFeatureGate.Enabled(features.Gate) {
func measureGuards(tree *upstream.Tree) (map[groupResource]string, error) {
	guards := map[groupResource]string{}
	err := tree.Walk("k8s.io/kubernetes/pkg/registry", func(path string) error {
		if !strings.HasSuffix(path, "/rest") {
			return nil
		}
		p, err := tree.Package(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, file := range p.Files {
			ast.Inspect(file.Syntax, func(n ast.Node) bool {
				if block, ok := n.(*ast.IfStmt); ok {
					readGuard(tree, file, block, guards)
				}
				return true
			})
		}
		return nil
	})
	return guards, err
}

func readGuard(tree *upstream.Tree, file upstream.File, block *ast.IfStmt, guards map[groupResource]string) {
	gr, ok := enabledResource(tree, file, block)
	if !ok {
		return
	}
	for _, statement := range block.Body.List {
		inner, ok := statement.(*ast.IfStmt)
		if !ok {
			continue
		}
		// Only a gate that stands around the storage decides; others change
		// what the storage does.
		if gate := enabledGate(inner.Cond); gate != "" && stores(inner.Body) && len(block.Body.List) == 1 {
			guards[gr] = gate
		}
	}
}

func enabledResource(tree *upstream.Tree, file upstream.File, block *ast.IfStmt) (groupResource, bool) {
	assign, ok := block.Init.(*ast.AssignStmt)
	if !ok || len(assign.Rhs) != 1 {
		return groupResource{}, false
	}
	literal, ok := assign.Rhs[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return groupResource{}, false
	}
	condition, ok := block.Cond.(*ast.CallExpr)
	if !ok || nameOf(condition.Fun) != "ResourceEnabled" || len(condition.Args) != 1 {
		return groupResource{}, false
	}
	with, ok := condition.Args[0].(*ast.CallExpr)
	if !ok {
		return groupResource{}, false
	}
	selector, ok := with.Fun.(*ast.SelectorExpr)
	if !ok {
		return groupResource{}, false
	}
	gv, err := groupVersionOf(tree, file, selector.X)
	name, unquoteErr := strconv.Unquote(literal.Value)
	return groupResource{gv.group, gv.version, name}, err == nil && unquoteErr == nil
}

// enabledGate is the gate of utilfeature.DefaultFeatureGate.Enabled(features.Gate).
func enabledGate(condition ast.Expr) string {
	call, ok := condition.(*ast.CallExpr)
	if !ok || nameOf(call.Fun) != "Enabled" || len(call.Args) != 1 {
		return ""
	}
	return nameOf(call.Args[0])
}

func stores(body *ast.BlockStmt) bool {
	for _, statement := range body.List {
		if assign, ok := statement.(*ast.AssignStmt); ok {
			if _, ok := assign.Lhs[0].(*ast.IndexExpr); ok {
				return true
			}
		}
	}
	return false
}
