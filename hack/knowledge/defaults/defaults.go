// SPDX-License-Identifier: Apache-2.0

// Package defaults measures what fields of a KubeletConfiguration are where
// nobody sets them.
package defaults

import (
	"fmt"
	"go/ast"
	"go/token"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

const (
	functions = "k8s.io/kubernetes/pkg/kubelet/apis/config/v1beta1"
	types     = "k8s.io/kubelet/config/v1beta1"
)

// MinorColumns are those of one release's table.
var MinorColumns = []string{"component", "setting", "value", "citation"}

// Measure reads SetDefaults_KubeletConfiguration of a release: fields that are
// set to a constant where they are empty, whatever the gates.
func Measure(tree *upstream.Tree) ([][]string, error) {
	p, err := tree.Package(functions)
	if err != nil {
		return nil, err
	}
	function, file, ok := p.Func("SetDefaults_KubeletConfiguration")
	if !ok {
		return nil, fmt.Errorf("measuring the kubelet's defaults of %s: no SetDefaults_KubeletConfiguration", tree.Release)
	}
	m := measurer{tree, p, file}
	var rows [][]string
	for _, statement := range function.Body.List {
		check, ok := statement.(*ast.IfStmt)
		if !ok || check.Else != nil || check.Init != nil || len(check.Body.List) != 1 {
			continue
		}
		assign, ok := check.Body.List[0].(*ast.AssignStmt)
		if !ok || len(assign.Lhs) != 1 || !m.empty(check.Cond, assign.Lhs[0]) {
			continue
		}
		name, ok := m.path(assign.Lhs[0])
		if !ok {
			continue
		}
		if value, ok := m.value(assign.Rhs[0]); ok {
			rows = append(rows, []string{"kubelet", name, value, tree.Cite(functions, file.Name)})
		}
	}
	if len(rows) < 40 {
		return nil, fmt.Errorf("measuring the kubelet's defaults of %s: only %d", tree.Release, len(rows))
	}
	return rows, nil
}

type measurer struct {
	tree *upstream.Tree
	p    *upstream.Package
	file upstream.File
}

// empty: the condition compares what is assigned, and nothing else.
func (m measurer) empty(condition, assigned ast.Expr) bool {
	compared, ok := condition.(*ast.BinaryExpr)
	if !ok || compared.Op != token.EQL {
		return false
	}
	return strings.Join(fields(compared.X), ".") == strings.Join(fields(assigned), ".")
}

// fields are A and B of obj.A.B.
func fields(e ast.Expr) []string {
	selector, ok := e.(*ast.SelectorExpr)
	if !ok {
		return nil
	}
	return append(fields(selector.X), selector.Sel.Name)
}

// path is a field's name in the file: a.b.
func (m measurer) path(e ast.Expr) (string, bool) {
	owner, path := "KubeletConfiguration", []string{}
	for _, field := range fields(e) {
		name, typeName, ok := m.field(owner, field)
		if !ok {
			return "", false
		}
		path, owner = append(path, name), typeName
	}
	return strings.Join(path, "."), len(path) > 0
}

// field finds a field's name in JSON and the name of its type.
func (m measurer) field(owner, field string) (name, typeName string, ok bool) {
	p, err := m.tree.Package(types)
	if err != nil {
		return "", "", false
	}
	for _, file := range p.Files {
		ast.Inspect(file.Syntax, func(n ast.Node) bool {
			spec, isType := n.(*ast.TypeSpec)
			if !isType || spec.Name.Name != owner {
				return true
			}
			structure, isStruct := spec.Type.(*ast.StructType)
			if !isStruct {
				return false
			}
			for _, f := range structure.Fields.List {
				for _, ident := range f.Names {
					if ident.Name != field || f.Tag == nil {
						continue
					}
					tag, _ := strconv.Unquote(f.Tag.Value)
					name, _, _ = strings.Cut(reflect.StructTag(tag).Get("json"), ",")
					if inner, isName := f.Type.(*ast.Ident); isName {
						typeName = inner.Name
					}
					ok = name != ""
				}
			}
			return false
		})
	}
	return name, typeName, ok
}

// value reads a constant: a literal, a pointer to one, a duration, a name.
func (m measurer) value(e ast.Expr) (string, bool) {
	if text, ok := upstream.Literal(e); ok {
		return text, true
	}
	switch e := e.(type) {
	case *ast.Ident:
		value, file, ok := m.p.Value(e.Name)
		if !ok {
			return "", false
		}
		return measurer{m.tree, m.p, file}.value(value)
	case *ast.SelectorExpr:
		return m.selected(e)
	case *ast.CallExpr:
		if len(e.Args) == 1 { // ptr.To(x), utilpointer.BoolPtr(x), string(x)
			return m.value(e.Args[0])
		}
	case *ast.CompositeLit: // metav1.Duration{Duration: x}
		if len(e.Elts) == 1 {
			if pair, ok := e.Elts[0].(*ast.KeyValueExpr); ok {
				if duration, ok := upstream.Duration(pair.Value); ok {
					return duration.String(), true
				}
			}
		}
	}
	return "", false
}

func (m measurer) selected(e *ast.SelectorExpr) (string, bool) {
	x, ok := e.X.(*ast.Ident)
	if !ok {
		return "", false
	}
	other, err := m.tree.Package(m.file.Imported(x.Name))
	if err != nil {
		return "", false
	}
	value, file, ok := other.Value(e.Sel.Name)
	if !ok {
		return "", false
	}
	return measurer{m.tree, other, file}.value(value)
}

// Columns are those of the table for internal/rules.
var Columns = []string{"setting", "component", "first", "last", "value", "origin", "citation"}

// Comment heads the table for internal/rules.
const Comment = `Defaults: one row per setting, component and stretch of minors in which it is the
same, written by hack/knowledge. A setting is a field of a KubeletConfiguration, or a
flag with its dashes. What is computed, or depends on a feature gate, has no row.
1.19 is the first minor measured.`

// Merge puts the tables of all releases together: rows by minor, of this
// package and of flags.
func Merge(byMinor, flags map[int][][]string) [][]string {
	type stretch struct {
		first, last int
		row         []string
	}
	open := map[[2]string]*stretch{}
	var all []*stretch
	for _, minor := range slices.Sorted(maps.Keys(byMinor)) {
		for _, row := range append(ofFlags(flags[minor]), byMinor[minor]...) {
			key := [2]string{row[0], row[1]}
			if s := open[key]; s != nil && s.last == minor-1 && s.row[2] == row[2] {
				s.last, s.row = minor, row
				continue
			}
			s := &stretch{minor, minor, row}
			open[key] = s
			all = append(all, s)
		}
	}
	var rows [][]string
	for _, s := range all {
		rows = append(rows, []string{
			s.row[1], s.row[0], "1." + strconv.Itoa(s.first), "1." + strconv.Itoa(s.last), s.row[2], "measured", s.row[3],
		})
	}
	return rows
}

// ofFlags are the rows of flags whose default is known, in this form.
func ofFlags(flags [][]string) [][]string {
	var rows [][]string
	for _, row := range flags {
		if value, err := strconv.Unquote(row[4]); err == nil {
			rows = append(rows, []string{row[0], "--" + row[1], value, row[6]})
		}
	}
	return rows
}
