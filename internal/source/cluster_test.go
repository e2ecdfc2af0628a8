// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/source"
)

// fake answers as an API server does, by path; what it is not told of is not
// there.
type fake map[string]http.HandlerFunc

func (f fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if answer, ok := f[r.URL.Path]; ok {
		answer(w, r)
		return
	}
	answers(404, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","message":"not found","code":404}`)(w, r)
}

func answers(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

// serves is what a server with these kinds tells of them.
func serves(kinds map[string]string) http.HandlerFunc {
	var resources []string
	for name, kind := range kinds {
		resources = append(resources, fmt.Sprintf(`{"resource": %q, "responseKind": {"kind": %q}, "scope": "Namespaced", "verbs": ["list", "watch"]}`, name, kind))
	}
	return answers(200, `{"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": [{"metadata": {"name": ""},
		"versions": [{"version": "v1", "freshness": "Current", "resources": [`+strings.Join(resources, ",")+`]}]}]}`)
}

func newFake(kinds map[string]string) fake {
	f := fake{
		"/version": answers(200, `{"gitVersion": "v1.36.3"}`),
		"/api":     serves(kinds),
		"/apis": answers(200, `{"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "items": [
			{"metadata": {"name": "gone.example.com"}, "versions": [{"version": "v1", "freshness": "Stale", "resources": []}]}]}`),
		"/metrics": answers(200, "process_start_time_seconds 1.7e9\n"+
			`apiserver_requested_deprecated_apis{group="",removed_release="",resource="configmaps",subresource="",version="v1"} 1`+"\n"+
			`apiserver_requested_deprecated_apis{group="",removed_release="1.40",resource="configmaps",subresource="status",version="v0"} 1`+"\n"),
	}
	for name := range kinds {
		f["/api/v1/"+name] = answers(200, `{"metadata": {}, "items": []}`)
	}
	return f
}

func lookAt(t *testing.T, ctx context.Context, f http.Handler, o source.ClusterOptions) (facts []fact.Fact, unseen []fact.Unseen, whole bool) {
	t.Helper()
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	path := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(path, fmt.Appendf(nil, `{"kind": "Config", "apiVersion": "v1", "current-context": "c",
		"contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
		"clusters": [{"name": "k", "cluster": {"server": %q}}], "users": [{"name": "u", "user": {}}]}`, s.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := kube.OpenContext(kube.Context{Kubeconfig: path}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	whole = source.Cluster(ctx, client, o, func(f fact.Fact) { facts = append(facts, f) }, func(u fact.Unseen) { unseen = append(unseen, u) })
	return facts, unseen, whole
}

// used is a list of one object that kubectl has applied in another version.
const used = `{"metadata": {"continue": ""}, "items": [{"metadata": {"name": "a", "namespace": "b",
	"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"apiVersion\": \"old.example.com/v1beta1\"}"}}}]}`

// An API server that refuses, is busy, is slow or garbles what it says costs
// what it does that with, named each, and a bounded time; the rest is seen.
func TestClusterFaults(t *testing.T) {
	f := newFake(map[string]string{"configmaps": "ConfigMap", "pods": "Pod", "services": "Service", "endpoints": "Endpoints",
		"limitranges": "LimitRange", "resourcequotas": "ResourceQuota", "serviceaccounts": "ServiceAccount"})
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) })
	f["/api/v1/configmaps"] = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("labelSelector") == "" {
			answers(200, used)(w, r)
			return
		}
		answers(200, `{"items": []}`)(w, r)
	}
	f["/api/v1/pods"] = answers(403, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"no","code":403}`)
	f["/api/v1/services"] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "3600")
		answers(429, "Too many requests, please try again later.")(w, r)
	}
	f["/api/v1/endpoints"] = func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-hold:
		case <-r.Context().Done():
		}
	}
	f["/api/v1/limitranges"] = answers(200, "\x00\x1b[2J<html>")
	f["/api/v1/resourcequotas"] = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("continue") == "" {
			answers(200, `{"metadata": {"continue": "t"}, "items": [{"metadata": {"name": "a"}}]}`)(w, r)
			return
		}
		answers(410, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Expired","message":"too old","code":410}`)(w, r)
	}
	f["/api/v1/serviceaccounts"] = answers(404, "gone meanwhile")
	facts, unseen, whole := lookAt(t, t.Context(), f, source.ClusterOptions{Patience: kube.Patience{Page: time.Second, Wait: time.Second}})
	if whole {
		t.Error("not everything was listed, and it says so")
	}
	want := map[fact.Text]fact.Why{
		"objects of pods": fact.Denied, "objects of services": fact.Timeout, "objects of endpoints": fact.Timeout,
		"objects of limitranges": fact.Malformed, "objects of resourcequotas": fact.Failed, "objects of gone.example.com/v1": fact.Unreachable,
	}
	for _, u := range unseen {
		if want[u.What] != u.Why || u.Source != source.ClusterName || u.Detail == "" {
			t.Errorf("%+v, want %s", u, want[u.What])
		}
		delete(want, u.What)
	}
	if len(want) > 0 {
		t.Errorf("not said: %v", want)
	}
	i := slices.IndexFunc(facts, func(f fact.Fact) bool { return f.Kind() == fact.KindObject })
	if i < 0 {
		t.Fatalf("%+v", facts)
	}
	if o := facts[i].(fact.Object); o.Name != "a" || o.Namespace != "b" || o.APIVersion != "v1" || o.Type != "ConfigMap" || len(o.Uses) != 1 || o.Content != nil {
		t.Errorf("%+v", o)
	}
	var requested []fact.Requested
	for _, f := range facts {
		if r, ok := f.(fact.Requested); ok {
			requested = append(requested, r)
		}
	}
	if len(requested) != 1 || requested[0].Version != "v0" || requested[0].RemovedIn != "1.40" || requested[0].Subresource != "status" {
		t.Errorf("what controllers ask for is left out, and the rest is not: %+v", requested)
	}
}

