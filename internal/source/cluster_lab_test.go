// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/testlab"
)

// plane is a control plane of the lab.
type plane struct{ *testlab.Plane }

func (p *plane) kubectl(args ...string) string {
	p.Helper()
	return p.Inside(append([]string{"kubectl"}, args...)...)
}

// eventually repeats what a server that was told of a new kind does only soon.
func (p *plane) eventually(args ...string) {
	p.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		out, ok := p.Kubectl(args...)
		if ok {
			return
		}
		if time.Now().After(deadline) {
			p.Fatalf("kubectl %s: %s", strings.Join(args, " "), out)
		}
	}
}

func (p *plane) file(name, text string) string {
	p.Helper()
	path := filepath.Join(p.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.Fatal(err)
	}
	return path
}

// lookAs looks at the cluster with a kubeconfig.
func (p *plane) lookAs(kubeconfig string) (facts []fact.Fact, unseen []fact.Unseen, whole bool) {
	p.Helper()
	client, err := kube.OpenContext(kube.Context{Kubeconfig: kubeconfig}, "test")
	if err != nil {
		p.Fatal(err)
	}
	defer client.Close()
	whole = source.Cluster(p.Context(), client, source.ClusterOptions{},
		func(f fact.Fact) { facts = append(facts, f) }, func(u fact.Unseen) { unseen = append(unseen, u) })
	return facts, unseen, whole
}

// token makes a kubeconfig for a service account.
func (p *plane) token(account string) string {
	p.Helper()
	admin, err := os.ReadFile(filepath.Join(p.KubernetesDir, "admin.conf"))
	if err != nil {
		p.Fatal(err)
	}
	var ca string
	for line := range strings.Lines(string(admin)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "certificate-authority-data: "); ok {
			ca = rest
		}
	}
	token := strings.TrimSpace(p.kubectl("create", "token", account))
	return p.file(account, fmt.Sprintf(`{"kind": "Config", "apiVersion": "v1", "current-context": "c",
		"contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
		"clusters": [{"name": "k", "cluster": {"server": "https://%s", "certificate-authority-data": %q}}],
		"users": [{"name": "u", "user": {"token": %q}}]}`, p.Endpoint, ca, token))
}

// release packs a manifest as Helm does.
func release(t *testing.T, name, manifest string) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"chart":   map[string]any{"templates": []any{map[string]string{"name": "manifest", "data": "e30="}}},
		"info":    map[string]string{"status": "deployed"},
		"version": 3, "manifest": manifest, "name": name, "namespace": "default",
	})
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write(text)
	_ = z.Close()
	return base64.StdEncoding.EncodeToString(packed.Bytes())
}

const secretWord = "Zm9yLW5vYm9keXMtZXllcw"

// seed is what the test puts into a cluster.
func seed(t *testing.T, old string) string {
	helm := func(kind, name, data string) string {
		return fmt.Sprintf("---\napiVersion: v1\nkind: %s\nmetadata: {name: %s, namespace: default, labels: {owner: helm, status: deployed}}\ndata: {release: %q}\n", kind, name, data)
	}
	manifest := "# Source: a\napiVersion: extensions/v1beta1\nkind: Ingress\nmetadata:\n  name: web\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: web\n  namespace: other\n"
	packed := release(t, "shop", manifest)
	return fmt.Sprintf(`
apiVersion: %s
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: default}
spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
---
apiVersion: v1
kind: Secret
metadata: {name: password, namespace: default}
stringData: {password: %[2]s}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: default}
data: {password: %[2]s}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 0
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web, env: [{name: PASSWORD, value: %[2]s}]}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: log-reader}
rules: [{nonResourceURLs: ["/logs/*"], verbs: [get]}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hooks}
webhooks:
- name: old.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  clientConfig: {url: "https://127.0.0.1:1/"}
  rules: [{apiGroups: [policy], apiVersions: [v1beta1], resources: [podsecuritypolicies], operations: [CREATE]}]
- name: both.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  clientConfig: {url: "https://127.0.0.1:1/"}
  rules:
  - {apiGroups: [extensions], apiVersions: [v1beta1], resources: [ingresses], operations: [CREATE]}
  - {apiGroups: [networking.k8s.io], apiVersions: [v1], resources: [ingresses], operations: [CREATE]}
`, old, secretWord) + helm("Secret", "sh.helm.release.v1.shop.v3", base64.StdEncoding.EncodeToString([]byte(packed))) +
		helm("ConfigMap", "shop.v3", packed) + helm("Secret", "sh.helm.release.v1.broken.v1", base64.StdEncoding.EncodeToString([]byte("bm8gZ3ppcA==")))
}

