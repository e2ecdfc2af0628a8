// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"errors"
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

// Series are the versions of etcd that are measured, the newest patch of each
// series that the module proxy had.
var Series = []string{"v3.5.24", "v3.6.8", "v3.7.0"}

// Server is the module of the etcd server.
const Server = "go.etcd.io/etcd/server/v3"

// FlagColumns are those of the table for internal/rules.
var FlagColumns = []string{"flag", "series", "deprecated", "replacement", "origin", "citation"}

// FlagComment heads the table for internal/rules.
const FlagComment = `Command line flags of etcd: one per row, written by hack/knowledge. series are those
that take it, in the newest patch that was measured, and deprecated those that warn of
it; where it is not taken, it ends etcd's start. replacement is what etcd itself takes
the flag for, or else what its warning names. 3.5 is the first series measured.`

type flag struct {
	series, deprecated    []string
	replacement, citation string
}

// Flags measures all series.
func Flags() ([][]string, error) {
	all := map[string]*flag{}
	for _, version := range Series {
		tree, err := upstream.Modules(Server + "@" + version)
		if err != nil {
			return nil, err
		}
		if err := measure(tree, version[1:strings.LastIndex(version, ".")], all); err != nil {
			return nil, fmt.Errorf("measuring the flags of etcd %s: %w", version, err)
		}
	}
	var rows [][]string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f := all[name]
		rows = append(rows, []string{
			name, strings.Join(f.series, " "), strings.Join(f.deprecated, " "), f.replacement, "measured", f.citation,
		})
	}
	return rows, nil
}

// measure reads etcdmain, whose newConfig adds flags, and embed, which since
// 3.6 has most of them in Config.AddFlags.
func measure(tree *upstream.Tree, series string, all map[string]*flag) error {
	warnings := map[string]string{}
	var names []string
	for _, path := range []string{Server + "/etcdmain", Server + "/embed"} {
		p, err := tree.Package(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		for _, file := range p.Files {
			if file.Name != "config.go" {
				continue
			}
			found, err := added(tree, p, file)
			if err != nil {
				return err
			}
			for name, usage := range found {
				names = append(names, name)
				if all[name] == nil {
					all[name] = &flag{}
				}
				all[name].citation = tree.Cite(path, file.Name)
				if text := strings.ToLower(usage); strings.Contains(text, "deprecated") && !strings.Contains(text, "will be deprecated") {
					warnings[name] = usage
				}
			}
			if err := warned(tree, p, file, warnings); err != nil {
				return err
			}
		}
	}
	if len(names) < 80 {
		return fmt.Errorf("only %d flags", len(names))
	}
	instead, err := renamed(tree)
	if err != nil {
		return err
	}
	for _, name := range names {
		f := all[name]
		f.series = append(f.series, series)
		if warning, ok := warnings[name]; ok {
			f.deprecated = append(f.deprecated, series)
			if found := use.FindStringSubmatch(warning); found != nil {
				f.replacement = "--" + strings.TrimPrefix(found[1], "--")
			}
		}
		if other := instead[name]; other != "" {
			f.replacement = other
		}
	}
	return nil
}

// renamed reads the maps by which etcd 3.6 takes an experimental flag for another
// one, or for a feature gate. Its warnings and help do not name all of them, and
// one of them wrongly.
func renamed(tree *upstream.Tree) (map[string]string, error) {
	instead := map[string]string{}
	for _, of := range []struct{ path, name, before, behind string }{
		{Server + "/embed", "experimentalFlagMigrationMap", "--", ""},
		{Server + "/features", "ExperimentalFlagToFeatureMap", "--feature-gates=", "=true"},
	} {
		p, err := tree.Package(of.path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		value, in, ok := p.Value(of.name)
		literal, isLiteral := value.(*ast.CompositeLit)
		if !ok || !isLiteral {
			continue
		}
		for _, element := range literal.Elts {
			pair, ok := element.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			name, err := tree.Text(p, in, pair.Key)
			if err != nil {
				return nil, err
			}
			other, err := tree.Text(p, in, pair.Value)
			if err != nil {
				return nil, err
			}
			instead[name] = of.before + other + of.behind
		}
	}
	return instead, nil
}

// use finds what a warning names: Use '--feature-gates=X=true' instead.
var use = regexp.MustCompile("[Uu]se ['`]?(-*[a-z][A-Za-z0-9=-]+)['`]? instead")

var adders = regexp.MustCompile(`^(?:(?:Bool|String|Int|Int64|Uint|Uint64|Float64|Duration)(Var)?|(Var))$`)

// added reads fs.StringVar(&x, "name", ...), with the usage text.
func added(tree *upstream.Tree, p *upstream.Package, file upstream.File) (map[string]string, error) {
	found := map[string]string{}
	var failure error
	ast.Inspect(file.Syntax, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) < 2 {
			return true
		}
		selector, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if selector.Sel.Name == "AddFlag" { // of a set of feature gates
			found["feature-gates"] = ""
			return true
		}
		x, ok := selector.X.(*ast.Ident)
		kind := adders.FindStringSubmatch(selector.Sel.Name)
		if !ok || x.Name != "fs" || kind == nil || len(call.Args) < 3 {
			return true
		}
		i := 0
		if kind[1] != "" || kind[2] != "" {
			i = 1
		}
		if variable, ok := call.Args[i].(*ast.Ident); ok && variable.Name == "f" {
			return true // of a loop over the next
		}
		name, err := tree.Text(p, file, call.Args[i])
		failure = errors.Join(failure, err)
		usage, _ := tree.Text(p, file, call.Args[len(call.Args)-1])
		found[name] = usage
		return true
	})
	return found, errors.Join(failure, ignored(tree, p, file, found))
}

// ignored reads the list of flags of old that are taken and do nothing.
func ignored(tree *upstream.Tree, p *upstream.Package, file upstream.File, found map[string]string) error {
	value, in, ok := p.Value("ignored")
	list, isLiteral := value.(*ast.CompositeLit)
	if !ok || !isLiteral || in.Name != file.Name {
		return nil
	}
	for _, element := range list.Elts {
		name, err := tree.Text(p, in, element)
		if err != nil {
			return err
		}
		found[name] = ""
	}
	return nil
}

// warned reads the map of warnings by flag.
func warned(tree *upstream.Tree, p *upstream.Package, file upstream.File, warnings map[string]string) error {
	value, in, ok := p.Value("deprecatedFlags")
	literal, isLiteral := value.(*ast.CompositeLit)
	if !ok || !isLiteral || in.Name != file.Name {
		return nil
	}
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			continue
		}
		name, err := tree.Text(p, in, pair.Key)
		if err != nil {
			return err
		}
		// In 3.5 it is a set, without a word to each.
		warnings[name], _ = tree.Text(p, in, pair.Value)
	}
	return nil
}
