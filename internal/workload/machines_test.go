// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// object is a fact that is an object.
func object(f fact.Fact) fact.Object {
	o, _ := f.(fact.Object)
	return o
}

func cronJob(schedule, zone string) string {
	return "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: j, namespace: ns}\nspec: {schedule: \"" + schedule + "\"" + zone +
		", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: x}]}}}}}\n"
}

func TestSchedules(t *testing.T) {
	for _, c := range []struct {
		from, to       release.Minor
		schedule, zone string
		want           string
	}{
		{24, 25, "0 3 * * *", "", "cluster/CronJob/ns/j CronJobZone notice 1.25"},
		{36, 37, "0 3 * * *", "", "cluster/CronJob/ns/j CronJobZone notice 1.37"},
		{36, 37, "@daily", "", "cluster/CronJob/ns/j CronJobZone notice 1.37"},
		{36, 37, "0 3 * * *", ", timeZone: Etc/UTC", ""},
		{36, 37, "*/5 * * * *", "", ""},
		{36, 37, "@hourly", "", ""},
		{36, 37, "@every 6h", "", ""},
		{24, 25, "TZ=Europe/Berlin 0 3 * * *", "", "cluster/CronJob/ns/j CronJobZoneInSchedule notice 1.25"},
		{24, 29, "CRON_TZ=Europe/Berlin 0 3 * * *", "", "cluster/CronJob/ns/j CronJobZoneInSchedule breaks 1.29"},
		{0, 37, "TZ=Europe/Berlin */5 * * * *", "", "cluster/CronJob/ns/j CronJobZoneInSchedule breaks 1.29"},
		{33, 34, "TZ=Europe/Berlin */5 * * * *", "", "cluster/CronJob/ns/j CronJobZoneInSchedule notice 1.34"},
	} {
		expect(t, found(t, c.from, c.to, objects(t, "", cronJob(c.schedule, c.zone))...), c.want)
	}
	zone := found(t, 28, 29, objects(t, "", cronJob("TZ=Europe/Berlin 0 3 * * *", ""))...)
	has(t, zone[0], `kubectl patch cronjob j -n ns --type merge -p '{"spec":{"schedule":"0 3 * * *","timeZone":"Europe/Berlin"}}'`)
	inFile := found(t, 28, 29, objects(t, "a.yaml", cronJob("TZ=Europe/Berlin 0 3 * * *", ""))...)
	has(t, inFile[0], "+ timeZone: \"Europe/Berlin\"")
}

const asking = `apiVersion: apps/v1
kind: Deployment
metadata: {name: d, namespace: ns}
spec: {template: {spec: {hostUsers: false, containers: [{name: c, image: x}]}}}
`

func node(name, kernel, features string) string {
	return "---\napiVersion: v1\nkind: Node\nmetadata: {name: " + name + "}\nstatus: {nodeInfo: {kubeletVersion: v1.37.0, kernelVersion: " + kernel +
		", containerRuntimeVersion: containerd://2.1.0}" + features + "}\n"
}

func TestUserNamespaces(t *testing.T) {
	const can, cannot = `, runtimeHandlers: [{name: "", features: {userNamespaces: true}}]`, `, runtimeHandlers: [{name: "", features: {userNamespaces: false}}]`
	for _, c := range []struct {
		from, to release.Minor
		nodes    string
		want     string
	}{
		{30, 32, "", "cluster/Deployment/ns/d UserNamespaceIgnored notice 1.31"},
		{32, 33, node("a", "6.8.0", can), "cluster/Deployment/ns/d UserNamespaceBegins changes 1.33"},
		{32, 33, node("a", "6.8.0", ""), "cluster/Deployment/ns/d UserNamespaceBegins changes 1.33"},
		{32, 33, node("a", "6.8.0", can) + node("b", "6.8.0", cannot), "cluster/Deployment/ns/d UserNamespaceUnsupported breaks 1.33"},
		{33, 34, node("a", "6.8.0", can), ""},
		{33, 34, node("a", "6.8.0", cannot), "cluster/Deployment/ns/d UserNamespaceUnsupported notice 1.34"},
		{33, 34, node("a", "5.15.0-91-generic", can), "cluster/Deployment/ns/d UserNamespaceSlow notice 1.34"},
		{33, 34, node("a", "5.19.1", can), ""},
	} {
		expect(t, found(t, c.from, c.to, objects(t, "", asking+c.nodes)...), c.want)
	}
	for kernel, want := range map[string]bool{"5.18.9": true, "5.19-rc1": false, "4.18.0-305.el8": true, "6.1": false, "x": false, "5.x": false} {
		if kernelBefore(kernel, 5, 19) != want {
			t.Errorf("%s before 5.19 is not %v", kernel, want)
		}
	}
}