// Two definitions: one whose kind is called as one of Kubernetes', stored in
// a version that is not served, and one in one of Kubernetes' own groups.
const definitions = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: deployments.apps.example.com}
spec:
  group: apps.example.com
  scope: Namespaced
  names: {plural: deployments, singular: deployment, kind: Deployment, listKind: DeploymentList}
  versions:
  - {name: v1, served: true, storage: true, schema: &schema {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
  - {name: v1beta1, served: SERVED, storage: false, schema: *schema}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: podpresets.settings.k8s.io
  annotations: {api-approved.kubernetes.io: "unapproved, a test"}
spec:
  group: settings.k8s.io
  scope: Namespaced
  names: {plural: podpresets, singular: podpreset, kind: PodPreset, listKind: PodPresetList}
  versions:
  - {name: v1alpha1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`

func TestLabCluster(t *testing.T) {
	testlab.Each(t, func(p *testlab.Plane) { (&plane{p}).look() })
}

func (p *plane) look() {
	old := "autoscaling/v1"
	if strings.HasPrefix(p.Version, "1.25") {
		old = "autoscaling/v2beta2"
	}
	p.kubectl("apply", "-f", p.file("seed.yaml", seed(p.T, old)))
	for _, served := range []string{"true", "false"} { // stored versions stay behind
		storage := strings.Replace(definitions, "SERVED", served, 1)
		if served == "true" {
			storage = strings.Replace(strings.Replace(storage, "storage: true", "storage: false", 1), "served: true, storage: false, schema: *", "served: true, storage: true, schema: *", 1)
		}
		p.kubectl("apply", "-f", p.file("crd-"+served, storage))
	}
	p.kubectl("wait", "--for=condition=Established", "crd/podpresets.settings.k8s.io", "crd/deployments.apps.example.com")
	p.eventually("apply", "-f", p.file("custom", "apiVersion: settings.k8s.io/v1alpha1\nkind: PodPreset\nmetadata: {name: shadow, namespace: default}\n"))

	facts, unseen, whole := p.lookAs(filepath.Join(p.KubernetesDir, "admin.conf"))
	if !whole {
		p.Errorf("not everything was listed: %+v", unseen)
	}
	p.told(facts, old)
	p.untold(unseen)
	if all, _ := json.Marshal(facts); bytes.Contains(all, []byte(secretWord)) || bytes.Contains(all, []byte(base64.StdEncoding.EncodeToString([]byte(secretWord)))) {
		p.Error("a secret is in the facts")
	}
	p.rights(facts)
}

// told wants everything that was put in, and nothing of what means nothing.
func (p *plane) told(facts []fact.Fact, old string) {
	objects := map[fact.ID]fact.Object{}
	var released []fact.Object
	configs := map[string]fact.ConfigDocument{}
	var requested []fact.Requested
	version := fact.Version{}
	for _, f := range facts {
		switch f := f.(type) {
		case fact.Object:
			if len(f.Uses) == 1 && f.Uses[0].By == fact.HelmRelease {
				released = append(released, f)
				continue
			}
			id := fact.ObjectID(f) + fact.ID("|"+f.APIVersion)
			if _, twice := objects[id]; twice {
				p.Errorf("%s came twice", id)
			}
			objects[id] = f
		case fact.ConfigDocument:
			configs[string(f.Component)] = f
		case fact.Requested:
			requested = append(requested, f)
		case fact.Version:
			version = f
		}
	}
	if string(version.Git) != "v"+p.Version {
		p.Errorf("%+v", version)
	}
	hpa := objects["cluster/HorizontalPodAutoscaler/default/web|autoscaling/v2"]
	for _, by := range []fact.UsedBy{fact.LastApplied, fact.ManagedFields} {
		i := slices.IndexFunc(hpa.Uses, func(u fact.Use) bool { return u.By == by && string(u.APIVersion) == old })
		if i < 0 {
			p.Errorf("no use in %s by %s: %+v", old, by, hpa)
		} else if by == fact.ManagedFields && (!strings.HasPrefix(string(hpa.Uses[i].Who), "kubectl") || time.Since(hpa.Uses[i].At) > time.Hour) {
			p.Errorf("%+v", hpa.Uses[i])
		}
	}
	for _, quiet := range []fact.ID{"cluster/Secret/default/password|v1", "cluster/ConfigMap/default/settings|v1", "cluster/PodPreset/default/shadow|settings.k8s.io/v1alpha1", "cluster/ClusterRole/-/cluster-admin|rbac.authorization.k8s.io/v1"} {
		if o, ok := objects[quiet]; ok {
			p.Errorf("nothing is to be told of %+v", o)
		}
	}
	p.contents(objects)
	p.hooks(objects)
	if len(released) != 4 { // two documents of a release, kept in a Secret and in a ConfigMap
		p.Errorf("released: %+v", released)
	}
	for _, o := range released {
		if o.Type == "Ingress" && (o.APIVersion != "extensions/v1beta1" || o.Namespace != "default" || o.Uses[0].Who != "shop -n default revision 3") || o.Type == "Service" && o.Namespace != "other" {
			p.Errorf("%+v", o)
		}
	}
	if c := configs["kubeadm"]; !strings.HasPrefix(string(c.APIVersion), "kubeadm.k8s.io/") || c.Type != "ClusterConfiguration" || c.Path != "ConfigMap kube-system/kubeadm-config" {
		p.Errorf("%+v of %v", c, configs)
	}
	if strings.HasPrefix(p.Version, "1.25") && !slices.ContainsFunc(requested, func(r fact.Requested) bool {
		return r.Group == "autoscaling" && r.Version == "v2beta2" && r.Resource == "horizontalpodautoscalers" && r.RemovedIn == "1.26"
	}) {
		p.Errorf("requested: %+v", requested)
	}
}

func (p *plane) contents(objects map[fact.ID]fact.Object) {
	for id, words := range map[fact.ID]string{
		"cluster/Deployment/default/web|apps/v1":                                                  `"name":"PASSWORD"`,
		"cluster/ClusterRole/-/log-reader|rbac.authorization.k8s.io/v1":                           `"/logs/*"`,
		"cluster/Namespace/-/kube-system|v1":                                                      `"name":"kube-system"`,
		"cluster/Node/-/cp1|v1":                                                                   `"kubeletVersion"`,
		"cluster/CustomResourceDefinition/-/deployments.apps.example.com|apiextensions.k8s.io/v1": `"storedVersions":["v1beta1","v1"]`,
		"cluster/ValidatingWebhookConfiguration/-/hooks|admissionregistration.k8s.io/v1":          `"matchPolicy"`,
	} {
		o := objects[id]
		if !bytes.Contains(o.Content, []byte(words)) || !json.Valid(o.Content) || bytes.Contains(o.Content, []byte("managedFields")) || bytes.Contains(o.Content, []byte("openAPIV3Schema")) {
			p.Errorf("%s: %s, want %s", id, o.Content, words)
		}
	}
	crd := objects["cluster/CustomResourceDefinition/-/deployments.apps.example.com|apiextensions.k8s.io/v1"]
	stored := slices.DeleteFunc(slices.Clone(crd.Uses), func(u fact.Use) bool { return u.By != fact.StoredVersion })
	if len(stored) != 1 || stored[0].APIVersion != "apps.example.com/v1beta1" {
		p.Errorf("stored in what is not served: %+v", crd.Uses)
	}
}

func (p *plane) hooks(objects map[fact.ID]fact.Object) {
	uses := objects["cluster/ValidatingWebhookConfiguration/-/hooks|admissionregistration.k8s.io/v1"].Uses
	uses = slices.DeleteFunc(slices.Clone(uses), func(u fact.Use) bool { return u.By != fact.WebhookRule })
	if len(uses) != 1 || uses[0].APIVersion != "policy/v1beta1" || uses[0].Who != "old.example.com" {
		p.Errorf("%+v", uses)
	}
}

// untold wants one Unseen for the broken release and one for the kubelet, which
// the lab does not have.
func (p *plane) untold(unseen []fact.Unseen) {
	for _, u := range unseen {
		switch {
		case u.Source != source.ClusterName || u.Detail == "":
			p.Errorf("%+v", u)
		case u.What == "the Helm release in Secret default/sh.helm.release.v1.broken.v1" && u.Why == fact.Malformed:
		case u.What == "the configuration of the kubelet of cp1":
		default:
			p.Errorf("%+v", u)
		}
	}
	if len(unseen) != 2 {
		p.Errorf("%d unseen", len(unseen))
	}
}

// rights looks with the rights that the documentation names, and sees the same
// but for what kubelets run with; and with nearly none, where every kind that is
// not seen is named.
func (p *plane) rights(asAdmin []fact.Fact) {
	role, err := filepath.Abs("../../docs/rights/cluster-reader.yaml")
	if err != nil {
		p.Fatal(err)
	}
	p.kubectl("apply", "-f", role)
	for _, account := range []string{"reader", "nobody"} {
		p.kubectl("create", "serviceaccount", account)
	}
	p.kubectl("create", "clusterrolebinding", "reader", "--clusterrole=perennial-reader", "--serviceaccount=default:reader")
	facts, unseen, whole := p.lookAs(p.token("reader"))
	// The service accounts, the role and its binding are new.
	if !whole || len(facts) < len(asAdmin) {
		p.Errorf("a reader sees %d facts, an administrator %d", len(facts), len(asAdmin))
	}
	for _, u := range unseen {
		if !strings.Contains(string(u.What), "sh.helm.release.v1.broken.v1") && (u.Why != fact.Denied || !strings.Contains(string(u.Detail), "get nodes/proxy")) {
			p.Errorf("a reader: %+v", u)
		}
	}
	facts, unseen, whole = p.lookAs(p.token("nobody"))
	denied := 0
	for _, u := range unseen {
		if u.Why == fact.Denied && u.Hint != "" {
			denied++
		}
	}
	hint := fact.Text("it needs the right to list deployments.apps")
	if whole || len(facts) != 1 || denied < 40 || denied != len(unseen) || !slices.ContainsFunc(unseen, func(u fact.Unseen) bool { return u.Hint == hint }) {
		p.Errorf("nobody: %d facts, %d of %d denied: %+v", len(facts), denied, len(unseen), unseen)
	}
}