// A server that answers nothing any more is not waited for as long for each kind
// as for the first.
func TestClusterSlow(t *testing.T) {
	kinds := map[string]string{}
	for i := range 20 {
		kinds[fmt.Sprintf("things%d", i)] = "Thing"
	}
	f := newFake(kinds)
	for name := range kinds {
		f["/api/v1/"+name] = func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	}
	_, unseen, _ := lookAt(t, t.Context(), f, source.ClusterOptions{Patience: kube.Patience{Page: 100 * time.Millisecond, Wait: time.Second}, Total: time.Second})
	timeouts := 0
	for _, u := range unseen {
		if u.Why == fact.Timeout && strings.HasPrefix(string(u.What), "objects of things") {
			timeouts++
		}
	}
	if timeouts != 20 {
		t.Errorf("%d of 20 kinds are told as too slow: %+v", timeouts, unseen)
	}
}

func TestClusterCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	facts, unseen, whole := lookAt(t, ctx, newFake(nil), source.ClusterOptions{})
	if whole || len(facts) != 0 || len(unseen) != 1 || unseen[0].Why != fact.Canceled {
		t.Errorf("%v, %+v", facts, unseen)
	}
}

// Somebody else who answers on the address is told once.
func TestClusterNobody(t *testing.T) {
	for name, f := range map[string]fake{"no API server": {"/version": answers(200, "<html>")}, "refuses": {"/version": answers(401, "")}} {
		facts, unseen, whole := lookAt(t, t.Context(), f, source.ClusterOptions{})
		if len(facts) != 0 || len(unseen) == 0 || whole || name == "no API server" && (len(unseen) != 1 || unseen[0].Why != fact.Unreachable) {
			t.Errorf("%s: %v, %+v", name, facts, unseen)
		}
	}
}

// Releases that are none cost themselves only, also one that unpacks to far more
// than it is.
func TestClusterHelm(t *testing.T) {
	const manifest = "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: nightly, namespace: jobs}\n"
	once := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	good := release(t, "good", manifest)
	bomb := release(t, "bomb", strings.Repeat("# nothing\n", 8<<20))
	cut, _ := base64.StdEncoding.DecodeString(good)
	plain := once(`{"manifest": "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{env: [{name: A, value: secret}]}]}\n", "version": 2, "name": "plain", "chart": {"a": [1, {"b": "}"}]}}`)
	kept := map[string]string{
		"good": once(good), "bomb": once(bomb), "no-gzip": once(once("hello")), "no-base64": once("%%%"), "no-data": "",
		"cut": once(once(string(cut[:len(cut)/2]))), "plain": once(plain), "no-manifest": once(once("{}")), "no-yaml": once(release(t, "odd", "a: [\n---\n"+manifest)),
	}
	var items []string
	for name, data := range kept {
		items = append(items, fmt.Sprintf(`{"metadata": {"name": %q, "namespace": "n"}, "data": {"release": %q}}`, name, data))
	}
	f := newFake(map[string]string{"secrets": "Secret"})
	f["/api/v1/secrets"] = func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("labelSelector") == "" {
			answers(200, `{"metadata": {}, "items": []}`)(w, r)
			return
		}
		answers(200, `{"metadata": {}, "items": [`+strings.Join(items, ",")+`]}`)(w, r)
	}
	facts, unseen, whole := lookAt(t, t.Context(), f, source.ClusterOptions{})
	whys := map[string]fact.Why{"bomb": fact.TooLarge, "no-gzip": fact.Malformed, "no-base64": fact.Malformed, "no-data": fact.Malformed, "cut": fact.Malformed, "no-manifest": fact.Malformed, "no-yaml": fact.Malformed}
	for _, u := range unseen {
		if u.What == "objects of gone.example.com/v1" {
			continue
		}
		name, _, _ := strings.Cut(string(u.What[strings.LastIndex(string(u.What), "n/")+2:]), ":")
		if whys[name] != u.Why || !strings.Contains(string(u.What), "Helm release in Secret n/") {
			t.Errorf("%+v", u)
		}
		delete(whys, name)
	}
	if len(whys) != 0 || !whole {
		t.Errorf("not said: %v; whole is %v", whys, whole)
	}
	var got []string
	for _, f := range facts {
		if o, ok := f.(fact.Object); ok {
			got = append(got, fmt.Sprintf("%s %s %s/%s %s %q", o.APIVersion, o.Type, o.Namespace, o.Name, o.Uses[0].Who, o.Content))
		}
	}
	slices.Sort(got)
	if want := []string{
		`batch/v1beta1 CronJob jobs/nightly good -n n revision 3 ""`, `batch/v1beta1 CronJob jobs/nightly odd -n n revision 3 ""`, `v1 Pod n/p plain -n n revision 2 ""`,
	}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// What components are configured with is read from kubeadm's ConfigMaps and from
