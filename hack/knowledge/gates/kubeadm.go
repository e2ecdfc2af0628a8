// SPDX-License-Identifier: Apache-2.0

package gates

import (
	"errors"
	"fmt"
	"go/ast"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

const kubeadmFeatures = "k8s.io/kubernetes/cmd/kubeadm/app/features"

// measureKubeadm reads kubeadm's own gates, those of featureGates in its
// ClusterConfiguration: they have nothing to do with the components'.
func measureKubeadm(tree *upstream.Tree) ([]Gate, error) {
	p, err := tree.Package(kubeadmFeatures)
	if err != nil {
		return nil, err
	}
	value, file, ok := p.Value("InitFeatureGates")
	list, isLiteral := value.(*ast.CompositeLit)
	if !ok || !isLiteral {
		return nil, errors.New("kubeadm has no list InitFeatureGates")
	}
	var gates []Gate
	for _, element := range list.Elts {
		pair, ok := element.(*ast.KeyValueExpr)
		if !ok {
			return nil, fmt.Errorf("a %T among kubeadm's gates", element)
		}
		name, err := tree.Text(p, file, pair.Key)
		if err != nil {
			return nil, err
		}
		spec, ok := specOf(pair.Value)
		if !ok {
			return nil, fmt.Errorf("kubeadm's gate %s has no specification", name)
		}
		gate, _, err := readSpec(tree, p, name, spec)
		if err != nil {
			return nil, fmt.Errorf("kubeadm's gate %s: %w", name, err)
		}
		gate.Components, gate.Citation = []string{"kubeadm"}, tree.Cite(p.Path, file.Name)
		gates = append(gates, gate)
	}
	return gates, nil
}

// specOf is X of {FeatureSpec: X, DeprecationMessage: ...}.
func specOf(e ast.Expr) (*ast.CompositeLit, bool) {
	literal, ok := e.(*ast.CompositeLit)
	if !ok {
		return nil, false
	}
	for _, element := range literal.Elts {
		if pair, ok := element.(*ast.KeyValueExpr); ok && lastName(pair.Key) == "FeatureSpec" {
			spec, ok := pair.Value.(*ast.CompositeLit)
			return spec, ok
		}
	}
	return nil, false
}
