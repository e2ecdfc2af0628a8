// SPDX-License-Identifier: Apache-2.0

// Package configkinds measures which kinds of configuration files the
// components of a release read, and puts the releases together to one table.
package configkinds

import (
	"errors"
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"perennial.dev/perennial/hack/knowledge/table"
	"perennial.dev/perennial/hack/knowledge/upstream"
)

// Kind is a kind of configuration file that a component of one release reads.
type Kind struct {
	Component, Group, Version, Kind string
	Deprecated                      bool
	Citation                        string
}

// scheme is where a component registers the versions that it decodes. A release
// may lack it.
type scheme struct{ component, path string }

var schemes = []scheme{
	{"kubeadm", "k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm/scheme"},
	{"kubelet", "k8s.io/kubernetes/pkg/kubelet/apis/config/scheme"},
	{"kubelet", "k8s.io/kubernetes/pkg/credentialprovider/plugin"},
	{"kube-proxy", "k8s.io/kubernetes/pkg/proxy/apis/config/scheme"},
	{"kube-scheduler", "k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"},
	{"kube-controller-manager", "k8s.io/controller-manager/pkg/leadermigration/config"},
	{"kube-apiserver", "k8s.io/apiserver/pkg/apis/apiserver/install"},
	{"kube-apiserver", "k8s.io/apiserver/pkg/apis/audit/install"},
	{"kube-apiserver", "k8s.io/apiserver/pkg/server/options/encryptionconfig"},
	{"kube-apiserver", "k8s.io/apiserver/pkg/admission/plugin/webhook/config"},
	{"kube-apiserver", "k8s.io/apiserver/pkg/admission/plugin/resourcequota/apis/resourcequota/install"},
	{"kube-apiserver", "k8s.io/kubernetes/plugin/pkg/admission/eventratelimit/apis/eventratelimit/install"},
	{"kube-apiserver", "k8s.io/kubernetes/plugin/pkg/admission/podtolerationrestriction/apis/podtolerationrestriction/install"},
	{"kube-apiserver", "k8s.io/pod-security-admission/admission/api/scheme"},
}

// notFiles are kinds of these groups that are no files.
func notFile(group, kind string) bool {
	return group == "audit.k8s.io" && kind != "Policy" || strings.HasSuffix(kind, "List") ||
		group == "credentialprovider.kubelet.k8s.io"
}

// Measure reads the kinds of all components.
func Measure(tree *upstream.Tree) ([]Kind, error) {
	found := map[Kind]bool{}
	for _, s := range schemes {
		if err := s.measure(tree, found); err != nil {
			return nil, fmt.Errorf("measuring the configuration kinds of %s %s: %w", s.component, tree.Release, err)
		}
	}
	deprecated, err := deprecatedVersions(tree)
	if err != nil {
		return nil, err
	}
	experimental, err := kubeadmVersions(tree, "experimentalAPIVersions")
	if err != nil {
		return nil, err
	}
	var kinds []Kind
	for kind := range found {
		// What kubeadm reads only where a hidden option allows it, is not read.
		if kind.Component == "kubeadm" && experimental[kind.Group+"/"+kind.Version] {
			continue
		}
		kind.Deprecated = deprecated[kind.Group+"/"+kind.Version]
		kinds = append(kinds, kind)
	}
	return once(kinds), nil
}

// once keeps one of what several schemes register.
func once(kinds []Kind) []Kind {
	slices.SortFunc(kinds, func(a, b Kind) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	return slices.CompactFunc(kinds, func(a, b Kind) bool {
		a.Citation, b.Citation = "", ""
		return a == b
	})
}

func (s scheme) measure(tree *upstream.Tree, found map[Kind]bool) error {
	p, err := tree.Package(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, file := range p.Files {
		var failure error
		ast.Inspect(file.Syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			fun, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || fun.Sel.Name != "AddToScheme" {
				return true
			}
			if x, ok := fun.X.(*ast.Ident); ok && file.Imported(x.Name) != "" {
				failure = errors.Join(failure, s.version(tree, file.Imported(x.Name), found))
			}
			return true
		})
		if failure != nil {
			return failure
		}
	}
	return nil
}

// version reads what a package adds to a scheme: its own types, or those of the
// package whose builder it extends.
func (s scheme) version(tree *upstream.Tree, path string, found map[Kind]bool) error {
	p, err := tree.Package(path)
	if err != nil {
		return err
	}
	registered := 0
	for _, file := range p.Files {
		var failure error
		ast.Inspect(file.Syntax, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) < 2 {
				return true
			}
			fun, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || fun.Sel.Name != "AddKnownTypes" && fun.Sel.Name != "AddKnownTypeWithName" {
				return true
			}
			registered++
			failure = errors.Join(failure, s.types(tree, p, file, call, found))
			return true
		})
		if failure != nil {
			return failure
		}
	}
	if registered > 0 {
		return nil
	}
	value, file, ok := p.Value("localSchemeBuilder")
	address, isAddress := value.(*ast.UnaryExpr)
	if !ok || !isAddress {
		return fmt.Errorf("%s registers nothing", path)
	}
	selector, ok := address.X.(*ast.SelectorExpr)
	if !ok {
		return fmt.Errorf("%s registers nothing", path)
	}
	return s.version(tree, file.Imported(selector.X.(*ast.Ident).Name), found)
}

