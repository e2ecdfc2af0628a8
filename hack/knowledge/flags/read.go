// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

// reader follows the sets of flags of one component through its sources, from
// the function that makes its command: every call that gets a set is read.
type reader struct {
	tree     *upstream.Tree
	links    *linker
	main     string // import path of the program
	flags    map[string]*Flag
	order    []string // names in the order in which they were added
	depth    int
	failures []error
}

// scope is a function that is being read.
type scope struct {
	at    place
	vars  map[string]variable
	since int // how many flags were there when it began
}

// variable is what is known of a variable or parameter.
type variable struct {
	kind
	text    string // where isText
	isText  bool
	literal ast.Expr // what it was set to
	missing bool     // a variadic parameter that nothing was given for
}

// add notes a flag. A second time is the same flag: pflag ends a program that
// has two of one name, so one of both is in a branch that is not taken.
func (r *reader) add(s *scope, name string) *Flag {
	name = strings.ReplaceAll(name, "_", "-")
	if flag, ok := r.flags[name]; ok {
		return flag
	}
	flag := &Flag{Name: name, Citation: r.tree.Cite(s.at.p.Path, s.at.file.Name)}
	r.flags[name] = flag
	r.order = append(r.order, name)
	return flag
}

func (r *reader) failed(s *scope, format string, args ...any) {
	r.failures = append(r.failures, fmt.Errorf("%s: %w", r.tree.Cite(s.at.p.Path, s.at.file.Name), fmt.Errorf(format, args...)))
}

// call reads the body of a function with what its parameters are.
func (r *reader) call(decl *ast.FuncDecl, at place, receiver variable, args []variable) {
	if r.depth > 30 || decl.Body == nil {
		return
	}
	r.depth++
	defer func() { r.depth-- }()
	s := &scope{at: at, vars: map[string]variable{}, since: len(r.order)}
	if decl.Recv != nil && len(decl.Recv.List[0].Names) > 0 {
		receiver.kind = kind{at, decl.Recv.List[0].Type}
		s.vars[decl.Recv.List[0].Names[0].Name] = receiver
	}
	i := 0
	for _, field := range decl.Type.Params.List {
		for _, ident := range field.Names {
			v := variable{missing: i >= len(args)}
			if i < len(args) {
				v = args[i]
			}
			if !v.isFlagSet(r) {
				v.kind = kind{at, field.Type}
			}
			s.vars[ident.Name] = v
			i++
		}
	}
	if decl.Type.Results != nil {
		for _, field := range decl.Type.Results.List {
			for _, ident := range field.Names {
				s.vars[ident.Name] = variable{kind: kind{at, field.Type}}
			}
		}
	}
	r.block(s, decl.Body)
}

func (v variable) isFlagSet(r *reader) bool { return v.known() && r.name(v.kind).isFlagSet() }

// block reads statements in their order, deferred ones last. Branches are read
// all.
func (r *reader) block(s *scope, body *ast.BlockStmt) {
	var deferred []*ast.BlockStmt
	ast.Inspect(body, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.DeferStmt:
			if f, ok := n.Call.Fun.(*ast.FuncLit); ok {
				deferred = append(deferred, f.Body)
			}
			return false
		case *ast.FuncLit:
			return false // a callback: what a command does when it runs, and visitors
		case *ast.GenDecl:
			r.declare(s, n)
			return false
		case *ast.AssignStmt:
			r.assign(s, n)
		case *ast.RangeStmt:
			if r.each(s, n) {
				return false
			}
			if value, ok := n.Value.(*ast.Ident); ok {
				s.vars[value.Name] = variable{kind: r.element(r.kindOf(s, n.X))}
			}
		case *ast.CallExpr:
			r.follow(s, n)
		}
		return true
	})
	for _, later := range deferred {
		r.block(s, later)
	}
}

// each reads the body of a loop over constant texts once for each of them.
func (r *reader) each(s *scope, loop *ast.RangeStmt) bool {
	at, list := s.at, loop.X
	if ident, ok := list.(*ast.Ident); ok {
		if value, file, ok := s.at.p.Value(ident.Name); ok {
			at, list = place{s.at.p, file}, value
		}
	}
	literal, ok := list.(*ast.CompositeLit)
	value, named := loop.Value.(*ast.Ident)
	if !ok || !named {
		return false
	}
	var texts []string
	for _, element := range literal.Elts {
		text, ok := r.text(&scope{at: at}, element)
		if !ok {
			return false
		}
		texts = append(texts, text)
	}
	for _, text := range texts {
		s.vars[value.Name] = variable{text: text, isText: true}
		r.block(s, loop.Body)
	}
	return true
}

func (r *reader) declare(s *scope, group *ast.GenDecl) {
	for _, spec := range group.Specs {
		values, ok := spec.(*ast.ValueSpec)
		if !ok {
			continue
		}
		for i, ident := range values.Names {
			switch {
			case i < len(values.Values):
				s.vars[ident.Name] = r.evaluate(s, values.Values[i])
			case values.Type != nil:
				s.vars[ident.Name] = variable{kind: kind{s.at, values.Type}}
			}
		}
	}
}

