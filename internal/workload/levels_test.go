// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/rules"
)

const underPolicies = `apiVersion: v1
kind: Namespace
metadata: {name: shop, uid: u1, labels: {team: a}}
---
apiVersion: v1
kind: Namespace
metadata: {name: host, uid: u2, labels: {pod-security.kubernetes.io/enforce: baseline}}
---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: tight}
spec: {volumes: [configMap, hostPath], allowedCapabilities: [NET_ADMIN], allowPrivilegeEscalation: false}
---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: loose}
spec: {privileged: true, hostNetwork: true, hostPID: true, volumes: ['*'], allowedCapabilities: ['*']}
---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: nobody}
spec: {}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec: {template: {spec: {containers: [{name: c, image: x, securityContext: {capabilities: {add: [NET_BIND_SERVICE]}}}]}}}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web-1, namespace: shop, ownerReferences: [{apiVersion: apps/v1, kind: Deployment, name: web, uid: u, controller: true}]}
spec: {template: {spec: {containers: [{name: c, image: x, securityContext: {capabilities: {add: [NET_BIND_SERVICE]}}}]}}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: host}
spec: {template: {spec: {hostNetwork: true, containers: [{name: c, image: x, securityContext: {privileged: true}}]}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: web-1-1
  namespace: shop
  annotations: {kubernetes.io/psp: tight}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-1, uid: u, controller: true}]
spec:
  securityContext: {fsGroup: 1, seccompProfile: {type: RuntimeDefault}}
  containers:
  - {name: c, image: x, securityContext: {allowPrivilegeEscalation: false, runAsNonRoot: true, runAsUser: 1000, capabilities: {add: [NET_BIND_SERVICE], drop: [ALL]}}}
  - {name: injected, image: z, securityContext: {allowPrivilegeEscalation: false, runAsNonRoot: true, capabilities: {drop: [ALL]}}}
---
apiVersion: v1
kind: Pod
metadata:
  name: agent-1
  namespace: host
  annotations: {kubernetes.io/psp: loose}
  ownerReferences: [{apiVersion: apps/v1, kind: DaemonSet, name: agent, uid: u, controller: true}]
spec: {hostNetwork: true, containers: [{name: c, image: x, securityContext: {privileged: true}}]}
`

// A level is what templates pass, not what a PodSecurityPolicy made of their
// pods; what it put into them is told with the patch that says it, and what it
// need not allow is named.
func TestLevelsUnderPolicies(t *testing.T) {
	l := NewLevels(known(t), rules.Way{From: 24, To: 25})
	for _, o := range objects(t, "", underPolicies) {
		if err := l.See(object(o)); err != nil {
			t.Fatal(err)
		}
	}
	spaces := l.Spaces()
	if len(spaces) != 2 || spaces[0].Name != "host" || spaces[1].Name != "shop" {
		t.Fatalf("%+v", spaces)
	}
	host, shop := spaces[0], spaces[1]
	if host.Level != "privileged" || host.Patched != "privileged" || host.UID != "u2" || host.Labels["pod-security.kubernetes.io/enforce"] != "baseline" || !strings.Contains(host.Stands, "DaemonSet/agent") || host.Workloads != 1 {
		t.Errorf("host: %+v", host)
	}
	if shop.Level != "baseline" || shop.Patched != "restricted" || len(shop.Labels) != 0 || !strings.Contains(shop.Stands, "allowPrivilegeEscalation") {
		t.Errorf("shop: %+v", shop)
	}
	changed := l.Mutations()
	if len(changed) != 1 || changed[0].Kind != "Deployment" || changed[0].Name != "web" || changed[0].Policy != "tight" {
		t.Fatalf("%+v", changed)
	}
	const patch = `{"spec":{"template":{"spec":{"containers":[{"name":"c","securityContext":{"allowPrivilegeEscalation":false,"capabilities":{"drop":["ALL"]},"runAsNonRoot":true,"runAsUser":1000}}],"securityContext":{"fsGroup":1,"seccompProfile":{"type":"RuntimeDefault"}}}}}}`
	if string(changed[0].Patch) != patch || !json.Valid(changed[0].Patch) || !slices.Contains(changed[0].Sets, "container c.runAsUser 1000") {
		t.Errorf("%s\n%q", changed[0].Patch, changed[0].Sets)
	}
	admitted := map[string]string{}
	for _, a := range l.Admissions() {
		admitted[a.Policy] = a.Some + ": " + strings.Join(a.Excess, ", ")
	}
	for policy, want := range map[string]string{
		"tight":  "shop/web-1-1: capability NET_ADMIN, volume hostPath",
		"loose":  "host/agent-1: hostPID, capability *, volume *",
		"nobody": ": allowPrivilegeEscalation",
	} {
		if admitted[policy] != want {
			t.Errorf("%s: %q, want %q", policy, admitted[policy], want)
		}
	}
}

