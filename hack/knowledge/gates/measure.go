// SPDX-License-Identifier: Apache-2.0

// Package gates measures the feature gates of a release and puts the releases
// together to one table.
package gates

import (
	"errors"
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strconv"
	"strings"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

// Gate is what a binary of one release does with a feature gate. The default
// of a gate with versioned specs is that for the release's own minor.
type Gate struct {
	Name       string
	Stage      string // Alpha, Beta, GA, Deprecated, PreAlpha
	Default    bool
	Locked     bool
	MinCompat  int      // the default holds from this --min-compatibility-version on; 0: always
	Requires   []string // gates that must be on where this one is
	Components []string
	// Removal is the minor in which a comment beside the specification announces
	// that the gate goes; 0: none.
	Removal  int
	Citation string
}

// library is a package that declares gates.
type library struct {
	path string
	// linked: its gates are added by whatever imports it, in an init function.
	// Those of others are added by name.
	linked bool
}

const mainFeatures = "k8s.io/kubernetes/pkg/features"

// The libraries, in the order in which a later declaration of the same gate
// counts: pkg/features has repeated those of the others for long. It imports
// the other linked ones, and every component imports it.
var libraries = []library{
	{path: "k8s.io/component-base/logs"},
	{path: "k8s.io/component-base/logs/api/v1"},
	{path: "k8s.io/component-base/metrics/features"},
	{path: "k8s.io/component-base/zpages/features"},
	{path: "k8s.io/controller-manager/pkg/features"},
	{path: "k8s.io/client-go/features"},
	{path: "k8s.io/apiserver/pkg/features", linked: true},
	{path: "k8s.io/apiextensions-apiserver/pkg/features", linked: true},
	{path: mainFeatures, linked: true},
}

// Measure reads the gates of the components of a release. A gate that is not
// the same for all components is there more than once.
func Measure(tree *upstream.Tree) ([]Gate, error) {
	links := &linker{tree, map[string]node{}}
	var all []Gate
	for _, component := range components {
		gates, err := measureComponent(tree, links, component)
		if err != nil {
			return nil, fmt.Errorf("measuring the gates of %s %s: %w", component, tree.Release, err)
		}
		for _, name := range slices.Sorted(maps.Keys(gates)) {
			all = join(all, gates[name], component)
		}
	}
	own, err := measureKubeadm(tree)
	if err != nil {
		return nil, fmt.Errorf("measuring the gates of kubeadm %s: %w", tree.Release, err)
	}
	return append(all, own...), nil
}

// join adds a component to the same gate of others, or the gate.
func join(all []Gate, gate Gate, component string) []Gate {
	for i := range all {
		if all[i].same(gate) {
			all[i].Components = append(all[i].Components, component)
			return all
		}
	}
	gate.Components = []string{component}
	return append(all, gate)
}

func (g Gate) same(other Gate) bool {
	return g.Name == other.Name && g.Stage == other.Stage && g.Default == other.Default && g.Locked == other.Locked &&
		g.MinCompat == other.MinCompat && slices.Equal(g.Requires, other.Requires) && g.Citation == other.Citation
}

func measureComponent(tree *upstream.Tree, links *linker, component string) (map[string]Gate, error) {
	added, err := links.added(component)
	if err != nil {
		return nil, err
	}
	found := map[string]Gate{}
	for _, library := range libraries {
		if !library.linked && !added[library.path] {
			continue
		}
		delete(added, library.path)
		p, err := tree.Package(library.path)
		if err != nil {
			return nil, err
		}
		if err := measurePackage(tree, p, found); err != nil {
			return nil, err
		}
	}
	// What adds gates of its own kind is new to this list; better not to write
	// a table than one without them.
	for path := range added {
		return nil, fmt.Errorf("the gates of %s are added, which is new to the generator", path)
	}
	own, err := overrides(tree, component)
	for name, value := range own {
		gate, ok := found[name]
		if !ok {
			return nil, fmt.Errorf("the default of %s is set, which nothing declares", name)
		}
		gate.Default = value
		found[name] = gate
	}
	return found, err
}

func measurePackage(tree *upstream.Tree, p *upstream.Package, found map[string]Gate) error {
	requires := map[string][]string{}
	for _, file := range p.Files {
		for _, literal := range mapsOf(file.Syntax) {
			switch literal.kind {
			case "FeatureSpec", "VersionedSpecs":
				gates, err := readGates(tree, p, file, literal.value)
				if err != nil {
					return fmt.Errorf("reading gates in %s of %s: %w", p.Path, tree.Release, err)
				}
				announced, err := removals(tree, p, file)
				if err != nil {
					return err
				}
				for _, gate := range gates {
					if minor := announced[gate.Name]; minor > tree.Release.Minor {
						gate.Removal = minor
					}
					gate.Citation = tree.Cite(p.Path, file.Name)
					found[gate.Name] = gate
				}
			case "Feature":
				if err := readRequires(tree, p, file, literal.value, requires); err != nil {
					return fmt.Errorf("reading gate dependencies in %s of %s: %w", p.Path, tree.Release, err)
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(requires)) {
		gate, ok := found[name]
		if !ok {
			return fmt.Errorf("reading gate dependencies of %s: no gate %s", tree.Release, name)
		}
		gate.Requires = slices.Sorted(slices.Values(requires[name]))
		found[name] = gate
	}
	return nil
}

type gateMap struct {
	kind  string // of the values: FeatureSpec, VersionedSpecs, or Feature for lists of dependencies
	value *ast.CompositeLit
}

// mapsOf finds map[Feature]... literals, those of package level and those that
// functions return.
func mapsOf(file *ast.File) []gateMap {
	var found []gateMap
	ast.Inspect(file, func(n ast.Node) bool {
		literal, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		if of, ok := literal.Type.(*ast.MapType); ok && lastName(of.Key) == "Feature" && len(literal.Elts) > 0 {
			found = append(found, gateMap{lastName(of.Value), literal})
		}
		return false
	})
	return found
}

// lastName is X of X, pkg.X and []pkg.X.
func lastName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	case *ast.ArrayType:
		return lastName(e.Elt)
	}
	return ""
}

func readGates(tree *upstream.Tree, p *upstream.Package, file upstream.File, literal *ast.CompositeLit) ([]Gate, error) {
	var gates []Gate
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return nil, fmt.Errorf("a %T in a map of gates", element)
		}
		name, err := tree.Text(p, file, pair.Key)
		if err != nil {
			return nil, err
		}
		value, ok := pair.Value.(*ast.CompositeLit)
		if !ok {
			return nil, fmt.Errorf("%s: its specification is a %T", name, pair.Value)
		}
		gate, known, err := readSpecs(tree, p, name, value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if known {
			gates = append(gates, gate)
		}
	}
	return gates, nil
}

// readSpecs reads one specification, or of versioned ones that which holds for
// a minor: the last one not after it. A gate whose first comes later is not
// known to that minor.
func readSpecs(tree *upstream.Tree, p *upstream.Package, name string, value *ast.CompositeLit) (gate Gate, known bool, err error) {
	versioned := false
	for _, element := range value.Elts {
		inner, ok := element.(*ast.CompositeLit)
		if !ok {
			continue
		}
		versioned = true
		spec, since, err := readSpec(tree, p, name, inner)
		if err != nil {
			return Gate{}, false, err
		}
		if since <= tree.Release.Minor {
			gate, known = spec, true
		}
	}
	if versioned {
		return gate, known, nil
	}
	gate, _, err = readSpec(tree, p, name, value)
	return gate, err == nil, err
}

func readSpec(tree *upstream.Tree, p *upstream.Package, name string, value *ast.CompositeLit) (gate Gate, since int, err error) {
	gate = Gate{Name: name}
	for _, element := range value.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return Gate{}, 0, fmt.Errorf("a %T in a specification", element)
		}
		switch field := lastName(pair.Key); field {
		case "Default":
			gate.Default, err = readBool(p, pair.Value)
		case "LockToDefault":
			gate.Locked, err = readBool(p, pair.Value)
		case "PreRelease":
			gate.Stage = lastName(pair.Value)
		case "Version":
			since, err = readVersion(pair.Value)
		case "MinCompatibilityVersion":
			gate.MinCompat, err = readVersion(pair.Value)
		default:
			err = fmt.Errorf("its field %s is new to the generator", field)
		}
		if err != nil {
			return Gate{}, 0, err
		}
	}
	// The empty stage has the name GA (featuregate.GA), and PreAlpha is not
	// writable in a specification.
	if gate.Stage == "" {
		gate.Stage = "GA"
	}
	return gate, since, nil
}

