// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/timeline"
)

// hostileServer answers as an API server of 1.24 does on which things go wrong, one
// for each kind. Its other kinds have an object each that 1.25 does not serve.
func hostileServer(t *testing.T) string {
	t.Helper()
	list := func(objects ...string) string {
		return `{"metadata": {"resourceVersion": "1"}, "items": [` + strings.Join(objects, ",") + `]}`
	}
	written := func(name string) string {
		return fmt.Sprintf(`{"metadata": {"name": %q, "namespace": "shop", "managedFields": [{"manager": "deployer", "apiVersion": "batch/v1beta1"}]}, "spec": {"schedule": "0 3 * * *", "timeZone": "UTC"}}`, name)
	}
	release := func(name, data string) string {
		return fmt.Sprintf(`{"metadata": {"name": %q, "namespace": "shop", "labels": {"owner": "helm", "status": "deployed"}}, "data": {"release": %q}}`, name, data)
	}
	twice := func(text string) string {
		return base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(text))))
	}
	resource := func(name, kind string) string {
		return fmt.Sprintf(`{"name": %q, "kind": %q, "namespaced": true, "verbs": ["list", "get"]}`, name, kind)
	}
	resources := func(version string, all ...string) string {
		return fmt.Sprintf(`{"kind": "APIResourceList", "groupVersion": %q, "resources": [%s]}`, version, strings.Join(all, ","))
	}
	group := func(name, version string) string {
		return fmt.Sprintf(`{"name": %q, "versions": [{"groupVersion": "%s/%s", "version": %q}], "preferredVersion": {"groupVersion": "%s/%s", "version": %q}}`, name, name, version, version, name, version, version)
	}
	answers := map[string]string{
		"/version": `{"gitVersion": "v1.24.17"}`,
		"/api":     `{"kind": "APIVersions", "versions": ["v1"]}`,
		"/apis":    `{"kind": "APIGroupList", "groups": [` + group("batch", "v1") + "," + group("policy", "v1beta1") + "," + group("apiextensions.k8s.io", "v1") + `]}`,
		"/api/v1": resources("v1", resource("secrets", "Secret"), resource("services", "Service"), resource("endpoints", "Endpoints"),
			resource("limitranges", "LimitRange"), resource("resourcequotas", "ResourceQuota")),
		"/apis/batch/v1":                resources("batch/v1", resource("cronjobs", "CronJob")),
		"/apis/policy/v1beta1":          resources("policy/v1beta1", resource("podsecuritypolicies", "PodSecurityPolicy"), resource("poddisruptionbudgets", "PodDisruptionBudget")),
		"/apis/apiextensions.k8s.io/v1": resources("apiextensions.k8s.io/v1", resource("customresourcedefinitions", "CustomResourceDefinition")),

		"/apis/batch/v1/cronjobs": list(written("backup")),
		// Somebody's own kind in a group, and by a name, of Kubernetes' own.
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions": list(`{"metadata": {"name": "podsecuritypolicies.policy"}, "spec": {"group": "policy", "scope": "Namespaced",
			"names": {"kind": "PodSecurityPolicy", "plural": "podsecuritypolicies"}, "versions": [{"name": "v1beta1", "served": true, "storage": true}]}, "status": {"storedVersions": ["v1beta1"]}}`),
		"/apis/policy/v1beta1/podsecuritypolicies":  list(`{"metadata": {"name": "ours", "namespace": "shop"}}`),
		"/apis/policy/v1beta1/poddisruptionbudgets": list(`{"metadata": {"name": "mine", "namespace": "shop", "managedFields": [{"manager": "deployer", "apiVersion": "policy/v1beta1"}]}}`),
	}
	secrets := list(release("no-gzip", twice("hello")), release("no-base64", "%%%"), release("plain",
		twice(`{"name": "plain", "version": 3, "manifest": "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: helmed}\n"}`)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		status := func(code int, reason string) {
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": %q, "message": %q, "code": %d}`, reason, reason, code)
		}
		switch r.URL.Path {
		case "/api/v1/secrets":
			if strings.Contains(r.URL.RawQuery, "labelSelector") {
				fmt.Fprint(w, secrets)
			} else {
				fmt.Fprint(w, list())
			}
		case "/api/v1/services":
			w.Header().Set("Retry-After", "3600")
			status(http.StatusTooManyRequests, "TooManyRequests")
		case "/api/v1/limitranges":
			if r.URL.Query().Get("continue") != "" {
				status(http.StatusGone, "Expired")
				return
			}
			fmt.Fprint(w, `{"metadata": {"continue": "more"}, "items": [{"metadata": {"name": "a", "namespace": "shop"}}]}`)
		case "/api/v1/endpoints": // on and on, a little at a time
			fmt.Fprint(w, `{"metadata": {}, "items": [{"metadata": {"name": "a"}}`)
			for tick := time.NewTicker(50 * time.Millisecond); ; {
				select {
				case <-r.Context().Done():
					tick.Stop()
					return
				case <-tick.C:
					fmt.Fprint(w, ` `)
					w.(http.Flusher).Flush()
				}
			}
		case "/api/v1/resourcequotas": // an object that no etcd holds
			fmt.Fprint(w, `{"metadata": {}, "items": [{"metadata": {"name": "`)
			piece := strings.Repeat("x", 1<<20)
			for range 1 << 10 {
				if _, err := fmt.Fprint(w, piece); err != nil {
					return
				}
			}
		default:
			body, ok := answers[r.URL.Path]
			if !ok {
				status(http.StatusNotFound, "NotFound")
				return
			}
			fmt.Fprint(w, body)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// An API server that is busy, has forgotten, is slow or answers without an end,
// releases that are none and a kind that takes the name of another one cost
// themselves only.
func TestHostileCluster(t *testing.T) {
	t.Parallel()
	cmd := product(t, "check", "--to", "1.25", "--kubeconfig", contexts(t, map[string]string{"old": hostileServer(t)}), "-o", "json")
	cmd.Env = append(cmd.Environ(), "PATH=")
	tl, exit := reported(t, cmd)
	var items, unseen []string
	for _, i := range tl.Items {
		items = append(items, string(i.ID)+" "+string(i.Code))
	}
	for _, u := range tl.Unseen {
		if u.What == "objects of policy/v1beta1 podsecuritypolicies" {
			t.Errorf("%+v", u)
		}
		unseen = append(unseen, string(u.Why)+" "+string(u.What))
	}
	slices.Sort(items)
	slices.Sort(unseen)
	want := []string{"cluster/CronJob/shop/backup APIRemoved", "cluster/CronJob/shop/helmed APIRemoved", "cluster/PodDisruptionBudget/shop/mine APIRemoved"}
	if !slices.Equal(items, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(items, "\n"), strings.Join(want, "\n"))
	}
	for _, part := range []string{
		"Failed objects of limitranges", "Malformed the Helm release in Secret shop/no-base64", "Malformed the Helm release in Secret shop/no-gzip",
		"Timeout objects of endpoints", "Timeout objects of services", "TooLarge objects of resourcequotas",
	} {
		if !slices.Contains(unseen, part) {
			t.Errorf("not told: %s", part)
		}
	}
	if exit != timeline.ExitDue && exit != timeline.ExitUnseen {
		t.Errorf("exit code %d", exit)
	}
	if t.Failed() {
		t.Logf("not seen:\n%s", strings.Join(unseen, "\n"))
	}
}
