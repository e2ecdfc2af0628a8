// SPDX-License-Identifier: Apache-2.0

// Package volumes measures which volume plugins the kubelet of a release has of
// its own and which it hands over to CSI drivers, and puts the releases together
// to one table.
package volumes

import (
	_ "embed"
	"errors"
	"fmt"
	"go/ast"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"perennial.dev/perennial/hack/knowledge/gates"
	"perennial.dev/perennial/hack/knowledge/table"
	"perennial.dev/perennial/hack/knowledge/upstream"
)

// Plugin is a volume plugin of one release.
type Plugin struct {
	Name  string // kubernetes.io/glusterfs
	Field string // of PersistentVolumeSource or VolumeSource; empty where the kubelet has no code for it
	// Probed: the kubelet has code that mounts it. Gated: a gate that turns that
	// off is off by default.
	Probed, Gated bool
	// Migrated: it is translated for a CSI driver, and no gate can be set against that.
	Migrated bool
	Driver   string // the CSI driver that it can be translated to
	Citation string
}

const (
	kubelet     = "k8s.io/kubernetes/cmd/kubelet/app"
	migration   = "k8s.io/kubernetes/pkg/volume/csimigration"
	translation = "k8s.io/csi-translation-lib/plugins"
	core        = "k8s.io/api/core/v1"
)

// Measure reads the plugins of a release.
func Measure(tree *upstream.Tree) ([]Plugin, error) {
	plugins := map[string]*Plugin{}
	all, err := gates.Measure(tree)
	if err == nil {
		err = errors.Join(translated(tree, plugins, all), probed(tree, plugins, all))
	}
	if err != nil {
		return nil, fmt.Errorf("measuring the volumes of %s: %w", tree.Release, err)
	}
	var found []Plugin
	for _, name := range slices.Sorted(maps.Keys(plugins)) {
		found = append(found, *plugins[name])
	}
	return found, nil
}

// translated reads the drivers of csi-translation-lib, and from the kubelet's
// csimigration whether that is decided by a gate.
func translated(tree *upstream.Tree, plugins map[string]*Plugin, all []gates.Gate) error {
	library, err := tree.Package(translation)
	if err != nil {
		return err
	}
	p, err := tree.Package(migration)
	if err != nil {
		return err
	}
	for _, file := range p.Files {
		var failure error
		ast.Inspect(enabledIn(file), func(n ast.Node) bool {
			clause, ok := n.(*ast.CaseClause)
			if !ok || len(clause.List) != 1 || len(clause.Body) != 1 {
				return true
			}
			selector, ok := clause.List[0].(*ast.SelectorExpr)
			if !ok || file.Imported(selector.X.(*ast.Ident).Name) != translation {
				return true
			}
			result, ok := clause.Body[0].(*ast.ReturnStmt)
			if !ok || len(result.Results) != 1 {
				return true
			}
			migrated, err := decided(tree, p, file, result.Results[0], all)
			name, err2 := tree.Text(library, upstream.File{}, selector.Sel)
			driver, err3 := driverOf(tree, library, selector.Sel.Name)
			failure = errors.Join(failure, err, err2, err3)
			plugins[name] = &Plugin{Name: name, Migrated: migrated, Driver: driver, Citation: tree.Cite(p.Path, file.Name)}
			return true
		})
		if failure != nil {
			return failure
		}
	}
	return nil
}

// enabledIn is the method that says which plugins are migrated, if a file has it.
func enabledIn(file upstream.File) ast.Node {
	for _, declaration := range file.Syntax.Decls {
		if f, ok := declaration.(*ast.FuncDecl); ok && f.Name.Name == "IsMigrationEnabledForPlugin" {
			return f.Body
		}
	}
	return &ast.BlockStmt{}
}