func (r *reader) assign(s *scope, n *ast.AssignStmt) {
	if n.Tok != token.DEFINE && n.Tok != token.ASSIGN {
		return
	}
	for i, left := range n.Lhs {
		ident, ok := left.(*ast.Ident)
		if !ok {
			if i < len(n.Rhs) {
				r.mark(s, left, n.Rhs[i])
			}
			continue
		}
		if len(n.Rhs) == len(n.Lhs) {
			v := r.evaluate(s, n.Rhs[i])
			if v.known() || v.isText || v.literal != nil {
				s.vars[ident.Name] = v
			}
			continue
		}
		if call, ok := n.Rhs[0].(*ast.CallExpr); ok {
			if kinds := r.results(s, call); i < len(kinds) && kinds[i].known() {
				s.vars[ident.Name] = variable{kind: kinds[i]}
			}
		}
	}
}

// mark reads fs.Lookup("name").Deprecated = "text" and the same of Hidden.
func (r *reader) mark(s *scope, left, right ast.Expr) {
	selector, ok := left.(*ast.SelectorExpr)
	if !ok {
		return
	}
	lookup, ok := selector.X.(*ast.CallExpr)
	if !ok || methodName(lookup) != "Lookup" || len(lookup.Args) != 1 {
		return
	}
	name, ok := r.text(s, lookup.Args[0])
	flag := r.flags[strings.ReplaceAll(name, "_", "-")]
	if !ok || flag == nil {
		return
	}
	switch selector.Sel.Name {
	case "Deprecated":
		flag.deprecate(r.textOr(s, right, "deprecated"))
	case "Hidden":
		flag.Hidden = isTrue(right)
	}
}

func (r *reader) evaluate(s *scope, e ast.Expr) variable {
	v := variable{kind: r.kindOf(s, e), literal: e}
	if ident, ok := e.(*ast.Ident); ok {
		if known, ok := s.vars[ident.Name]; ok {
			return known
		}
	}
	v.text, v.isText = r.text(s, e)
	return v
}

// text resolves an expression to a constant text.
func (r *reader) text(s *scope, e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.Ident:
		if v, ok := s.vars[e.Name]; ok {
			return v.text, v.isText
		}
	case *ast.BinaryExpr:
		left, ok1 := r.text(s, e.X)
		right, ok2 := r.text(s, e.Y)
		return left + right, ok1 && ok2 && e.Op == token.ADD
	case *ast.CallExpr:
		if methodName(e) == "Sprintf" && len(e.Args) > 1 {
			return r.sprintf(s, e)
		}
		// normalize(name), string(name)
		if len(e.Args) == 1 {
			return r.text(s, e.Args[0])
		}
		return "", false
	}
	text, err := r.tree.Text(s.at.p, s.at.file, e)
	return text, err == nil
}

// sprintf fills constant texts in for %s.
func (r *reader) sprintf(s *scope, call *ast.CallExpr) (string, bool) {
	text, ok := r.text(s, call.Args[0])
	for _, argument := range call.Args[1:] {
		value, known := r.text(s, argument)
		ok = ok && known
		text = strings.Replace(text, "%s", value, 1)
	}
	return text, ok && !strings.Contains(text, "%")
}

func (r *reader) textOr(s *scope, e ast.Expr, otherwise string) string {
	if text, ok := r.text(s, e); ok {
		return text
	}
	if call, ok := e.(*ast.CallExpr); ok && methodName(call) == "Sprintf" && len(call.Args) > 0 {
		if format, ok := r.text(s, call.Args[0]); ok {
			return format
		}
	}
	return otherwise
}

func methodName(call *ast.CallExpr) string {
	switch fun := call.Fun.(type) {
	case *ast.SelectorExpr:
		return fun.Sel.Name
	case *ast.Ident:
		return fun.Name
	}
	return ""
}

// adders are the methods of sets of flags that add one, with its name in the
// first argument, or in the second after what it is stored in.
var adders = regexp.MustCompile(`^(?:(?:Bool|BoolSlice|BytesBase64|BytesHex|Count|Duration|DurationSlice|Float32|Float32Slice|Float64|Float64Slice|IP|IPMask|IPNet|IPSlice|Int|Int8|Int16|Int32|Int32Slice|Int64|Int64Slice|IntSlice|String|StringArray|StringSlice|StringToInt|StringToInt64|StringToString|Text|Uint|Uint8|Uint16|Uint32|Uint64|UintSlice)(Var)?P?|(Var)(?:P|PF)?)$`)

