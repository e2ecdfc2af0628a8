// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"strings"
	"testing"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/rules"
)

// wholeCluster has something of every kind.
const wholeCluster = `
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {pod-security.kubernetes.io/enforce: baseline}}
---
apiVersion: v1
kind: Namespace
metadata: {name: bare}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    spec:
      containers:
      - name: c
        image: x
        livenessProbe: {httpGet: {host: 10.0.0.1, path: /, port: 80}}
---
apiVersion: v1
kind: Pod
metadata:
  name: web-1
  namespace: shop
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web, uid: u, controller: true}]
spec:
  containers:
  - {name: c, image: x, livenessProbe: {httpGet: {host: 10.0.0.1, path: /, port: 80}}}
  - {name: sidecar, image: x, lifecycle: {preStop: {tcpSocket: {host: 10.0.0.1, port: 80}}}}
---
apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: restricted}
spec: {runAsUser: {rule: MustRunAs, ranges: [{min: 1000, max: 2000}]}, seLinux: {rule: RunAsAny}, fsGroup: {rule: MayRunAs}, requiredDropCapabilities: [ALL]}
---
apiVersion: v1
kind: Pod
metadata: {name: tool, namespace: bare, annotations: {kubernetes.io/psp: restricted}}
spec:
  hostUsers: false
  containers: [{name: c, image: x, ports: [{containerPort: 80}]}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: bare}
spec:
  schedule: 0 3 * * *
  jobTemplate:
    spec:
      template:
        metadata: {annotations: {seccomp.security.alpha.kubernetes.io/pod: runtime/default}}
        spec:
          restartPolicy: Never
          containers: [{name: c, image: x, command: [sh, -c, kubectl get --raw /logs/kube-apiserver.log]}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: weekly, namespace: bare}
spec:
  schedule: TZ=Europe/Berlin 0 3 * * 1
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}
---
apiVersion: v1
kind: Node
metadata: {name: w1}
status:
  nodeInfo: {kubeletVersion: v1.22.17, containerRuntimeVersion: containerd://1.5.9, kernelVersion: 5.4.0-100-generic}
  runtimeHandlers: [{name: "", features: {userNamespaces: false}}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: kube-proxy, namespace: kube-system}
spec:
  template:
    spec:
      hostNetwork: true
      containers:
      - name: kube-proxy
        image: registry.k8s.io/kube-proxy:v1.22.17
        command: [/usr/local/bin/kube-proxy, --config=/var/lib/kube-proxy/config.conf]
        livenessProbe: {exec: {command: [/bin/sh, -c, "curl -sf http://localhost:10256/healthz || exit 1"]}}
`

func TestWholeCluster(t *testing.T) {
	all := found(t, 24, 37, objects(t, "", wholeCluster)...)
	expect(t, all, `
cluster/CronJob/bare/nightly CronJobZone notice 1.25
cluster/CronJob/bare/nightly LogsEndpointOff breaks 1.31
cluster/CronJob/bare/nightly SeccompAnnotationIgnored changes 1.27
cluster/CronJob/bare/weekly CronJobZoneInSchedule breaks 1.29
cluster/DaemonSet/kube-system/kube-proxy KubeProxyShell breaks 1.25
cluster/DaemonSet/kube-system/kube-proxy KubeProxyTooOld blocks 1.25
cluster/Namespace/-/bare PodSecurityUnset notice 1.25
cluster/Namespace/-/shop PodSecurityDrift breaks 1.34
cluster/Node/-/w1 KubeletTooOld blocks 1.25
cluster/Pod/bare/tool UserNamespaceSlow notice 1.33
cluster/Pod/bare/tool UserNamespaceUnsupported breaks 1.33
cluster/PodSecurityPolicy/-/restricted PodSecurityPolicyEnds breaks 1.25
w1/kubelet-platform-runtime RuntimeTooOld blocks 1.26`)
	for _, f := range all {
		switch f.Code {
		case finding.PodSecurityDrift:
			has(t, f, "Deployment/web", "from 1.34 on", "hostProbesAndHostLifecycle",
				"kubectl label --overwrite namespace shop pod-security.kubernetes.io/enforce-version=v1.33")
		case finding.PodSecurityPolicyEnds:
			has(t, f, "requiredDropCapabilities, runAsUser", "admitted by it: bare/tool",
				"kubectl label --overwrite namespace bare pod-security.kubernetes.io/enforce=baseline pod-security.kubernetes.io/enforce-version=v1.37")
			if strings.Contains(f.Effect, "fsGroup") || f.RemovedIn != "1.25" {
				t.Errorf("%+v", f)
			}
		case finding.PodSecurityUnset:
			has(t, f, "all of its 3 workloads pass is baseline", "runAsNonRoot", "CronJob/nightly, CronJob/weekly, Pod/tool", "enforce=baseline")
		}
	}
}

