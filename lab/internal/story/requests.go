// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"perennial.dev/perennial/lab/internal/api"
)

// Codes are the HTTP status codes of one row's requests, in order.
type Codes []int

func (c Codes) String() string {
	var texts []string
	for _, code := range c {
		texts = append(texts, strconv.Itoa(code))
	}
	return strings.Join(texts, ", ")
}

// asker sends the story's requests at one moment of it. Objects are named
// after the moment, so that each moment makes new ones.
type asker struct {
	client   *api.Client
	moment   string
	patience time.Duration // how long an effect may take to show
	messages []string      // of refused requests
}

// row is one line of the table.
type row struct {
	title string
	ask   func(*asker, context.Context) (Codes, error)
	well  Codes                   // when all is well
	past  func(minor int) []Codes // any of them, when the loopback connections are cut past the end
	waits bool                    // for an effect: it takes long where there is none
}

// rows tell what breaks and what goes on looking healthy. The codes were
// measured on 1.25.0, 1.32.2 and 1.37.0.
var rows = []row{
	{"GET /readyz", (*asker).readyz, Codes{200}, always(200), false},
	{"GET /livez", (*asker).livez, Codes{200}, always(200), false},
	{"read a namespace", (*asker).readNamespace, Codes{200}, always(200), false},
	{"create a namespace", (*asker).createNamespace, Codes{201}, namespacePast, false},
	{"create a ConfigMap in it", (*asker).createConfigMap, Codes{201}, always(500), false},
	{"define a resource, list it", (*asker).defineResource, Codes{201, 200}, always(201, 404), true},
	{"bind a role, use it", (*asker).bindRole, Codes{201, 200}, always(201, 403), true},
}

func always(codes ...int) func(int) []Codes {
	return func(int) []Codes { return []Codes{codes} }
}

// namespacePast: the quota plugin asked the API server about a namespace it
// knew no quota of, until it learned to trust its synced cache (k8s.io/apiserver
// pkg/admission/plugin/resourcequota/resource_access.go, 1.33 and later patches
// of 1.32 and before).
func namespacePast(minor int) []Codes {
	if minor >= 33 {
		return []Codes{{201}}
	}
	return []Codes{{500}, {201}}
}

func (a *asker) readyz(ctx context.Context) (Codes, error) {
	return a.once(ctx, http.MethodGet, "/readyz", nil)
}

func (a *asker) livez(ctx context.Context) (Codes, error) {
	return a.once(ctx, http.MethodGet, "/livez", nil)
}

func (a *asker) readNamespace(ctx context.Context) (Codes, error) {
	return a.once(ctx, http.MethodGet, "/api/v1/namespaces/kube-system", nil)
}

func (a *asker) namespace() string { return "story-" + a.moment }

func (a *asker) createNamespace(ctx context.Context) (Codes, error) {
	return a.once(ctx, http.MethodPost, "/api/v1/namespaces", object("v1", "Namespace", a.namespace(), nil))
}

func (a *asker) createConfigMap(ctx context.Context) (Codes, error) {
	return a.once(ctx, http.MethodPost, "/api/v1/namespaces/"+a.namespace()+"/configmaps", object("v1", "ConfigMap", "story", nil))
}

func (a *asker) defineResource(ctx context.Context) (Codes, error) {
	const group = "story.example.com"
	plural := "tales" + a.moment
	kind := "Tale" + a.moment
	definition := object("apiextensions.k8s.io/v1", "CustomResourceDefinition", plural+"."+group, map[string]any{"spec": map[string]any{
		"group": group,
		"scope": "Cluster",
		"names": map[string]string{"plural": plural, "singular": strings.ToLower(kind), "kind": kind, "listKind": kind + "List"},
		"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true,
			"schema": map[string]any{"openAPIV3Schema": map[string]any{"type": "object"}}}},
	}})
	return a.twice(ctx, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition, "/apis/"+group+"/v1/"+plural)
}

// bindRole binds the role of which "view" is made: "view" itself is empty in a
// new cluster until the controller manager has put it together.
func (a *asker) bindRole(ctx context.Context) (Codes, error) {
	user := "story-reader-" + a.moment
	binding := object("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", user, map[string]any{
		"roleRef":  map[string]string{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:aggregate-to-view"},
		"subjects": []any{map[string]string{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}},
	})
	return a.twice(ctx, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding,
		"/api/v1/namespaces/kube-system/configmaps", "Impersonate-User", user)
}

func object(apiVersion, kind, name string, rest map[string]any) map[string]any {
	o := map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": map[string]string{"name": name}}
	for key, value := range rest {
		o[key] = value
	}
	return o
}

func (a *asker) once(ctx context.Context, method, path string, body any, headers ...string) (Codes, error) {
	answer, err := a.client.Do(ctx, method, path, body, headers...)
	if err != nil {
		return nil, fmt.Errorf("asking the API server: %w", err)
	}
	if answer.Code >= 500 {
		a.messages = append(a.messages, answer.Message())
	}
	return Codes{answer.Code}, nil
}

// twice creates an object, and then reads what follows from it until that
// works or the patience ends.
func (a *asker) twice(ctx context.Context, path string, body any, effect string, headers ...string) (Codes, error) {
	codes, err := a.once(ctx, http.MethodPost, path, body)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(a.patience); ; {
		seen, err := a.once(ctx, http.MethodGet, effect, nil, headers...)
		if err != nil {
			return nil, err
		}
		if seen[0] == http.StatusOK || time.Now().After(end) {
			return append(codes, seen...), nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
