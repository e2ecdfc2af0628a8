// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/workload"
)

// Three policies: one that allows everything, one that mutates, one in between;
// and for each a namespace whose service accounts may use it.
const threePolicies = everythingPolicy + `---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata:
  name: tight
  annotations:
    seccomp.security.alpha.kubernetes.io/allowedProfileNames: runtime/default
    seccomp.security.alpha.kubernetes.io/defaultProfileName: runtime/default
spec:
  allowPrivilegeEscalation: false
  requiredDropCapabilities: [ALL]
  volumes: [configMap, emptyDir, projected, secret, downwardAPI]
  runAsUser: {rule: MustRunAsNonRoot}
  seLinux: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
  fsGroup: {rule: MustRunAs, ranges: [{min: 1000, max: 2000}]}
---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: middle}
spec:
  allowPrivilegeEscalation: true
  defaultAddCapabilities: [NET_BIND_SERVICE]
  allowedCapabilities: [NET_ADMIN]
  volumes: [configMap, emptyDir, projected, secret, hostPath]
  runAsUser: {rule: RunAsAny}
  seLinux: {rule: RunAsAny}
  supplementalGroups: {rule: RunAsAny}
  fsGroup: {rule: RunAsAny}
`

// policyOf is which policy the service accounts of a namespace may use.
var policyOf = map[string]string{"host": "everything", "shop": "tight", "mid": "middle"}

// policyRights let a namespace's service accounts use a policy, and make pods.
func policyRights() string {
	var b strings.Builder
	for _, ns := range slices.Sorted(maps.Keys(policyOf)) {
		fmt.Fprintf(&b, `---
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s, labels: {team: %[1]s}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: psp-%[2]s}
rules: [{apiGroups: [policy], resources: [podsecuritypolicies], resourceNames: [%[2]s], verbs: [use]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: psp, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: psp-%[2]s}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:serviceaccounts:%[1]s"}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: edit, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:serviceaccounts:%[1]s"}]
`, ns, policyOf[ns])
	}
	return b.String()
}

const policyWorkloads = `apiVersion: apps/v1
kind: Deployment
metadata: {name: agent, namespace: host}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {hostNetwork: true, containers: [{name: agent, image: agent, securityContext: {privileged: true}}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}, {name: side, image: side}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: shop}
spec:
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: db, securityContext: {allowPrivilegeEscalation: false}}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: proxy, namespace: mid}
spec:
  selector: {matchLabels: {app: proxy}}
  template:
    metadata: {labels: {app: proxy}}
    spec: {containers: [{name: proxy, image: proxy, securityContext: {runAsUser: 0}}]}
`

// attempts are pods that the service accounts of a namespace try to make, and
// whether they may.
var attempts = []struct {
	namespace, name, spec string
	admitted              bool
}{
	{"host", "privileged", "hostPID: true, containers: [{name: c, image: x, securityContext: {privileged: true}}]", true},
	{"host", "hostpath", "volumes: [{name: v, hostPath: {path: /}}], containers: [{name: c, image: x}]", true},
	{"mid", "plain", "containers: [{name: c, image: x}]", true},
	{"mid", "root", "containers: [{name: c, image: x, securityContext: {runAsUser: 0}}]", true},
	{"mid", "privileged", "containers: [{name: c, image: x, securityContext: {privileged: true}}]", false},
	{"mid", "hostnetwork", "hostNetwork: true, containers: [{name: c, image: x}]", false},
	{"shop", "tight", "securityContext: {runAsUser: 1000, runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, containers: [{name: c, image: x, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]", true},
	{"shop", "privileged", "containers: [{name: c, image: x, securityContext: {privileged: true}}]", false},
	{"shop", "root", "securityContext: {runAsUser: 0}, containers: [{name: c, image: x}]", false},
	{"shop", "hostpath", "volumes: [{name: v, hostPath: {path: /}}], containers: [{name: c, image: x}]", false},
}

// attempt makes the pods, as the namespace's service account, without storing
// them.
func (p *plane) attempt() {
	p.Helper()
	for _, a := range attempts {
		file := filepath.Join(p.TempDir(), "pod.yaml")
		manifest := fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata: {name: %s, namespace: %s}\nspec: {%s}\n", a.name, a.namespace, a.spec)
		if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
			p.Fatal(err)
		}
		out, admitted := p.Kubectl("create", "--dry-run=server", "-f", file, "--as", "system:serviceaccount:"+a.namespace+":default",
			"--as-group", "system:serviceaccounts", "--as-group", "system:serviceaccounts:"+a.namespace, "--as-group", "system:authenticated")
		if admitted != a.admitted {
			p.Errorf("%s: %s in %s: admitted %v, should be %v\n%s", p.Version, a.name, a.namespace, admitted, a.admitted, out)
		}
		if !admitted && !strings.Contains(strings.ToLower(out), "podsecurity") {
			p.Errorf("%s: %s in %s is refused by something else: %s", p.Version, a.name, a.namespace, out)
		}
	}
}

