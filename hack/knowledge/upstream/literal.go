// SPDX-License-Identifier: Apache-2.0

package upstream

import (
	"go/ast"
	"go/token"
	"strconv"
	"time"
)

// Literal reads a value that stands in the source as it is: a string, without
// quotes, a number, true or false, or a duration, as time.Duration prints it.
func Literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind == token.STRING {
			text, err := strconv.Unquote(e.Value)
			return text, err == nil
		}
		return e.Value, true
	case *ast.Ident:
		return e.Name, e.Name == "true" || e.Name == "false"
	case *ast.BinaryExpr:
		if d, ok := Duration(e); ok {
			return d.String(), true
		}
	}
	return "", false
}

var units = map[string]time.Duration{
	"Millisecond": time.Millisecond, "Second": time.Second, "Minute": time.Minute, "Hour": time.Hour,
}

// Duration reads time.Second, 10 * time.Second, and the other way round.
func Duration(e ast.Expr) (time.Duration, bool) {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		unit, ok := units[e.Sel.Name]
		return unit, ok
	case *ast.BinaryExpr:
		if e.Op != token.MUL {
			return 0, false
		}
		for _, pair := range [][2]ast.Expr{{e.X, e.Y}, {e.Y, e.X}} {
			number, isNumber := pair[0].(*ast.BasicLit)
			selector, isSelector := pair[1].(*ast.SelectorExpr)
			if isNumber && isSelector && units[selector.Sel.Name] != 0 {
				count, err := strconv.Atoi(number.Value)
				return time.Duration(count) * units[selector.Sel.Name], err == nil
			}
		}
	}
	return 0, false
}