func machineNode(kubelet, runtime, annotation string) []byte {
	return []byte(`{"metadata":{"name":"w","annotations":{"kubeadm.alpha.kubernetes.io/cri-socket":"` + annotation + `"}},"status":{"nodeInfo":{"kubeletVersion":"` +
		kubelet + `","containerRuntimeVersion":"` + runtime + `"}}}`)
}

func TestNodes(t *testing.T) {
	for _, c := range []struct {
		from, to                   release.Minor
		kubelet, runtime, annotate string
		want                       string
	}{
		{24, 25, "v1.24.17", "containerd://1.6.2", "", ""},
		{27, 28, "v1.25.0", "containerd://1.6.2", "", "cluster/Node/-/w KubeletTooOld blocks 1.28"}, // kubeadm refuses it
		{27, 28, "v1.26.0", "containerd://1.6.2", "", "cluster/Node/-/w KubeletTooOld blocks 1.28"},
		{27, 28, "v1.24.17", "containerd://1.6.2", "", "cluster/Node/-/w KubeletTooOld blocks 1.28"},
		{26, 27, "v1.25.0", "containerd://1.6.2", "", "cluster/Node/-/w KubeletTooOld blocks 1.27"},
		{28, 29, "v1.26.0", "containerd://1.6.2", "", ""},
		{30, 37, "v1.29.1", "containerd://1.7.2", "", "cluster/Node/-/w KubeletTooOld blocks 1.33"},
		{30, 37, "v1.30.1", "containerd://1.7.2", "", ""}, // it keeps up
		{36, 38, "v1.36.1", "containerd://1.7.2", "", "w/kubelet-platform-runtime RuntimeTooOld blocks 1.38"},
		{36, 38, "v1.36.1", "containerd://2.0.1", "", ""},
		{36, 38, "v1.36.1", "cri-o://1.27.1", "", "w/kubelet-platform-runtime RuntimeTooOld blocks 1.38"},
		{25, 26, "v1.25.1", "containerd://1.5.18", "", "w/kubelet-platform-runtime RuntimeTooOld blocks 1.26"},
		{23, 24, "v1.23.1", "docker://20.10.7", "", "w/kubelet-platform-runtime RuntimeTooOld blocks 1.24"},
		{23, 24, "v1.23.1", "docker://20.10.7", "unix:///run/cri-dockerd.sock", ""},
		{24, 25, "v1.24.1", "docker://20.10.7", "", ""},
		{24, 25, "not a version", "nothing", "", ""},
	} {
		o := fact.Object{APIVersion: "v1", Type: "Node", Name: "w", Content: machineNode(c.kubelet, c.runtime, c.annotate)}
		expect(t, found(t, c.from, c.to, o), c.want)
	}
	if f := found(t, 36, 38, fact.Object{APIVersion: "v1", Type: "Node", Name: "w", Content: machineNode("v1.36.1", "containerd://1.7.2", "")})[0]; f.End.Basis != finding.Planned {
		t.Errorf("what is planned is told as %s", f.End.Basis)
	}
}

