// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"reflect"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

const pod = `apiVersion: v1
kind: Pod
metadata: {name: kube-apiserver, namespace: kube-system}
spec:
  containers:
  - name: kube-apiserver
    image: registry.k8s.io/kube-apiserver:v1.37.0
    command: [kube-apiserver, --v=2]
    args: [--tls-cert-file=/certs/apiserver.crt]
    volumeMounts:
    - {name: pki, mountPath: /certs/, subPath: cluster/pki}
    - {name: gone, mountPath: /gone}
    - {name: tmp, mountPath: /tmp}
    - {name: conf, mountPath: /etc/scheduler.conf}
  volumes:
  - {name: pki, hostPath: {path: /opt/site/, type: DirectoryOrCreate}}
  - {name: tmp, emptyDir: {}}
  - {name: conf, hostPath: {path: /etc/kubernetes/scheduler.conf, type: FileOrCreate}}
`

func TestParseManifest(t *testing.T) {
	meta := fact.Meta{Mode: 0o600}
	want := fact.Manifest{
		Path: "/m/a.yaml", Meta: meta, Digest: fact.Digest([]byte(pod)), Name: "kube-apiserver", Namespace: "kube-system",
		Containers: []fact.Container{{Name: "kube-apiserver", Image: "registry.k8s.io/kube-apiserver:v1.37.0",
			Args: []string{"kube-apiserver", "--v=2", "--tls-cert-file=/certs/apiserver.crt"}}},
		Mounts: []fact.Mount{
			{Container: "kube-apiserver", HostPath: "/opt/site/cluster/pki", Path: "/certs", Type: "DirectoryOrCreate"},
			{Container: "kube-apiserver", HostPath: "/etc/kubernetes/scheduler.conf", Path: "/etc/scheduler.conf", Type: "FileOrCreate"},
		},
	}
	if got := layout.ParseManifest("/m/a.yaml", meta, []byte(pod)); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestManifestProblems(t *testing.T) {
	for name, c := range map[string]struct{ text, problem string }{
		"no YAML":       {"kind: [Pod\nsecret: hush", "it is no YAML of a pod"},
		"a List":        {"kind: List\n", "it is no Pod"},
		"empty":         {"", "it is no Pod"},
		"no containers": {"kind: Pod\n", "it is a Pod without containers"},
		"a wrong type":  {"kind: Pod\nspec: {containers: hush}\n", "it is no YAML of a pod"},
		"two documents": {"kind: Pod\n---\nkind: Pod\n", "it is a Pod without containers"},
	} {
		m := layout.ParseManifest("/m/a.yaml", fact.Meta{}, []byte(c.text))
		if !strings.HasPrefix(string(m.Problem), c.problem) || strings.Contains(string(m.Problem), "hush") {
			t.Errorf("%s: problem %q, want %q", name, m.Problem, c.problem)
		}
		if len(m.Containers)+len(m.Mounts) > 0 || m.Name != "" {
			t.Errorf("%s: a manifest with a problem has content: %+v", name, m)
		}
	}
}

func TestParseKubeletConfig(t *testing.T) {
	const text = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {x509: {clientCAFile: /a/ca.crt}, webhook: {enabled: true}}
rotateCertificates: true
serverTLSBootstrap: true
staticPodPath: /a/manifests
tlsCertFile: /a/k.crt
tlsPrivateKeyFile: /a/k.key
address: 10.0.0.1
port: 10251
`
	want := fact.KubeletConfig{
		Path: "/k.yaml", StaticPodPath: "/a/manifests", ClientCAFile: "/a/ca.crt", TLSCertFile: "/a/k.crt", TLSKeyFile: "/a/k.key",
		RotateCertificates: true, ServerTLSBootstrap: true, Address: "10.0.0.1", Port: 10251,
	}
	if got := layout.ParseKubeletConfig("/k.yaml", []byte(text)); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for _, broken := range []string{"", "kind: Pod\n", "kind: [", "kind: KubeletConfiguration\nport: many-secrets\n"} {
		got := layout.ParseKubeletConfig("/k.yaml", []byte(broken))
		if got.Problem == "" || strings.Contains(string(got.Problem), "secret") {
			t.Errorf("%q: problem %q", broken, got.Problem)
		}
	}
}

func TestImageVersion(t *testing.T) {
	for image, want := range map[fact.Text]fact.Text{
		"registry.k8s.io/kube-apiserver:v1.37.0":    "v1.37.0",
		"registry:5000/kube-apiserver:v1.37.0-rc.1": "v1.37.0-rc.1",
		"kube-apiserver:v1.37.0@sha256:0000":        "v1.37.0",
		"registry:5000/kube-apiserver":              "",
		"kube-apiserver:latest":                     "",
		"kube-apiserver:v":                          "",
		"kube-apiserver@sha256:1234":                "",
		"":                                          "",
		"registry.example/rancher/hardened-kubernetes:v1.37.0-rke2r1-b": "v1.37.0-rke2r1-b",
	} {
		if got := layout.ImageVersion(image); got != want {
			t.Errorf("%s: %q, want %q", image, got, want)
		}
	}
}