// The reckoning of runs is read in the zone that counts, and what cannot be read
// is said.
func TestRuns(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	utc := "Etc/UTC"
	after := time.Date(2027, 3, 27, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		cron Cron
		want string
	}{
		{Cron{Schedule: "30 2 * * *"}, "2027-03-29T00:30:00Z"}, // 02:30 of the 28th is skipped
		{Cron{Schedule: "30 2 * * *", TimeZone: &utc}, "2027-03-28T02:30:00Z"},
		{Cron{Schedule: "TZ=America/New_York 30 2 * * *"}, "2027-03-28T06:30:00Z"},
		{Cron{Schedule: "CRON_TZ=Etc/UTC 30 2 * * *", TimeZone: &[]string{"Asia/Tokyo"}[0]}, "2027-03-28T02:30:00Z"},
		{Cron{Schedule: "@daily"}, "2027-03-27T23:00:00Z"},
		{Cron{Schedule: "TZ=0"}, "error"},
		{Cron{Schedule: "TZ=No/Where 0 3 * * *"}, "error"},
		{Cron{Schedule: "99 3 * * *"}, "error"},
		{Cron{Schedule: "0 0 30 2 *"}, "error"},
		{Cron{Schedule: ""}, "error"},
	} {
		runs, err := c.cron.Runs(after, 1, berlin)
		got := "error"
		if err == nil {
			got = runs[0].UTC().Format(time.RFC3339)
		}
		if got != c.want {
			t.Errorf("%+v: %s (%v), want %s", c.cron, got, err, c.want)
		}
	}
	for _, name := range []string{"", "Local", "local", " Europe/Berlin", "CEST5", "../etc/passwd"} {
		if _, err := LoadZone(name); err == nil {
			t.Errorf("%q is a zone", name)
		}
	}
	plain := Cron{Schedule: "0 3 * * *"}
	zoned := Cron{Schedule: "0 3 * * *", TimeZone: &[]string{"Europe/Berlin"}[0]}
	if here, there, differ := Differ(plain, zoned, after, berlin); differ {
		t.Errorf("they differ: %s and %s", here, there)
	}
	if _, _, differ := Differ(plain, zoned, after, time.UTC); !differ {
		t.Error("UTC and Berlin do not differ")
	}
}

// A controller manager's zone is known only where its pod says it.
func TestControllerZone(t *testing.T) {
	pod := func(container string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: kcm, namespace: kube-system}\nspec: {containers: [{name: kube-controller-manager, " + container + "}]}\n"
	}
	for text, want := range map[string]string{
		"image: x": "Etc/UTC",
		"image: x, env: [{name: TZ, value: Europe/Berlin}]":                                                    "Europe/Berlin",
		"image: x, env: [{name: TZ, value: ':Europe/Berlin'}]":                                                 "Europe/Berlin",
		"image: x, env: [{name: TZ, value: CET-1CEST}]":                                                        "",
		"image: x, env: [{name: TZ, valueFrom: {configMapKeyRef: {name: a, key: b}}}]":                         "",
		"image: x, volumeMounts: [{name: t, mountPath: /etc/localtime}]":                                       "",
		"image: x, volumeMounts: [{name: t, mountPath: /etc/ssl/certs}]":                                       "Etc/UTC",
		"image: x, volumeMounts: [{name: t, mountPath: /etc/localtime}], env: [{name: TZ, value: Asia/Tokyo}]": "Asia/Tokyo",
	} {
		whole := object(objects(t, "", pod(text))[0])
		zone, why, ok := ControllerZone(whole)
		if ok != (want != "") || ok && zone != want || why == "" && ok {
			t.Errorf("%s: %q, %q, %v; want %q", text, zone, why, ok, want)
		}
	}
}

// The patch is for what has the template in the end, in the form of its kind; one
// that cannot be changed is told.
func TestPatchesByKind(t *testing.T) {
	const container = "containers: [{name: c, image: x}]"
	pod := func(name, kind, of string) string {
		return "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: " + name + "\n  namespace: shop\n  annotations: {kubernetes.io/psp: tight}\n" +
			"  ownerReferences: [{apiVersion: v1, kind: " + kind + ", name: " + of + ", uid: u, controller: true}]\n" +
			"spec: {initContainers: [{name: i, image: x, securityContext: {runAsNonRoot: true}}], containers: [{name: c, image: x, securityContext: {runAsNonRoot: true}}]}\n"
	}
	template := "{template: {spec: {initContainers: [{name: i, image: x}], " + container + "}}}"
	made := `apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: shop}
spec: {schedule: "0 0 * * *", jobTemplate: {spec: ` + template + `}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: nightly-1, namespace: shop, ownerReferences: [{apiVersion: batch/v1, kind: CronJob, name: nightly, uid: u, controller: true}]}
spec: ` + template + `
---
apiVersion: batch/v1
kind: Job
metadata: {name: once, namespace: shop}
spec: ` + template + `
---
apiVersion: v1
kind: ReplicationController
metadata: {name: old, namespace: shop}
spec: ` + template + `
` + pod("a", "Job", "nightly-1") + pod("b", "Job", "once") + pod("c", "ReplicationController", "old") + pod("d", "Custom", "of-somebody")
	l := NewLevels(known(t), rules.Way{From: 24, To: 25})
	for _, o := range objects(t, "", made) {
		if err := l.See(o.(fact.Object)); err != nil {
			t.Fatal(err)
		}
	}
	spec := `{"template":{"spec":{"containers":[{"name":"c","securityContext":{"runAsNonRoot":true}}],"initContainers":[{"name":"i","securityContext":{"runAsNonRoot":true}}]}}}`
	want := map[string]string{"CronJob/nightly": `{"spec":{"jobTemplate":{"spec":` + spec + `}}}`, "Job/once": `{"spec":` + spec + `}`, "ReplicationController/old": `{"spec":` + spec + `}`}
	for _, m := range l.Mutations() {
		name := m.Kind + "/" + m.Name
		if string(m.Patch) != want[name] || m.Frozen != (m.Kind == "Job") || m.Policy != "tight" {
			t.Errorf("%s: frozen %v, by %s: %s\nwant %s", name, m.Frozen, m.Policy, m.Patch, want[name])
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("nothing is said of %v", want)
	}
}