func TestKubectl(t *testing.T) {
	for version, want := range map[string]string{"v1.30.2": "perennial/kubectl KubectlTooOld notice 1.32", "v1.33.0": "", "v1.37.1": "", "unknown": ""} {
		j := New(known(t), rules.Way{From: 30, To: 34})
		j.Kubectl("/usr/bin/kubectl", version)
		expect(t, j.Findings(), want)
	}
	several := New(known(t), rules.Way{From: 30, To: 34})
	for path, version := range map[string]string{"/usr/local/bin/kubectl": "v1.31.0", "/usr/bin/kubectl": "v1.28.2", "/opt/bin/kubectl": "v1.34.0"} {
		several.Kubectl(path, version)
	}
	all := several.Findings()
	expect(t, all, "perennial/kubectl KubectlTooOld notice 1.31")
	if notes := fmt.Sprint(all[0].Evidence.Notes); notes != "[/usr/bin/kubectl is kubectl 1.28 /usr/local/bin/kubectl is kubectl 1.31]" || all[0].Evidence.Path != "/usr/bin/kubectl" {
		t.Errorf("the evidence is %s, %s", notes, all[0].Evidence.Path)
	}
}

func TestKubeProxyPrograms(t *testing.T) {
	for _, c := range []struct {
		container corev1.Container
		want      string
	}{
		{corev1.Container{Command: []string{"/usr/local/bin/kube-proxy", "--config=/x"}}, ""},
		{corev1.Container{Args: []string{"--config=/x"}}, ""},
		{corev1.Container{Command: []string{"/go-runner", "--", "kube-proxy"}}, ""},
		{corev1.Container{Command: []string{"/bin/bash", "-c", "exec kube-proxy --x=$(cat /y)"}}, "command: bash"},
		{corev1.Container{Command: []string{"sh", "-c", "if [ -f /x ]; then exec kube-proxy; fi; sleep 5 && iptables-save | grep KUBE | wc -l"}}, "command:"},
		{corev1.Container{LivenessProbe: exec("sh", "-c", "A=1 curl -s localhost:10256/healthz | grep -q ok")}, "livenessProbe: curl"},
		{corev1.Container{ReadinessProbe: exec("pgrep", "kube-proxy")}, "readinessProbe: pgrep"},
		{corev1.Container{StartupProbe: exec("cat", "/x")}, ""},
		{corev1.Container{Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/ip", "link"}}}}}, "preStop: ip"},
	} {
		var got []string
		for where, missing := range runsOf(&c.container) {
			got = append(got, strings.TrimSpace(where+": "+strings.Join(missing, " ")))
		}
		slices.Sort(got)
		if strings.Join(got, "; ") != c.want {
			t.Errorf("%+v: %q, want %q", c.container, got, c.want)
		}
	}
	shell := strings.Replace(wholeCluster[strings.LastIndex(wholeCluster, "---\n")+4:], "curl -sf http://localhost:10256/healthz", "cat /x", 1)
	expect(t, found(t, 24, 25, objects(t, "", strings.Replace(shell, "1.22.17", "1.24.17", 1))...), "cluster/DaemonSet/kube-system/kube-proxy KubeProxyShell notice 1.25")
	expect(t, found(t, 25, 26, objects(t, "", strings.Replace(shell, "1.22.17", "1.25.17", 1))...), "")
}

func exec(command ...string) *corev1.Probe {
	return &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: command}}}
}

func TestLogs(t *testing.T) {
	for command, want := range map[string]bool{
		"kubectl get --raw /logs/kube-apiserver.log": true, "kubectl get --raw=/logs": true,
		"curl -k https://kubernetes.default.svc/logs/": true, "curl https://10.0.0.1:6443/logs/x": true,
		"curl -H x https://$KUBERNETES_SERVICE_HOST:443/logs/x": true, "curl https://example.org/logs/": false,
		"kubectl get --raw /api/v1/nodes/a/proxy/logs/": false, "tail -f /var/logs/x": false, "kubectl get --raw /logsx": false,
	} {
		if got := asksLogs.MatchString(command); got != want {
			t.Errorf("%s: %v", command, got)
		}
	}
	const role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: r}\nrules: [{nonResourceURLs: [/logs/*], verbs: [get]}]\n"
	expect(t, found(t, 24, 25, objects(t, "", role)...), "cluster/ClusterRole/-/r LogsEndpointOff notice 1.25")
	expect(t, found(t, 29, 32, objects(t, "r.yaml", role)...), "manifest/rbac.authorization.k8s.io/ClusterRole/-/r LogsEndpointOff breaks 1.31")
	expect(t, found(t, 31, 37, objects(t, "", role)...), "")
}
