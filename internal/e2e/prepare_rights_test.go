// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/testlab"
	"perennial.dev/perennial/internal/workload"
)

// forRights is what there is to prepare, and a controller manager that is seen as
// a pod.
const forRights = twoNamespaces + `---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: default}
spec: {schedule: 30 2 * * *, jobTemplate: {spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}}
---
apiVersion: v1
kind: Pod
metadata: {name: kube-controller-manager-cp1, namespace: kube-system, labels: {component: kube-controller-manager}}
spec: {containers: [{name: kube-controller-manager, image: x, env: [{name: TZ, value: Europe/Berlin}]}]}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: data}
spec: {capacity: {storage: 1Gi}, accessModes: [ReadWriteOnce], awsElasticBlockStore: {volumeID: vol-0123456789abcdef0, fsType: ext4}}
`

// grants is a rule of a role.
type grants struct {
	Groups    []string `json:"apiGroups"`
	Resources []string `json:"resources"`
	Names     []string `json:"resourceNames,omitempty"`
	Verbs     []string `json:"verbs"`
}

// worker is a service account with roles of docs/rights and no others.
type worker struct {
	*plane
	name  string
	roles []string // as kubectl names them
	conf  string   // its kubeconfig
	token string
	http  *http.Client
	try   func() (out, errs string, code int)
	seen  func() string // what it may have changed
}

// TestPrepareRights does each preparation with the rights that are written down for
// it, and then with one less at a time: it says which one is missing, and changes
// nothing.
func TestPrepareRights(t *testing.T) {
	for _, version := range versions(t) {
		minor, err := release.ParseMinor(version)
		if err != nil || !workload.TimeZoneServed(minor) {
			continue
		}
		t.Run(version, func(t *testing.T) {
			p := up(t, version)
			p.accounts("kube-system")
			p.Apply(forRights)
			p.rights("prepare")
			labels := func() string { return fmt.Sprint(p.securityLabels()) }
			zone := func() string {
				out, _ := p.Kubectl("get", "cronjob", "nightly", "-o", "jsonpath={.spec.timeZone}")
				return out
			}
			for _, c := range []struct {
				command string
				roles   []string
				seen    func() string
				done    func()
			}{
				{"podsecurity", []string{"clusterrole/perennial-prepare-podsecurity"}, labels, func() { p.labelled("one", "two") }},
				{"cronjobs", []string{"clusterrole/perennial-prepare-cronjobs", "role/perennial-prepare-cronjobs"}, zone, func() {
					if got := zone(); got != "Europe/Berlin" {
						p.Errorf("the zone is %q", got)
					}
				}},
			} {
				p.Part(c.command, func(part *testlab.Plane) {
					w := &worker{plane: &plane{part}, name: c.command, roles: c.roles, seen: c.seen}
					w.changes(c.command, c.done)
				})
			}
			p.Part("volumes", func(part *testlab.Plane) {
				w := &worker{plane: &plane{part}, name: "volumes", roles: []string{"clusterrole/perennial-prepare-volumes"}, seen: func() string { return "" }}
				w.enter()
				w.try = func() (string, string, int) {
					return w.perennial("prepare", "volumes", filepath.Join(w.TempDir(), "vols"), "--kubeconfig", w.conf)
				}
				w.exactly()
			})
		})
	}
}

// changes does a preparation, takes it back, and then does without each right.
func (w *worker) changes(command string, done func()) {
	w.Helper()
	state, before := w.TempDir(), w.seen()
	w.enter()
	w.try = func() (string, string, int) {
		return w.perennial("prepare", command, "--kubeconfig", w.conf, "--state", state, "--yes")
	}
	out, errs, code := w.try()
	if done(); code != 0 || w.seen() == before {
		w.Fatalf("with all its rights: exit code %d\n%s%s", code, out, errs)
	}
	// The kubeconfig with which it was done may be gone by then.
	mine := filepath.Join(w.TempDir(), "mine.conf")
	if err := os.Rename(w.conf, mine); err != nil {
		w.Fatal(err)
	}
	w.conf = mine
	if says := w.undoes(state, w.planned(errs), 1); !strings.Contains(says, "hint: --kubeconfig and --context say how it is reached now") {
		w.Errorf("undo without the kubeconfig of then: %s", says)
	}
	if w.undo(0, w.planned(errs), "--state", state, "--kubeconfig", mine); w.seen() != before {
		w.Errorf("undone, there is %s; there was %s", w.seen(), before)
	}
	w.exactly()
}

// exactly takes each right of the roles away, and gives it back.
func (w *worker) exactly() {
	w.Helper()
	for _, role := range w.roles {
		w.without(role)
	}
	if out, errs, code := w.try(); code != 0 {
		w.Errorf("with all its rights: exit code %d\n%s%s", code, out, errs)
	}
}

// accounts waits until a namespace has the service account that its pods take.
func (p *plane) accounts(namespace string) {
	p.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		out, ok := p.Kubectl("get", "serviceaccount", "default", "-n", namespace)
		if ok {
			return
		}
		if time.Now().After(deadline) {
			p.Fatal(out)
		}
	}
}

// rights applies the roles of a file of docs/rights.
func (p *plane) rights(name string) {
	p.Helper()
	file, err := filepath.Abs(filepath.Join("../../docs/rights", name+".yaml"))
	if err != nil {
		p.Fatal(err)
	}
	if out, ok := p.Kubectl("apply", "-f", file); !ok {
		p.Fatal(out)
	}
}

