// SPDX-License-Identifier: Apache-2.0

package apis

import (
	"fmt"
	"go/ast"
	"go/token"
	"strconv"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

const lifecycleFile = "zz_generated.prerelease-lifecycle.go"

// measurePackage reads the types that one version of a group registers, and
// what their generated methods say about their life.
func measurePackage(tree *upstream.Tree, p *upstream.Package, kinds map[Key]*Kind) error {
	group, err := tree.Text(p, upstream.File{}, ast.NewIdent("GroupName"))
	if err != nil {
		return fmt.Errorf("measuring the types of %s: %w", tree.Release, err)
	}
	version := p.Path[strings.LastIndex(p.Path, "/")+1:]
	for _, file := range p.Files {
		for _, name := range registered(file.Syntax) {
			if leftOut(name) {
				continue
			}
			key := Key{group, version, name}
			kinds[key] = &Kind{Key: key, Registered: true, RegisteredBy: tree.Cite(p.Path, file.Name)}
		}
	}
	for _, file := range p.Files {
		if file.Name != lifecycleFile {
			continue
		}
		if err := readLifecycle(file.Syntax, group, version, tree.Cite(p.Path, file.Name), kinds); err != nil {
			return fmt.Errorf("reading %s of %s: %w", tree.Cite(p.Path, file.Name), tree.Release, err)
		}
	}
	return nil
}

// leftOut tells what nobody keeps or applies: lists, options of requests, and
// what a server stores for itself.
func leftOut(kind string) bool {
	if kind == "RangeAllocation" || kind == "SerializedReference" || kind == "PodStatusResult" || kind == "ConversionReview" {
		return true
	}
	return strings.HasSuffix(kind, "List") || strings.HasSuffix(kind, "Options")
}

// registered finds the types given to AddKnownTypes, and to
// AddKnownTypeWithName, which registers for internal use.
func registered(file *ast.File) []string {
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || nameOf(call.Fun) != "AddKnownTypes" {
			return true
		}
		for _, argument := range call.Args {
			pointer, ok := argument.(*ast.UnaryExpr)
			if !ok || pointer.Op != token.AND {
				continue
			}
			if literal, ok := pointer.X.(*ast.CompositeLit); ok {
				if name, ok := literal.Type.(*ast.Ident); ok {
					names = append(names, name.Name)
				}
			}
		}
		return true
	})
	return names
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

func readLifecycle(file *ast.File, group, version, citation string, kinds map[Key]*Kind) error {
	for _, declaration := range file.Decls {
		method, ok := declaration.(*ast.FuncDecl)
		if !ok || method.Recv == nil || len(method.Body.List) != 1 {
			continue
		}
		pointer, ok := method.Recv.List[0].Type.(*ast.StarExpr)
		if !ok {
			continue
		}
		kind := kinds[Key{group, version, nameOf(pointer.X)}]
		result, isReturn := method.Body.List[0].(*ast.ReturnStmt)
		if kind == nil || !isReturn {
			continue
		}
		kind.LifecycleBy = citation
		var err error
		switch method.Name.Name {
		case "APILifecycleIntroduced":
			kind.Lifecycle.Introduced, err = readMinor(result.Results)
		case "APILifecycleDeprecated":
			kind.Lifecycle.Deprecated, err = readMinor(result.Results)
		case "APILifecycleRemoved":
			kind.Lifecycle.Removed, err = readMinor(result.Results)
		case "APILifecycleReplacement":
			kind.Lifecycle.Replacement, err = readReplacement(result.Results)
		default:
			err = fmt.Errorf("method %s is new to the generator", method.Name.Name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", kind.Kind, err)
		}
	}
	return nil
}

// readMinor reads "return 1, 37".
func readMinor(results []ast.Expr) (int, error) {
	if len(results) != 2 {
		return 0, fmt.Errorf("%d results instead of a major and a minor version", len(results))
	}
	major, ok1 := results[0].(*ast.BasicLit)
	minor, ok2 := results[1].(*ast.BasicLit)
	if !ok1 || !ok2 || major.Value != "1" {
		return 0, fmt.Errorf("no version 1.N")
	}
	return strconv.Atoi(minor.Value)
}

// readReplacement reads "return schema.GroupVersionKind{Group: "g", ...}".
func readReplacement(results []ast.Expr) (Key, error) {
	var key Key
	literal, ok := results[0].(*ast.CompositeLit)
	if !ok {
		return Key{}, fmt.Errorf("the replacement is a %T", results[0])
	}
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return Key{}, fmt.Errorf("a %T in the replacement", element)
		}
		value, ok := pair.Value.(*ast.BasicLit)
		if !ok {
			return Key{}, fmt.Errorf("a %T in the replacement", pair.Value)
		}
		text, err := strconv.Unquote(value.Value)
		if err != nil {
			return Key{}, err
		}
		switch nameOf(pair.Key) {
		case "Group":
			key.Group = text
		case "Version":
			key.Version = text
		case "Kind":
			key.Kind = text
		}
	}
	return key, nil
}