// running waits until every workload has its pods.
func (p *plane) running() {
	p.Helper()
	for _, w := range []struct{ namespace, selector string }{{"host", "app=agent"}, {"shop", "app=web"}, {"shop", "app=db"}, {"mid", "app=proxy"}} {
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Second) {
			out, ok := p.Kubectl("get", "pods", "-n", w.namespace, "-l", w.selector, "-o", "name")
			if ok && strings.HasPrefix(out, "pod/") {
				break
			}
			if time.Now().After(deadline) {
				events, _ := p.Kubectl("get", "events", "-n", w.namespace)
				p.Fatalf("%s in %s has no pod: %s\n%s", w.selector, w.namespace, out, events)
			}
		}
	}
}

// prepare runs perennial prepare on the control plane, as its administrator.
func (p *plane) prepare(state string, code int, args ...string) (out, errs string) {
	p.Helper()
	args = append(append([]string{"prepare"}, args...), "--kubeconfig", filepath.Join(p.KubernetesDir, "admin.conf"), "--state", state)
	out, errs, got := p.perennial(args...)
	if got != code {
		p.Fatalf("perennial %s: exit code %d, want %d\n%s%s", strings.Join(args, " "), got, code, out, errs)
	}
	return out, errs
}

// securityLabels are the labels of the namespaces, by namespace.
func (p *plane) securityLabels() map[string]map[string]string {
	p.Helper()
	out, ok := p.Kubectl("get", "namespaces", "-o", "json")
	var list struct {
		Items []struct {
			Metadata struct {
				Name   string            `json:"name"`
				Labels map[string]string `json:"labels"`
			} `json:"metadata"`
		} `json:"items"`
	}
	if err := json.Unmarshal([]byte(out), &list); !ok || err != nil {
		p.Fatalf("%v: %s", err, out)
	}
	all := map[string]map[string]string{}
	for _, item := range list.Items {
		all[item.Metadata.Name] = item.Metadata.Labels
	}
	return all
}

var undoCommand = regexp.MustCompile(`perennial undo (\S+) takes it back`)

// planned is the plan that a command has done.
func (p *plane) planned(errs string) string {
	p.Helper()
	found := undoCommand.FindStringSubmatch(errs)
	if found == nil {
		p.Fatalf("nothing says what to undo: %s", errs)
	}
	return found[1]
}

// undoes takes a plan back as it was done; undoesHere as the control plane's
// administrator.
func (p *plane) undoes(state, id string, code int) string {
	p.Helper()
	return p.undo(code, id, "--state", state)
}

func (p *plane) undoesHere(state, id string, code int) string {
	p.Helper()
	return p.undo(code, id, "--state", state, "--kubeconfig", filepath.Join(p.KubernetesDir, "admin.conf"))
}

func (p *plane) undo(code int, id string, args ...string) string {
	p.Helper()
	_, errs, got := p.perennial(append([]string{"undo", id, "--yes"}, args...)...)
	if got != code {
		p.Fatalf("perennial undo %s: exit code %d, want %d\n%s", id, got, code, errs)
	}
	return errs
}