// decided: it is true whatever the gates are set to.
func decided(tree *upstream.Tree, p *upstream.Package, file upstream.File, e ast.Expr, all []gates.Gate) (bool, error) {
	if ident, ok := e.(*ast.Ident); ok {
		return ident.Name == "true", nil
	}
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return false, fmt.Errorf("%s: a migration is decided by something new", p.Path)
	}
	name, err := tree.Text(p, file, call.Args[0])
	if err != nil {
		return false, err
	}
	gate, ok := kubeletGate(all, name)
	return ok && gate.Default && gate.Locked, nil
}

func kubeletGate(all []gates.Gate, name string) (gates.Gate, bool) {
	for _, gate := range all {
		if gate.Name == name && slices.Contains(gate.Components, "kubelet") {
			return gate, true
		}
	}
	return gates.Gate{}, false
}

// driverOf finds XDriverName beside XInTreePluginName or XVolumePluginName.
func driverOf(tree *upstream.Tree, library *upstream.Package, plugin string) (string, error) {
	base := strings.TrimSuffix(strings.TrimSuffix(plugin, "InTreePluginName"), "VolumePluginName")
	return tree.Text(library, upstream.File{}, ast.NewIdent(base+"DriverName"))
}

// probed reads which packages of pkg/volume the kubelet takes plugins from.
func probed(tree *upstream.Tree, plugins map[string]*Plugin, all []gates.Gate) error {
	p, err := tree.Package(kubelet)
	if err != nil {
		return err
	}
	for _, file := range p.Files {
		var failure error
		ast.Inspect(file.Syntax, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := selector.X.(*ast.Ident)
			if ok && selector.Sel.Name == "GetDynamicPluginProber" && strings.HasSuffix(file.Imported(x.Name), "/flexvolume") {
				// Its plugins are found at run time, by the name of their driver.
				const name = "kubernetes.io/flexvolume"
				plugins[name] = &Plugin{Name: name, Field: "flexVolume", Probed: true, Citation: tree.Cite(kubelet, file.Name)}
				return true
			}
			if selector.Sel.Name != "ProbeVolumePlugins" {
				return true
			}
			if !ok || !strings.HasPrefix(file.Imported(x.Name), "k8s.io/kubernetes/pkg/volume/") {
				return true
			}
			failure = errors.Join(failure, probe(tree, file.Imported(x.Name), plugins, all))
			return true
		})
		if failure != nil {
			return failure
		}
	}
	return nil
}

func probe(tree *upstream.Tree, path string, plugins map[string]*Plugin, all []gates.Gate) error {
	p, err := tree.Package(path)
	if err != nil {
		return err
	}
	name, fields, off, citation := "", map[string]bool{}, false, ""
	sources, err := sourceFields(tree)
	if err != nil {
		return err
	}
	for _, file := range p.Files {
		for _, declaration := range file.Syntax.Decls {
			method, ok := declaration.(*ast.FuncDecl)
			if !ok || method.Recv == nil {
				continue
			}
			switch method.Name.Name {
			case "GetPluginName":
				if result, ok := method.Body.List[0].(*ast.ReturnStmt); ok {
					if text, err := tree.Text(p, file, result.Results[0]); err == nil {
						name, citation = text, tree.Cite(path, file.Name)
					}
				}
			case "CanSupport":
				collect(method.Body, sources, fields)
			}
		}
		// Of these packages, this one asks a gate before it mounts.
		ast.Inspect(file.Syntax, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok || !strings.HasSuffix(selector.Sel.Name, "VolumeDriver") {
				return true
			}
			if gate, ok := kubeletGate(all, selector.Sel.Name); ok && !gate.Default {
				off = true
			}
			return true
		})
	}
	if name == "" {
		return fmt.Errorf("%s: no name of a plugin", path)
	}
	plugin := plugins[name]
	if plugin == nil {
		plugin = &Plugin{Name: name, Citation: citation}
		plugins[name] = plugin
	}
	plugin.Probed, plugin.Gated = true, off
	plugin.Field = strings.Join(slices.Sorted(maps.Keys(fields)), " ")
	return nil
}