// has checks that a finding says something somewhere.
func has(t testing.TB, f finding.Finding, wants ...string) {
	t.Helper()
	text := f.Effect + "\n" + f.Fix + "\n" + f.Reason
	for _, n := range f.Evidence.Notes {
		text += "\n" + n.String()
	}
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%s does not say %q:\n%s", told(f), want, text)
		}
	}
}

const driftingPod = `
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: ns}
spec: {containers: [{name: c, image: x, livenessProbe: {httpGet: {host: 10.0.0.1, path: /, port: 80}}}]}
`

func namespace(labels string) string {
	return "apiVersion: v1\nkind: Namespace\nmetadata: {name: ns, labels: {" + labels + "}}" + driftingPod
}

func TestDrift(t *testing.T) {
	for labels, want := range map[string]string{
		"pod-security.kubernetes.io/enforce: baseline":                                                      "cluster/Namespace/-/ns PodSecurityDrift breaks 1.34",
		"pod-security.kubernetes.io/enforce: baseline, pod-security.kubernetes.io/enforce-version: latest":  "cluster/Namespace/-/ns PodSecurityDrift breaks 1.34",
		"pod-security.kubernetes.io/enforce: baseline, pod-security.kubernetes.io/enforce-version: v1.35":   "cluster/Namespace/-/ns PodSecurityDrift breaks 1.34",
		"pod-security.kubernetes.io/enforce: baseline, pod-security.kubernetes.io/enforce-version: v1.33":   "",
		"pod-security.kubernetes.io/enforce: restricted":                                                    "", // it is refused now
		"pod-security.kubernetes.io/enforce: privileged":                                                    "",
		"pod-security.kubernetes.io/warn: baseline":                                                         "",
		"pod-security.kubernetes.io/enforce: baseline, pod-security.kubernetes.io/enforce-version: nothing": "cluster/Namespace/-/ns PodSecurityDrift breaks 1.34",
	} {
		expect(t, found(t, 32, 37, objects(t, "", namespace(labels))...), want)
	}
	expect(t, found(t, 34, 37, objects(t, "", namespace("pod-security.kubernetes.io/enforce: baseline"))...), "")
	in := found(t, 0, 37, objects(t, "shop.yaml", namespace("pod-security.kubernetes.io/enforce: baseline"))...)
	expect(t, in, "manifest/core/Namespace/-/ns PodSecurityDrift breaks 1.34")
	has(t, in[0], "add to its labels: pod-security.kubernetes.io/enforce-version: v1.33")
	if in[0].File != "shop.yaml" || in[0].Line != 1 || in[0].Object.Kind != "Namespace" {
		t.Errorf("%+v", in[0])
	}
}

// A sidecar that is put into pods is not in the template.
func TestWhatIsInjectedIsSeen(t *testing.T) {
	all := found(t, 33, 34, objects(t, "", wholeCluster)...)
	for _, f := range all {
		if f.Code == finding.PodSecurityDrift {
			has(t, f, "Deployment/web")
		}
	}
	pods := strings.Replace(namespace("pod-security.kubernetes.io/enforce: baseline"), "namespace: ns}",
		"namespace: ns, ownerReferences: [{kind: ReplicaSet, name: p, controller: true}]}", 1)
	in := found(t, 33, 34, objects(t, "", pods)...)
	expect(t, in, "cluster/Namespace/-/ns PodSecurityDrift breaks 1.34")
	has(t, in[0], "so something puts it in")
}