// A cluster of 1.24 with three PodSecurityPolicies is brought to labels; a server
// of 1.25 with those labels and workloads admits and refuses what the policies
// did, and undo gives the labels back.
func TestFromPodSecurityPolicies(t *testing.T) {
	const from, to = "1.24.17", "1.25.0"
	if chosen := versions(t); !slices.Contains(chosen, from) || !slices.Contains(chosen, to) {
		t.Skipf("needs %s and %s in LAB_TEST_VERSIONS", from, to)
	}
	old := up(t, from)
	old.Apply(threePolicies)
	old.Apply(policyRights())
	old.set(map[string][]string{"kube-apiserver": {"--enable-admission-plugins=NodeRestriction,PodSecurityPolicy"}})
	old.Apply(policyWorkloads)
	for selector, ns := range map[string]string{"app=agent": "host", "app=web": "shop", "app=db": "shop", "app=proxy": "mid"} {
		old.admitted(ns, selector, policyOf[ns])
	}
	old.attempt()
	before := old.securityLabels()
	state, patches := t.TempDir(), filepath.Join(t.TempDir(), "patches")

	out, errs := old.prepare(state, 0, "podsecurity", "--to", "1.25", "--patches", patches, "--yes")
	first := old.planned(errs)
	for _, says := range []string{
		"PodSecurityPolicy/-/everything: it admitted host/agent-", "none of them needs: hostPID, hostIPC, hostPorts, capability *, volume *",
		"PodSecurityPolicy/-/tight: it admitted shop/", "PodSecurityPolicy/-/middle: it admitted mid/proxy-", "capability NET_ADMIN, volume hostPath",
		"Deployment/shop/web: the PodSecurityPolicy tight put this into its pods: ", "container web.runAsNonRoot true", "fsGroup 1000", "seccompProfile.type \"RuntimeDefault\"",
		"Deployment/mid/proxy: the PodSecurityPolicy middle put this into its pods: container proxy.capabilities.add [\"NET_BIND_SERVICE\"]",
		"it passes restricted once its templates say what PodSecurityPolicies put into their pods",
		"kube-system: it is Kubernetes' own",
	} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), says) {
			t.Errorf("the plan does not say %q:\n%s", says, out)
		}
	}
	old.enforces(map[string]string{"host": "privileged", "shop": "baseline", "mid": "baseline"}, "v1.25")

	// The templates say it themselves, and then the namespace passes restricted.
	for _, file := range []string{"shop.deployment.web.json", "shop.statefulset.db.json"} {
		kind, name := strings.Split(file, ".")[1], strings.Split(file, ".")[2]
		if out, ok := old.Kubectl("patch", kind, name, "-n", "shop", "--patch-file", filepath.Join(patches, file)); !ok {
			t.Fatal(out)
		}
	}
	_, errs = old.prepare(state, 0, "podsecurity", "shop", "--to", "1.25", "--yes")
	second := old.planned(errs)
	old.enforces(map[string]string{"host": "privileged", "shop": "restricted", "mid": "baseline"}, "v1.25")

	fresh := up(t, to)
	fresh.Apply(policyRights())
	old.carry(fresh)
	fresh.running()
	fresh.attempt()

	// Who changes a label meanwhile keeps it.
	if out, ok := old.Kubectl("label", "--overwrite", "namespace", "shop", workload.PodSecurityLabels[0]+"=baseline"); !ok {
		t.Fatal(out)
	}
	if says := old.undoes(state, second, 1); !strings.Contains(says, "changed since") {
		t.Errorf("undo over another's change: %s", says)
	}
	old.enforces(map[string]string{"shop": "baseline"}, "v1.25")
	if out, ok := old.Kubectl("label", "--overwrite", "namespace", "shop", workload.PodSecurityLabels[0]+"=restricted"); !ok {
		t.Fatal(out)
	}
	old.undoes(state, second, 0)
	old.undoes(state, first, 0)
	if after := old.securityLabels(); !maps.EqualFunc(after, before, maps.Equal) {
		t.Errorf("undone, the labels are %v; they were %v", after, before)
	}
}

// enforces holds the labels of namespaces against levels.
func (p *plane) enforces(levels map[string]string, version string) {
	p.Helper()
	labels, names := p.securityLabels(), workload.PodSecurityLabels
	for ns, level := range levels {
		if got := labels[ns]; got[names[0]] != level || got[names[1]] != version || got["team"] != ns {
			p.Errorf("%s: %v, want to enforce %s of %s", ns, got, level, version)
		}
		for _, name := range names[2:] {
			if labels[ns][name] == "" {
				p.Errorf("%s: nothing is set for %s", ns, name)
			}
		}
	}
}

// carry makes the labels and workloads of one cluster in another.
func (p *plane) carry(to *plane) {
	p.Helper()
	for ns, labels := range p.securityLabels() {
		if policyOf[ns] == "" {
			continue
		}
		args := []string{"label", "--overwrite", "namespace", ns}
		for _, name := range workload.PodSecurityLabels {
			args = append(args, name+"="+labels[name])
		}
		if out, ok := to.Kubectl(args...); !ok {
			p.Fatal(out)
		}
		out, ok := p.Kubectl("get", "deployments,statefulsets", "-n", ns, "-o", "json")
		var list struct {
			Items []map[string]any `json:"items"`
		}
		if err := json.Unmarshal([]byte(out), &list); !ok || err != nil {
			p.Fatalf("%v: %s", err, out)
		}
		for _, item := range list.Items {
			delete(item, "status")
			meta := item["metadata"].(map[string]any)
			item["metadata"] = map[string]any{"name": meta["name"], "namespace": meta["namespace"]}
			body, err := json.Marshal(item)
			if err != nil {
				p.Fatal(err)
			}
			to.Apply(string(body))
		}
	}
}