// sourceFields are the fields of volume sources, with their names in JSON.
func sourceFields(tree *upstream.Tree) (map[string]string, error) {
	p, err := tree.Package(core)
	if err != nil {
		return nil, err
	}
	fields := map[string]string{}
	for _, file := range p.Files {
		ast.Inspect(file.Syntax, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || spec.Name.Name != "PersistentVolumeSource" && spec.Name.Name != "VolumeSource" {
				return true
			}
			for _, field := range spec.Type.(*ast.StructType).Fields.List {
				tag, _ := strconv.Unquote(field.Tag.Value)
				json, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
				for _, ident := range field.Names {
					fields[ident.Name] = json
				}
			}
			return false
		})
	}
	return fields, nil
}

func collect(body ast.Node, sources map[string]string, fields map[string]bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok && sources[selector.Sel.Name] != "" {
			fields[sources[selector.Sel.Name]] = true
		}
		return true
	})
}

// MinorColumns are those of one release's table.
var MinorColumns = []string{"plugin", "field", "probed", "gated", "migrated", "driver", "citation"}

// Rows are the rows of one release's table.
func Rows(plugins []Plugin) [][]string {
	var rows [][]string
	for _, p := range plugins {
		rows = append(rows, []string{
			p.Name, p.Field, strconv.FormatBool(p.Probed), strconv.FormatBool(p.Gated), strconv.FormatBool(p.Migrated), p.Driver, p.Citation,
		})
	}
	return rows
}

// Columns are those of the table for internal/rules.
var Columns = []string{"plugin", "field", "class", "driver", "works", "migrated", "origin", "citation"}

// Comment heads the table for internal/rules.
const Comment = `Volume plugins of the kubelet that are gone, were handed over to CSI drivers, or
are to go: one per row, written by hack/knowledge. works is spans of minors in which
the kubelet mounts it by its own code, with default gates; migrated is "minor origin
citation": from then on only the CSI driver does, whatever the gates. class: translated
(all components treat it as the driver's), driver (there is one, but volumes have to be
made anew or data copied), nothing. The first minor measured is 1.19.`

// successors.csv says what the sources do not: what takes the place of plugins
// that are not translated.
//
//go:embed successors.csv
var successors []byte

// Merge puts the tables of all releases together: rows by minor.
func Merge(byMinor map[int][][]string) ([][]string, error) {
	known, err := table.Read(successors, []string{"plugin", "field", "class", "driver", "citation"})
	if err != nil {
		return nil, fmt.Errorf("reading successors.csv: %w", err)
	}
	histories := map[string]*history{}
	minors := slices.Sorted(maps.Keys(byMinor))
	for _, minor := range minors {
		for _, row := range byMinor[minor] {
			if histories[row[0]] == nil {
				histories[row[0]] = &history{}
			}
			histories[row[0]].add(minor, row)
		}
	}
	var rows [][]string
	for _, row := range known {
		h := histories[row[0]]
		if h == nil {
			h = &history{field: row[1], citation: row[4]}
		}
		if h.migrated == "" {
			rows = append(rows, []string{row[0], h.field, row[2], row[3], table.Spans(h.works), "", "measured", h.citation})
		}
		delete(histories, row[0])
	}
	for name, h := range histories {
		switch {
		case h.migrated != "":
			rows = append(rows, []string{name, h.field, "translated", h.driver, table.Spans(h.works), h.migrated, "measured", h.citation})
		case len(h.works) > 0 && h.works[len(h.works)-1] != minors[len(minors)-1]:
			return nil, fmt.Errorf("%s is gone since 1.%d, and successors.csv does not have it", name, h.works[len(h.works)-1]+1)
		}
	}
	return rows, nil
}

type history struct {
	field, driver, migrated, citation string
	works                             []int
}

func (h *history) add(minor int, row []string) {
	if row[1] != "" {
		h.field = row[1]
	}
	if row[5] != "" {
		h.driver = row[5]
	}
	if row[4] == "true" && h.migrated == "" {
		h.migrated = fmt.Sprintf("1.%d measured %s", minor, row[6])
	}
	if row[2] == "true" && row[3] != "true" && h.migrated == "" {
		h.works = append(h.works, minor)
	}
	h.citation = row[6]
}