// readBool reads true, false, or a name of the package that stands for one.
func readBool(p *upstream.Package, e ast.Expr) (bool, error) {
	switch name := lastName(e); name {
	case "true":
		return true, nil
	case "false":
		return false, nil
	case "":
	default:
		if value, _, ok := p.Value(name); ok {
			return readBool(p, value)
		}
	}
	return false, fmt.Errorf("a %T is neither true nor false", e)
}

// readVersion reads version.MustParse("1.37").
func readVersion(e ast.Expr) (int, error) {
	call, ok := e.(*ast.CallExpr)
	if !ok || len(call.Args) == 0 {
		return 0, fmt.Errorf("a %T is no version", e)
	}
	if lastName(call.Fun) == "MajorMinor" && len(call.Args) == 2 {
		if number, ok := call.Args[1].(*ast.BasicLit); ok {
			return strconv.Atoi(number.Value)
		}
	}
	literal, ok := call.Args[0].(*ast.BasicLit)
	if !ok {
		return 0, errors.New("a version that is no literal")
	}
	text, err := strconv.Unquote(literal.Value)
	if err != nil {
		return 0, err
	}
	// 0.0 stands for what was there before specifications had versions.
	major, minor, _ := strings.Cut(text, ".")
	if major == "0" {
		return 0, nil
	}
	minor, _, _ = strings.Cut(minor, ".")
	return strconv.Atoi(minor)
}

func readRequires(tree *upstream.Tree, p *upstream.Package, file upstream.File, literal *ast.CompositeLit, requires map[string][]string) error {
	for _, element := range literal.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return fmt.Errorf("a %T in a map of dependencies", element)
		}
		list, ok := pair.Value.(*ast.CompositeLit)
		if !ok {
			return fmt.Errorf("dependencies are a %T", pair.Value)
		}
		name, err := tree.Text(p, file, pair.Key)
		if err != nil {
			return err
		}
		for _, item := range list.Elts {
			required, err := tree.Text(p, file, item)
			if err != nil {
				return err
			}
			requires[name] = append(requires[name], required)
		}
	}
	return nil
}