// kubelets; who may not ask those is told once, whatever the number of nodes.
func TestClusterConfiguration(t *testing.T) {
	f := newFake(map[string]string{"nodes": "Node"})
	f["/api/v1/nodes"] = answers(200, `{"metadata": {}, "items": [{"metadata": {"name": "n1"}, "status": {"nodeInfo": {"kubeletVersion": "v1.36.3"}, "images": [{"names": ["big"]}]}}, {"metadata": {"name": "n2"}}]}`)
	configMap := func(name, key, text string) {
		f["/api/v1/namespaces/kube-system/configmaps/"+name] = answers(200, fmt.Sprintf(`{"data": {%q: %q}}`, key, text))
	}
	configMap("kube-proxy", "config.conf", "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nfeatureGates: {A: true}\nmode: ipvs\n")
	configMap("kubelet-config", "kubelet", "# by kubeadm\napiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nfeatureGates: {B: false}\n")
	configMap("kubeadm-config", "ClusterConfiguration", "apiVersion: kubeadm.k8s.io/v1beta3\nkind: ClusterConfiguration\napiServer:\n  extraArgs:\n    feature-gates: C=true\n")
	review := "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
	f[review] = answers(201, `{"status": {"allowed": false}}`)
	facts, unseen, _ := lookAt(t, t.Context(), f, source.ClusterOptions{})
	documents := map[string]fact.ConfigDocument{}
	objects := map[fact.ID]fact.Object{}
	for _, f := range facts {
		switch f := f.(type) {
		case fact.ConfigDocument:
			documents[f.Component] = f
		case fact.Object:
			objects[fact.ObjectID(f)] = f
		case fact.KubeletConfig:
			t.Errorf("a kubelet was asked without the right: %+v", f)
		}
	}
	if d := documents["kube-proxy"]; d.Path != "ConfigMap kube-system/kube-proxy" || d.Line != 1 || d.Type != "KubeProxyConfiguration" || d.Flag != "--config" || !d.Gates["A"] || len(d.Gates) != 1 {
		t.Errorf("%+v", d)
	}
	if d := documents["kubelet"]; d.Line != 2 || d.APIVersion != "kubelet.config.k8s.io/v1beta1" || len(d.Gates) != 1 || d.Gates["B"] {
		t.Errorf("%+v", d)
	}
	if d := documents["kubeadm"]; d.APIVersion != "kubeadm.k8s.io/v1beta3" || d.Flag != "" || len(d.Gates) != 0 {
		t.Errorf("%+v", d)
	}
	if o := objects["cluster/ClusterConfiguration/kube-system/kubeadm-config"]; !strings.Contains(string(o.Content), `"feature-gates":"C=true"`) {
		t.Errorf("%+v: %s", o, o.Content)
	}
	if o := objects["cluster/Node/-/n1"]; !strings.Contains(string(o.Content), "v1.36.3") || strings.Contains(string(o.Content), "big") {
		t.Errorf("%s", o.Content)
	}
	about := slices.DeleteFunc(unseen, func(u fact.Unseen) bool { return !strings.Contains(string(u.What), "kubelet") })
	if len(about) != 1 || about[0].Why != fact.Denied || !strings.Contains(string(about[0].Detail), "get nodes/proxy") || about[0].Hint == "" {
		t.Errorf("%+v", about)
	}

	f[review] = answers(201, `{"status": {"allowed": true}}`)
	f["/api/v1/nodes/n1/proxy/configz"] = answers(200, `{"kubeletconfig": {"featureGates": {"D": true}, "failCgroupV1": true, "staticPodPath": "/etc/kubernetes/manifests"}}`)
	f["/api/v1/nodes/n2/proxy/configz"] = answers(503, "no route to host")
	facts, unseen, _ = lookAt(t, t.Context(), f, source.ClusterOptions{})
	var kubelets []fact.KubeletConfig
	for _, f := range facts {
		if k, ok := f.(fact.KubeletConfig); ok {
			kubelets = append(kubelets, k)
		}
	}
	if len(kubelets) != 1 || kubelets[0].Node != "n1" || !kubelets[0].Gates["D"] || kubelets[0].FailCgroupV1 == nil || !*kubelets[0].FailCgroupV1 {
		t.Errorf("%+v", kubelets)
	}
	if !slices.ContainsFunc(unseen, func(u fact.Unseen) bool { return u.What == "the configuration of the kubelet of n2" }) {
		t.Errorf("%+v", unseen)
	}
}