// enter makes the service account with its roles, and a kubeconfig of it.
func (w *worker) enter() {
	w.Helper()
	if out, ok := w.Kubectl("create", "serviceaccount", w.name); !ok {
		w.Fatal(out)
	}
	for i, role := range w.roles {
		kind, of, _ := strings.Cut(role, "/")
		args := []string{"create", kind + "binding", fmt.Sprintf("%s-%d", w.name, i), "--" + kind + "=" + of, "--serviceaccount=default:" + w.name}
		if kind == "role" {
			args = append(args, "-n", "kube-system")
		}
		if out, ok := w.Kubectl(args...); !ok {
			w.Fatal(out)
		}
	}
	token, ok := w.Kubectl("create", "token", w.name)
	if !ok {
		w.Fatal(token)
	}
	w.token = strings.TrimSpace(token)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(w.Read("pki/ca.crt"))
	w.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: kube.ServerName}}, Timeout: 10 * time.Second}
	w.conf = filepath.Join(w.TempDir(), w.name+".conf")
	text := fmt.Sprintf(`{"kind": "Config", "apiVersion": "v1", "current-context": "c",
		"contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
		"clusters": [{"name": "k", "cluster": {"server": "https://%s", "certificate-authority": %q}}],
		"users": [{"name": "u", "user": {"token": %q}}]}`, w.Endpoint, filepath.Join(w.KubernetesDir, "pki", "ca.crt"), w.token)
	if err := os.WriteFile(w.conf, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

// spared are the resources that a role has for a hint only.
var spared = []string{"nodes"}

func (w *worker) without(role string) {
	w.Helper()
	minor, err := release.ParseMinor(w.Version)
	if err != nil {
		w.Fatal(err)
	}
	out, ok := w.Kubectl("get", role, "-n", "kube-system", "-o", "json")
	var has struct {
		Rules []grants `json:"rules"`
	}
	if err := json.Unmarshal([]byte(out), &has); !ok || err != nil || len(has.Rules) == 0 {
		w.Fatalf("%v: %s", err, out)
	}
	before := w.seen()
	for i, r := range has.Rules {
		if slices.Equal(r.Resources, spared) || slices.Contains(r.Resources, "podsecuritypolicies") && !workload.PoliciesServed(minor) {
			continue
		}
		for _, verb := range r.Verbs {
			less := slices.Clone(has.Rules)
			less[i].Verbs = append(slices.DeleteFunc(slices.Clone(r.Verbs), func(v string) bool { return v == verb }), "none") // it has to have one
			w.grant(role, less)
			w.await(less, r, verb)
			out, errs, code := w.try()
			says := slices.ContainsFunc(r.Resources, func(resource string) bool {
				return strings.Contains(errs, fmt.Sprintf("cannot %s resource %q", verb, resource))
			})
			if code != 1 && code != 13 || !says || !strings.Contains(errs, "does not have the right") {
				w.Errorf("without %s %v: exit code %d\n%s%s", verb, r.Resources, code, out, errs)
			}
			if got := w.seen(); got != before {
				w.Errorf("without %s %v it has changed %s to %s", verb, r.Resources, before, got)
			}
		}
	}
	w.grant(role, has.Rules)
	w.await(has.Rules, grants{}, "")
}

// grant sets the rules of a role.
func (w *worker) grant(role string, rules []grants) {
	w.Helper()
	kind, name, _ := strings.Cut(role, "/")
	client, err := kube.OpenContext(kube.Context{Kubeconfig: filepath.Join(w.KubernetesDir, "admin.conf")}, "test")
	if err != nil {
		w.Fatal(err)
	}
	defer client.Close()
	at := kube.Named{Resource: kube.Resource{Group: "rbac.authorization.k8s.io", Version: "v1", Name: kind + "s"}, ObjectName: name}
	if kind == "role" {
		at.Namespace = "kube-system"
	}
	text, err := json.Marshal(map[string]any{"rules": rules})
	if err == nil {
		_, err = client.Patch(w.Context(), at, text, false)
	}
	if err != nil {
		w.Fatal(err)
	}
}

// await waits until the API server goes by the rules of a role: what they grant it
// allows, and the one verb that a rule has lost it does not.
func (w *worker) await(rules []grants, lost grants, verb string) {
	w.Helper()
	agreed := func() bool {
		for _, r := range rules {
			for _, v := range r.Verbs {
				if v != "none" && !w.may(r, v) {
					return false
				}
			}
		}
		return verb == "" || !w.may(lost, verb)
	}
	for deadline := time.Now().Add(time.Minute); !agreed(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("the API server does not go by %+v", rules)
		}
	}
}

// may asks the API server for a right, as the service account.
func (w *worker) may(r grants, verb string) bool {
	w.Helper()
	resource, sub, _ := strings.Cut(r.Resources[0], "/")
	access := map[string]string{"verb": verb, "group": r.Groups[0], "resource": resource, "subresource": sub, "namespace": "kube-system"}
	if len(r.Names) > 0 {
		access["name"] = r.Names[0]
	}
	body, err := json.Marshal(map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": map[string]any{"resourceAttributes": access}})
	if err != nil {
		w.Fatal(err)
	}
	asks, err := http.NewRequestWithContext(w.Context(), http.MethodPost, "https://"+w.Endpoint+"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", bytes.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	asks.Header = http.Header{"Authorization": {"Bearer " + w.token}, "Content-Type": {"application/json"}}
	answer, err := w.http.Do(asks)
	if err != nil {
		w.Fatal(err)
	}
	defer answer.Body.Close()
	var says struct {
		Status *struct {
			Allowed bool `json:"allowed"`
		} `json:"status"`
	}
	if err := json.NewDecoder(answer.Body).Decode(&says); err != nil || says.Status == nil || answer.StatusCode != http.StatusCreated {
		w.Fatalf("asking for %v: %s, %v", access, answer.Status, err)
	}
	return says.Status.Allowed
}
