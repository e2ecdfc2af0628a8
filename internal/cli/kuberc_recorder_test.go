// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// recorder answers as an API server would whose objects are all there and never
// change, and writes down what it was asked. Only so can two runs of a kubectl that
// changes things be compared.
type recorder struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newRecorder(t *testing.T) *recorder {
	r := &recorder{}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

// take is what was asked since the last time.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked := r.asked
	r.asked = nil
	slices.Sort(asked) // kubectl discovers groups all at once
	return asked
}

type object = map[string]any

var apiKinds = map[string][]string{ // resource: kind, and its subresources
	"pods": {"Pod", "log", "status", "ephemeralcontainers", "eviction"}, "nodes": {"Node", "status"}, "configmaps": {"ConfigMap"},
	"secrets": {"Secret"}, "services": {"Service", "status"}, "namespaces": {"Namespace", "status"}, "serviceaccounts": {"ServiceAccount", "token"},
	"resourcequotas": {"ResourceQuota"}, "events": {"Event"},
	"deployments": {"Deployment", "scale", "status"}, "replicasets": {"ReplicaSet", "scale"},
	"selfsubjectaccessreviews": {"SelfSubjectAccessReview"},
}

var apiGroups = map[string][]string{
	"v1":                      {"pods", "nodes", "configmaps", "secrets", "services", "namespaces", "serviceaccounts", "resourcequotas", "events"},
	"apps/v1":                 {"deployments", "replicasets"},
	"authorization.k8s.io/v1": {"selfsubjectaccessreviews"},
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, _ := io.ReadAll(q.Body)
	r.mu.Lock()
	r.asked = append(r.asked, fmt.Sprintf("%s %s %s %s %s", q.Method, ordered(q.URL), q.Header.Get("Kubectl-Command"), q.Header.Get("Content-Type"), body))
	r.mu.Unlock()
	status, answer := respond(q, body)
	if text, ok := answer.(string); ok {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer)
}

// ordered is a path with its query; kubectl writes field selectors in any order.
func ordered(u *url.URL) string {
	query := u.Query()
	parts := strings.Split(query.Get("fieldSelector"), ",")
	slices.Sort(parts)
	if query.Has("fieldSelector") {
		query.Set("fieldSelector", strings.Join(parts, ","))
	}
	return u.Path + "?" + query.Encode()
}

func respond(q *http.Request, body []byte) (int, any) {
	path := strings.Trim(q.URL.Path, "/")
	switch path {
	case "version":
		return http.StatusOK, object{"major": "1", "minor": "36", "gitVersion": "v1.36.0"}
	case "api":
		return http.StatusOK, object{"kind": "APIVersions", "versions": []string{"v1"}}
	case "apis":
		groups := []object{}
		for _, name := range []string{"apps", "authorization.k8s.io"} {
			v := object{"groupVersion": name + "/v1", "version": "v1"}
			groups = append(groups, object{"name": name, "versions": []object{v}, "preferredVersion": v})
		}
		return http.StatusOK, object{"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
	}
	version, rest, ok := versionOf(path)
	if !ok {
		return http.StatusNotFound, failure("NotFound", http.StatusNotFound)
	}
	if rest == "" {
		return http.StatusOK, resources(version)
	}
	return objects(q, body, version, strings.Split(rest, "/"))
}

func versionOf(path string) (version, rest string, ok bool) {
	for version := range apiGroups {
		prefix := "apis/" + version
		if version == "v1" {
			prefix = "api/v1"
		}
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			return version, strings.Trim(rest, "/"), true
		}
	}
	return "", "", false
}

func resources(version string) object {
	all := []object{}
	verbs := []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}
	for _, name := range apiGroups[version] {
		kind := apiKinds[name][0]
		namespaced := name != "nodes" && name != "namespaces" && kind != "SelfSubjectAccessReview"
		all = append(all, object{"name": name, "singularName": strings.ToLower(kind), "namespaced": namespaced, "kind": kind, "verbs": verbs})
		for _, sub := range apiKinds[name][1:] {
			all = append(all, object{"name": name + "/" + sub, "namespaced": namespaced, "kind": kind, "verbs": []string{"get", "patch", "update", "create"}})
		}
	}
	return object{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": all}
}

// objects answers for /namespaces/NS/RESOURCE/NAME/SUBRESOURCE and what is shorter.
func objects(q *http.Request, body []byte, version string, parts []string) (int, any) {
	namespace := ""
	if len(parts) > 2 && parts[0] == "namespaces" && apiKinds[parts[2]] != nil {
		namespace, parts = parts[1], parts[2:]
	}
	if apiKinds[parts[0]] == nil {
		return http.StatusNotFound, failure("NotFound", http.StatusNotFound)
	}
	kind := apiKinds[parts[0]][0]
	switch {
	case q.Method == http.MethodGet && q.URL.Query().Get("watch") != "":
		return http.StatusOK, ""
	case len(parts) == 3 && parts[2] == "log":
		return http.StatusOK, "a line\nanother line\n"
	case q.Method == http.MethodPost:
		var sent object
		if json.Unmarshal(body, &sent) != nil {
			sent = made(version, kind, namespace, "made")
		}
		if kind == "SelfSubjectAccessReview" {
			sent["status"] = object{"allowed": true}
		}
		if len(parts) == 3 && parts[2] == "token" {
			sent["status"] = object{"token": "a-token", "expirationTimestamp": "2030-01-01T00:00:00Z"}
		}
		return http.StatusCreated, sent
	case len(parts) > 1:
		return http.StatusOK, made(version, kind, namespace, parts[1])
	}
	items := []object{made(version, kind, namespace, "a"), made(version, kind, namespace, "b")}
	if strings.HasPrefix(q.URL.Query().Get("fieldSelector"), "metadata.name=") {
		items = []object{} // kubectl delete waits until they are gone
	}
	return http.StatusOK, object{"kind": kind + "List", "apiVersion": version, "metadata": object{"resourceVersion": "7"}, "items": items}
}

func made(version, kind, namespace, name string) object {
	meta := object{"name": name, "uid": "6d1b1b4c-0000-4000-8000-000000000001", "resourceVersion": "7", "labels": object{"app": "x"}}
	if namespace != "" {
		meta["namespace"] = namespace
	}
	container := object{"name": "c", "image": "nginx"}
	spec := object{"containers": []object{container}}
	if kind == "Deployment" || kind == "ReplicaSet" {
		spec = object{"replicas": 1, "selector": object{"matchLabels": object{"app": "x"}},
			"template": object{"metadata": object{"labels": object{"app": "x"}}, "spec": spec}}
	}
	out := object{"kind": kind, "apiVersion": version, "metadata": meta}
	if slices.Contains([]string{"Pod", "Deployment", "ReplicaSet"}, kind) {
		out["spec"] = spec
	}
	return out
}

func failure(reason string, code int) object {
	return object{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": reason, "code": code, "message": "the server could not find the requested resource"}
}

// chance is what differs from run to run: instants, and how long a watch may last.
var chance = regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)|timeoutSeconds=\d+`)