// Up to 1.26 the API server copies seccomp annotations to the fields before it
// admits a pod, so that restricted lets it in.
func TestSeccompAnnotationsInRestricted(t *testing.T) {
	const pod = `apiVersion: v1
kind: Namespace
metadata: {name: ns, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Pod
metadata: {name: p, namespace: ns, annotations: {ANNOTATION}}
spec:
  securityContext: {runAsNonRoot: true}
  containers: [{name: c, image: x, securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}]
`
	for annotation, want := range map[string]string{
		"seccomp.security.alpha.kubernetes.io/pod: runtime/default":             "cluster/Namespace/-/ns PodSecurityDrift breaks 1.27\ncluster/Pod/ns/p SeccompAnnotationIgnored changes 1.27",
		"container.seccomp.security.alpha.kubernetes.io/c: docker/default":      "cluster/Namespace/-/ns PodSecurityDrift breaks 1.27\ncluster/Pod/ns/p SeccompAnnotationIgnored changes 1.27",
		"seccomp.security.alpha.kubernetes.io/pod: localhost/a.json":            "cluster/Namespace/-/ns PodSecurityDrift breaks 1.27\ncluster/Pod/ns/p SeccompAnnotationIgnored changes 1.27",
		"seccomp.security.alpha.kubernetes.io/pod: unconfined":                  "cluster/Pod/ns/p SeccompAnnotationIgnored changes 1.27",
		"container.seccomp.security.alpha.kubernetes.io/other: runtime/default": "",
	} {
		all := found(t, 25, 29, objects(t, "", strings.Replace(pod, "ANNOTATION", annotation, 1))...)
		expect(t, all, want)
		if len(all) == 2 {
			has(t, all[0], "seccompProfile_restricted")
		}
	}
}

// Fields that an API server does not know, or drops, do not keep a pod out.
func TestDroppedFields(t *testing.T) {
	a := newAdmission(known(t), 25, 37)
	for name, c := range map[string]struct {
		spec  string
		first string // the minor from which baseline forbids it; empty for never
	}{
		"AppArmor field":          {`{containers: [{name: c, securityContext: {appArmorProfile: {type: Unconfined}}}]}`, "1.30"},
		"AppArmor field of a pod": {`{securityContext: {appArmorProfile: {type: Unconfined}}, containers: [{name: c}]}`, "1.30"},
		"proc mount":              {`{containers: [{name: c, securityContext: {procMount: Unmasked}}]}`, "1.33"},
		"proc mount and user":     {`{hostUsers: false, containers: [{name: c, securityContext: {procMount: Unmasked}}]}`, "1.33"},
		"no volume source":        {`{volumes: [{name: v}], containers: [{name: c}]}`, ""},
	} {
		pods := objects(t, "", "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: ns}\nspec: "+c.spec+"\n")
		var pod template
		if err := read(object(pods[0]), &pod); err != nil {
			t.Fatal(err)
		}
		first := ""
		for i, at := range a.judge(pod.Metadata, pod.Spec) {
			if at[0] != 0 {
				first = a.steps[i].minor.String()
				break
			}
		}
		if first != c.first {
			t.Errorf("%s is forbidden from %q on, want %q", name, first, c.first)
		}
	}
}

func TestMutatingFields(t *testing.T) {
	j := New(known(t), rules.Way{From: 24, To: 25})
	for _, o := range objects(t, "psp.yaml", `apiVersion: policy/v1beta1
kind: PodSecurityPolicy
metadata: {name: all, annotations: {seccomp.security.alpha.kubernetes.io/defaultProfileName: runtime/default}}
spec:
  defaultAddCapabilities: [NET_ADMIN]
  requiredDropCapabilities: [KILL]
  readOnlyRootFilesystem: true
  defaultAllowPrivilegeEscalation: false
  allowPrivilegeEscalation: false
  seLinux: {rule: MustRunAs}
  runAsUser: {rule: MustRunAsNonRoot}
  runAsGroup: {rule: MustRunAs}
  supplementalGroups: {rule: MustRunAs}
  fsGroup: {rule: MustRunAs}
  runtimeClass: {defaultRuntimeClassName: kata}
---
apiVersion: extensions/v1beta1
kind: PodSecurityPolicy
metadata: {name: none}
spec: {privileged: true, allowPrivilegeEscalation: true, seLinux: {rule: RunAsAny}, runAsUser: {rule: RunAsAny}}
`) {
		j.See(o)
	}
	all := j.Findings()
	expect(t, all, "manifest/extensions/PodSecurityPolicy/-/none PodSecurityPolicyEnds breaks 1.25\nmanifest/policy/PodSecurityPolicy/-/all PodSecurityPolicyEnds breaks 1.25")
	if len(j.security.policies[0].mutating) != 12 || len(j.security.policies[1].mutating) != 0 {
		t.Errorf("%+v", j.security.policies)
	}
	if got := found(t, 25, 26, objects(t, "", "apiVersion: policy/v1beta1\nkind: PodSecurityPolicy\nmetadata: {name: a}\n")...); len(got) > 0 {
		t.Errorf("it was gone before: %s", lines(got))
	}
}
