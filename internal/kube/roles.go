// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/yaml"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// Role is an object that grants rights: a role or a binding, of the cluster or of
// a namespace.
type Role struct {
	Kind, Namespace, Name string

	body []byte
}

// roleResources are the kinds that a Role may be.
var roleResources = map[string]string{
	"ClusterRole": "clusterroles", "ClusterRoleBinding": "clusterrolebindings", "Role": "roles", "RoleBinding": "rolebindings",
}

const roleGroup = "/apis/rbac.authorization.k8s.io/v1"

// String names it as kubectl does.
func (r Role) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

func (r Role) path() []string {
	path := []string{roleGroup}
	if r.Namespace != "" {
		path = append(path, "namespaces", r.Namespace)
	}
	return append(path, roleResources[r.Kind], r.Name)
}

// Roles reads objects of RBAC from YAML documents. Anything else is an error.
func Roles(documents []byte) ([]Role, error) {
	var all []Role
	for next := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(documents))); ; {
		document, err := next.Read()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err == nil {
			document, err = yaml.ToJSON(document)
		}
		var head struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
			objectMeta
		}
		if err == nil {
			err = json.Unmarshal(document, &head)
		}
		r := Role{Kind: head.Kind, Namespace: head.Metadata.Namespace, Name: head.Metadata.Name, body: document}
		if err == nil && ("/apis/"+head.APIVersion != roleGroup || roleResources[r.Kind] == "" || r.Name == "") {
			err = fmt.Errorf("%s is no role and no binding", fact.Text(r.Kind))
		}
		if err != nil {
			return nil, fmt.Errorf("reading roles: %w", err)
		}
		all = append(all, r)
	}
}

// Grant makes roles and bindings what they should be, by server-side apply: what
// somebody else has set in them is set back.
func (c *Client) Grant(ctx context.Context, roles []Role) error {
	for _, r := range roles {
		err := c.do(ctx, request{
			about: "to apply the " + r.String(), verb: http.MethodPatch, path: r.path(), body: r.body,
			header: map[string]string{"Content-Type": "application/apply-patch+yaml"},
			query:  map[string]string{"fieldManager": finding.Group, "force": "true"},
		}, nil)
		if err != nil {
			return err
		}
	}
	return nil
}

// Revoke removes them, the bindings with their roles. That one is not there is
// fine.
func (c *Client) Revoke(ctx context.Context, roles []Role) error {
	for _, r := range slices.Backward(roles) {
		err := c.do(ctx, request{about: "to remove the " + r.String(), verb: http.MethodDelete, path: r.path()}, nil)
		if err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}