// follow reads a call: one that adds or marks a flag, or one that gets a set.
func (r *reader) follow(s *scope, call *ast.CallExpr) {
	if r.special(s, call) {
		return
	}
	if fun, ok := call.Fun.(*ast.SelectorExpr); ok && r.name(r.kindOf(s, fun.X)).isFlagSet() {
		if r.onSet(s, fun.Sel.Name, call) {
			return
		}
	}
	decl, at, ok := r.function(s, call)
	if !ok {
		return
	}
	var receiver variable
	if fun, isSelector := call.Fun.(*ast.SelectorExpr); isSelector && decl.Recv != nil {
		receiver = r.evaluate(s, fun.X)
	}
	args, gets := make([]variable, len(call.Args)), false
	for i, arg := range call.Args {
		args[i] = r.evaluate(s, arg)
		gets = gets || args[i].isFlagSet(r)
	}
	for _, result := range r.results(s, call) {
		gets = gets || r.name(result).isFlagSet()
	}
	// The scheduler's options make their flags when they are made.
	if gets || decl.Name.Name == "initFlags" || strings.HasPrefix(decl.Name.Name, "NewOptions") && strings.HasSuffix(at.p.Path, "kube-scheduler/app/options") {
		r.call(decl, at, receiver, args)
	}
}

// onSet reads a method call on a set of flags.
func (r *reader) onSet(s *scope, method string, call *ast.CallExpr) bool {
	if found := adders.FindStringSubmatch(method); found != nil {
		r.addCall(s, call, found[1] != "" || found[2] != "")
		return true
	}
	switch method {
	case "MarkDeprecated", "MarkHidden":
		name, ok := r.text(s, call.Args[0])
		if flag := r.flags[strings.ReplaceAll(name, "_", "-")]; ok && flag != nil {
			flag.Hidden = true // pflag hides what is deprecated, too
			if method == "MarkDeprecated" {
				flag.deprecate(r.textOr(s, call.Args[1], "deprecated"))
			}
			return true
		}
		return true // upstream has marked a flag that it had removed, without noticing
	case "AddFlag":
		// AddFlag(pflag.Lookup("name"))
		if lookup, ok := call.Args[0].(*ast.CallExpr); ok && methodName(lookup) == "Lookup" {
			if name, ok := r.text(s, lookup.Args[0]); ok {
				r.add(s, name)
				return true
			}
		}
		r.failed(s, "AddFlag of something that is not looked up by name")
		return true
	case "VisitAll":
		r.visitAll(s, call)
		return true
	case "AddGoFlagSet":
		if set, ok := call.Args[0].(*ast.SelectorExpr); ok && set.Sel.Name == "CommandLine" {
			r.takeProgram(goFlags)
		}
		return true
	case "AddFlagSet", "Lookup", "SetNormalizeFunc", "MarkShorthandDeprecated":
		return true
	}
	return false
}

func (r *reader) addCall(s *scope, call *ast.CallExpr, second bool) {
	i := 0
	if second {
		i = 1
	}
	if len(call.Args) < i+2 {
		return
	}
	name, ok := r.text(s, call.Args[i])
	if !ok {
		r.failed(s, "a flag whose name is not constant")
		return
	}
	flag := r.add(s, name)
	usage := r.textOr(s, call.Args[len(call.Args)-1], "")
	if lower := strings.ToLower(usage); strings.HasPrefix(lower, "deprecated") || strings.HasPrefix(lower, "[deprecated") {
		flag.deprecate(usage)
	}
	if methodName(call)[0] == 'V' { // Var has no default of its own
		return
	}
	value := call.Args[i+1]
	if strings.HasSuffix(methodName(call), "P") {
		value = call.Args[i+2]
	}
	flag.Default, flag.HasDefault = r.value(s, value)
}

func isTrue(e ast.Expr) bool {
	ident, ok := e.(*ast.Ident)
	return ok && ident.Name == "true"
}

// visitAll reads what is done to all flags that this function has added:
// VisitAll(func(f *pflag.Flag) { f.Deprecated = "..." }), but for those that a
// map in the same function names.
func (r *reader) visitAll(s *scope, call *ast.CallExpr) {
	visitor, ok := call.Args[0].(*ast.FuncLit)
	if !ok {
		return
	}
	spared := map[string]bool{}
	for _, v := range s.vars {
		if literal, ok := v.literal.(*ast.CompositeLit); ok {
			for _, element := range literal.Elts {
				if pair, ok := element.(*ast.KeyValueExpr); ok {
					name, _ := r.text(s, pair.Key)
					spared[name] = true
				}
			}
		}
	}
	ast.Inspect(visitor.Body, func(n ast.Node) bool {
		assign, ok := n.(*ast.AssignStmt)
		if !ok {
			return true
		}
		selector, ok := assign.Lhs[0].(*ast.SelectorExpr)
		if !ok {
			return true
		}
		for _, name := range r.order[s.since:] {
			switch {
			case spared[name]:
			case selector.Sel.Name == "Deprecated":
				r.flags[name].deprecate(r.textOr(s, assign.Rhs[0], "deprecated"))
			case selector.Sel.Name == "Hidden" && r.flags[name].Deprecated:
				// The kubelet shows what is deprecated, against pflag's habit.
				r.flags[name].Hidden = isTrue(assign.Rhs[0])
			}
		}
		return true
	})
}