func (s scheme) types(tree *upstream.Tree, p *upstream.Package, file upstream.File, call *ast.CallExpr, found map[Kind]bool) error {
	target, name := call.Args[0], ""
	if with, ok := target.(*ast.CallExpr); ok { // SchemeGroupVersion.WithKind("X")
		selector, ok := with.Fun.(*ast.SelectorExpr)
		if !ok || len(with.Args) != 1 {
			return fmt.Errorf("%s: a type is added to something new", p.Path)
		}
		target = selector.X
		var err error
		if name, err = tree.Text(p, file, with.Args[0]); err != nil {
			return err
		}
	}
	if literal, ok := target.(*ast.CompositeLit); ok {
		for _, element := range literal.Elts {
			if pair, ok := element.(*ast.KeyValueExpr); ok && pair.Key.(*ast.Ident).Name == "Kind" {
				var err error
				if name, err = tree.Text(p, file, pair.Value); err != nil {
					return err
				}
			}
		}
	}
	group, version, err := groupVersion(tree, p, file, target)
	if err != nil || version == "__internal" {
		return err
	}
	for _, argument := range call.Args[1:] {
		kind := name
		if kind == "" {
			kind = typeName(argument)
		}
		if kind == "" {
			return fmt.Errorf("%s: a type is added that is no literal", p.Path)
		}
		if !notFile(group, kind) {
			found[Kind{Component: s.component, Group: group, Version: version, Kind: kind, Citation: tree.Cite(p.Path, file.Name)}] = true
		}
	}
	return nil
}

// typeName is X of &X{}.
func typeName(e ast.Expr) string {
	if address, ok := e.(*ast.UnaryExpr); ok {
		e = address.X
	}
	literal, ok := e.(*ast.CompositeLit)
	if !ok {
		return ""
	}
	switch t := literal.Type.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.SelectorExpr:
		return t.Sel.Name
	}
	return ""
}

// groupVersion resolves the name of a schema.GroupVersion of a package.
func groupVersion(tree *upstream.Tree, p *upstream.Package, file upstream.File, e ast.Expr) (group, version string, err error) {
	if selector, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := selector.X.(*ast.Ident); ok && file.Imported(x.Name) != "" {
			if p, err = tree.Package(file.Imported(x.Name)); err != nil {
				return "", "", err
			}
			e = selector.Sel
		}
	}
	literal, isLiteral := e.(*ast.CompositeLit)
	if ident, ok := e.(*ast.Ident); ok {
		var value ast.Expr
		value, file, _ = p.Value(ident.Name)
		literal, isLiteral = value.(*ast.CompositeLit)
	}
	if !isLiteral {
		return "", "", fmt.Errorf("%s: a group version that is no literal", p.Path)
	}
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return "", "", fmt.Errorf("%s: a group version without names of fields", p.Path)
		}
		var text string
		if selector, ok := pair.Value.(*ast.SelectorExpr); ok && selector.Sel.Name == "APIVersionInternal" {
			text = "__internal"
		} else if text, err = tree.Text(p, file, pair.Value); err != nil {
			return "", "", err
		}
		switch pair.Key.(*ast.Ident).Name {
		case "Group":
			group = text
		case "Version":
			version = text
		}
	}
	return group, version, nil
}

