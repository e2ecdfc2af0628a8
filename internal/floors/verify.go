// SPDX-License-Identifier: Apache-2.0

package floors

import "go/ast"

// verifyOptions finds every way to come by options that are not filled in: a
// literal that leaves one of the two out, a variable without a value, new.
func verifyOptions(p Package, f *File) []Hit {
	if f.Test || !p.product() {
		return nil
	}
	var hits []Hit
	options := func(e ast.Expr) bool { return f.names(e, "crypto/x509", "VerifyOptions") }
	bad := func(n ast.Node, what string) { hits = append(hits, f.hit(n, "x509.VerifyOptions "+what)) }
	literal := func(lit *ast.CompositeLit) {
		for _, field := range []string{"CurrentTime", "Roots"} {
			if !sets(lit, field) {
				bad(lit, "without "+field)
			}
		}
	}
	ast.Inspect(f.Syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CompositeLit:
			switch {
			case options(n.Type):
				literal(n)
			case options(element(n.Type)):
				for _, inner := range bare(n) {
					literal(inner)
				}
			}
		case *ast.ValueSpec:
			if options(n.Type) && len(n.Values) == 0 {
				bad(n, "as a variable without a value")
			}
		case *ast.CallExpr:
			if name, ok := n.Fun.(*ast.Ident); ok && name.Name == "new" && len(n.Args) == 1 && options(n.Args[0]) {
				bad(n, "made by new")
			}
		}
		return true
	})
	return hits
}

// sets says whether a literal gives the field a value other than nil.
func sets(lit *ast.CompositeLit, field string) bool {
	for _, e := range lit.Elts {
		kv, ok := e.(*ast.KeyValueExpr)
		if !ok {
			return true // without keys the compiler asks for every field
		}
		if key, ok := kv.Key.(*ast.Ident); ok && key.Name == field {
			value, plain := kv.Value.(*ast.Ident)
			return !plain || value.Name != "nil"
		}
	}
	return false
}

// element is the type of the elements of a list or map type.
func element(t ast.Expr) ast.Expr {
	switch t := t.(type) {
	case *ast.ArrayType:
		return t.Elt
	case *ast.MapType:
		return t.Value
	}
	return nil
}

// bare gives the elements of a list or map literal whose type is left out.
func bare(list *ast.CompositeLit) []*ast.CompositeLit {
	var out []*ast.CompositeLit
	for _, e := range list.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			e = kv.Value
		}
		if lit, ok := e.(*ast.CompositeLit); ok && lit.Type == nil {
			out = append(out, lit)
		}
	}
	return out
}
