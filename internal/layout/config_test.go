// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

func TestParseConfig(t *testing.T) {
	const admission = `# plugins
---
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
- name: EventRateLimit
  path: event-rate.yaml
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1beta1
    kind: PodSecurityConfiguration
---
kind: KubeProxyConfiguration
apiVersion: "kubeproxy.config.k8s.io/v1alpha1"
featureGates: {A: true, B: false, C: maybe}
`
	got := layout.ParseConfig("/etc/kubernetes/admission.yaml", "kube-apiserver", "f", []byte(admission))
	one := fact.ConfigDocument{Path: "/etc/kubernetes/admission.yaml", Component: "kube-apiserver", Flag: "f"}
	list, inside, proxy := one, one, one
	list.Line, list.APIVersion, list.Type, list.Files = 3, "apiserver.config.k8s.io/v1", "AdmissionConfiguration", []string{"event-rate.yaml"}
	inside.Line, inside.APIVersion, inside.Type = 10, "pod-security.admission.config.k8s.io/v1beta1", "PodSecurityConfiguration"
	proxy.Line, proxy.APIVersion, proxy.Type, proxy.Gates = 14, "kubeproxy.config.k8s.io/v1alpha1", "KubeProxyConfiguration", map[string]bool{"A": true, "B": false}
	if want := []fact.ConfigDocument{list, inside, proxy}; !reflect.DeepEqual(got, want) {
		t.Errorf("read\n%+v\nwant\n%+v", got, want)
	}
}

// The keys that secrets are encrypted with stand in such a file.
// Flags in the files of the kubelet's unit are read as systemd reads them.
func TestParseEnvironment(t *testing.T) {
	for text, want := range map[string]string{
		"KUBELET_KUBEADM_ARGS=\"--container-runtime=remote --max-pods=20\"\n":         "1: --container-runtime=remote --max-pods=20",
		"# KUBELET_KUBEADM_ARGS=--no\nOTHER=--no\n\nKUBELET_KUBEADM_ARGS = '--one=1'": "4: --one=1",
		"KUBELET_KUBEADM_ARGS=--one\r\nKUBELET_KUBEADM_ARGS=--two --three=\"\r\n":     "2: --two --three=\"",
		"KUBELET_KUBEADM_ARGS=\n":      "1: ",
		"KUBELET_KUBEADM_ARGS_OLD=--x": "",
		"apiVersion: v1\nkind: Pod\n":  "",
	} {
		got := ""
		for _, d := range layout.ParseConfig("/var/lib/kubelet/kubeadm-flags.env", layout.Kubelet, layout.KubeadmArgs, []byte(text)) {
			got += fmt.Sprintf("%d: %s", d.Line, strings.Join(d.Args, " "))
			if d.Component != layout.Kubelet || d.Flag != layout.KubeadmArgs || d.APIVersion != "" {
				t.Errorf("%q: %+v", text, d)
			}
		}
		if got != want {
			t.Errorf("%q is read as %q, want %q", text, got, want)
		}
	}
}

func TestParseConfigKeepsNoKeys(t *testing.T) {
	for _, text := range []string{
		"apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- providers:\n  - aescbc: {keys: [{name: key1, secret: c2VjcmV0}]}\n",
		"apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [c2VjcmV0\n", "kind: [c2VjcmV0]\napiVersion: {c2VjcmV0: 1}\n",
		"apiVersion: v1\nkind: X\nfeatureGates: [c2VjcmV0]\n", "\x00c2VjcmV0: : :\n", "a: &a [c2VjcmV0]\nb: [*a,*a,*a]\n",
	} {
		for _, d := range layout.ParseConfig("/x", "kube-apiserver", "f", []byte(text)) {
			if strings.Contains(string(d.Problem)+string(d.APIVersion)+string(d.Type), "c2Vj") || len(d.Gates) > 0 || d.Line < 1 {
				t.Errorf("of %q was kept: %+v", text, d)
			}
		}
	}
}

func TestKubeletGates(t *testing.T) {
	k := layout.ParseKubeletConfig("/k.yaml", []byte("kind: KubeletConfiguration\nfeatureGates: {A: true, B: false, C: 7}\nfailCgroupV1: false\nport: 10250\n"))
	if k.Problem != "" || !reflect.DeepEqual(k.Gates, map[string]bool{"A": true, "B": false}) || k.FailCgroupV1 == nil || *k.FailCgroupV1 || k.Port != 10250 {
		t.Errorf("read %+v", k)
	}
	k = layout.ParseKubeletConfig("/k.yaml", []byte("kind: KubeletConfiguration\nfeatureGates: [A]\nfailCgroupV1: \"no\"\nport: 10250\n"))
	if k.Problem != "" || k.Gates != nil || k.FailCgroupV1 != nil || k.Port != 10250 {
		t.Errorf("what is no gate hides the rest, or is kept: %+v", k)
	}
}

// What flags name is looked at, as the component sees it, and so is what an
// AdmissionConfiguration leads on to.
func TestConfigsAreWanted(t *testing.T) {
	manifest := layout.ParseManifest("/etc/kubernetes/manifests/kube-apiserver.yaml", fact.Meta{}, []byte(`kind: Pod
metadata: {name: kube-apiserver}
spec:
  containers:
  - name: kube-apiserver
    command: [kube-apiserver, --admission-control-config-file=/config/admission.yaml, --encryption-provider-config=/config/enc.yaml]
    volumeMounts: [{name: c, mountPath: /config}]
  volumes: [{name: c, hostPath: {path: /etc/kubernetes/config}}]
`))
	config := fact.ConfigDocument{Path: "/etc/kubernetes/config/admission.yaml", Component: "kube-apiserver", Files: []string{"event-rate.yaml"}}
	l := layout.Discover(fact.Scope{Root: "/", KubernetesDir: "/etc/kubernetes"}, []fact.Fact{fact.Node{Root: "/"}, manifest, config})
	var paths []string
	for _, w := range l.Wants {
		if w.Verb == layout.LookConfig {
			paths = append(paths, w.Flag+"="+w.Path)
		}
	}
	want := "admission-control-config-file=/etc/kubernetes/config/admission.yaml encryption-provider-config=/etc/kubernetes/config/enc.yaml admission-control-config-file=/etc/kubernetes/config/event-rate.yaml"
	if strings.Join(paths, " ") != want {
		t.Errorf("wanted are %s", strings.Join(paths, " "))
	}
	// Where no process shows them, the kubelet's flags are looked for in files.
	elsewhere := layout.Discover(fact.Scope{Root: "/mnt", KubernetesDir: "/etc/kubernetes"}, []fact.Fact{fact.Node{Root: "/mnt"}})
	var files []string
	for _, w := range elsewhere.Wants {
		if w.Verb == layout.LookConfig {
			files = append(files, w.Component+" "+w.Path)
		}
	}
	if got := strings.Join(files, ", "); got != "kubelet /var/lib/kubelet/kubeadm-flags.env, kubelet /etc/default/kubelet, kubelet /etc/sysconfig/kubelet" {
		t.Errorf("below another root, wanted are %s", got)
	}
}