// kubeadmVersions reads a map of group versions in kubeadm's
// validateSupportedVersion; without an error where there is none.
func kubeadmVersions(tree *upstream.Tree, name string) (map[string]bool, error) {
	p, err := tree.Package("k8s.io/kubernetes/cmd/kubeadm/app/util/config")
	if err != nil {
		return nil, err
	}
	versions := map[string]bool{}
	for _, file := range p.Files {
		var failure error
		ast.Inspect(file.Syntax, func(n ast.Node) bool {
			assign, ok := n.(*ast.AssignStmt)
			if !ok || len(assign.Lhs) != 1 {
				return true
			}
			ident, ok := assign.Lhs[0].(*ast.Ident)
			literal, isLiteral := assign.Rhs[0].(*ast.CompositeLit)
			if !ok || !isLiteral || ident.Name != name {
				return true
			}
			for _, element := range literal.Elts {
				if pair, ok := element.(*ast.KeyValueExpr); ok {
					text, err := tree.Text(p, file, pair.Key)
					failure = errors.Join(failure, err)
					versions[text] = true
				}
			}
			return false
		})
		if failure != nil {
			return nil, failure
		}
	}
	return versions, nil
}

var schedulerWarning = regexp.MustCompile(`KubeSchedulerConfiguration (v\w+) is deprecated in v1\.\d+`)

// deprecatedVersions are those that kubeadm and the scheduler warn of.
func deprecatedVersions(tree *upstream.Tree) (map[string]bool, error) {
	versions, err := kubeadmVersions(tree, "deprecatedAPIVersions")
	if err != nil {
		return nil, err
	}
	p, err := tree.Package("k8s.io/kubernetes/cmd/kube-scheduler/app/options")
	if err != nil {
		return nil, err
	}
	for _, file := range p.Files {
		ast.Inspect(file.Syntax, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok {
				if found := schedulerWarning.FindStringSubmatch(literal.Value); found != nil {
					versions["kubescheduler.config.k8s.io/"+found[1]] = true
				}
			}
			return true
		})
	}
	return versions, nil
}

// MinorColumns are those of one release's table.
var MinorColumns = []string{"component", "group", "version", "kind", "deprecated", "citation"}

// Rows are the rows of one release's table.
func Rows(kinds []Kind) [][]string {
	var rows [][]string
	for _, k := range kinds {
		rows = append(rows, []string{k.Component, k.Group, k.Version, k.Kind, strconv.FormatBool(k.Deprecated), k.Citation})
	}
	return rows
}

// Columns are those of the table for internal/rules.
var Columns = []string{"component", "group", "version", "kind", "known", "deprecated", "removed", "origin", "citation"}

// Comment heads the table for internal/rules.
const Comment = `Kinds of configuration files: one kind in one version that a component reads per
row, written by hack/knowledge. known is spans of minors: where it is not known,
the file ends the component's start. What kubeadm reads only as an experiment is
left out. The first minor measured is 1.19: a span from there may have begun before.
deprecated (the component warns) and removed are "minor origin citation".`

// Merge puts the tables of all releases together: rows by minor.
func Merge(byMinor map[int][][]string) [][]string {
	minors := slices.Sorted(maps.Keys(byMinor))
	type key [4]string
	known, warned, cited := map[key][]int{}, map[key]string{}, map[key]string{}
	for _, minor := range minors {
		for _, row := range byMinor[minor] {
			k := key(row[:4])
			known[k] = append(known[k], minor)
			cited[k] = row[5]
			switch {
			case row[4] != "true":
				warned[k] = ""
			case warned[k] == "":
				warned[k] = fmt.Sprintf("1.%d measured %s", minor, row[5])
			}
		}
	}
	var rows [][]string
	for k, spans := range known {
		last, removed := spans[len(spans)-1], ""
		if i := slices.Index(minors, last); i+1 < len(minors) {
			removed = fmt.Sprintf("1.%d measured %s", minors[i+1], other(k[0], k[1], byMinor[minors[i+1]], cited[k]))
		}
		rows = append(rows, []string{k[0], k[1], k[2], k[3], table.Spans(spans), warned[k], removed, "measured", cited[k]})
	}
	return rows
}

// other cites what the component reads in its place.
func other(component, group string, rows [][]string, otherwise string) string {
	for _, row := range rows {
		if row[0] == component && row[1] == group {
			otherwise = row[5]
		}
	}
	return otherwise
}
