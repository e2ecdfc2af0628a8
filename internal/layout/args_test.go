// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"maps"
	"slices"
	"testing"

	"perennial.dev/perennial/internal/layout"
)

func TestParseFlags(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want layout.Flags
	}{
		{"nothing", nil, layout.Flags{}},
		{"with an equals sign", []string{"--kubeconfig=/a", "--v=2"}, layout.Flags{"kubeconfig": {"/a"}, "v": {"2"}}},
		{"separate value", []string{"--kubeconfig", "/a"}, layout.Flags{"kubeconfig": {"/a"}}},
		{"one dash, as etcd takes it", []string{"-cert-file=/a", "-key-file", "/b"}, layout.Flags{"cert-file": {"/a"}, "key-file": {"/b"}}},
		{"underscores", []string{"--tls_cert_file=/a_b"}, layout.Flags{"tls-cert-file": {"/a_b"}}},
		{"no value", []string{"--anonymous-auth", "--v=2", "--profiling"}, layout.Flags{"anonymous-auth": {"true"}, "v": {"2"}, "profiling": {"true"}}},
		{"empty value", []string{"--tls-cert-file=", "--v=2"}, layout.Flags{"tls-cert-file": {""}, "v": {"2"}}},
		{"equals signs in the value", []string{"--feature-gates=A=true,B=false"}, layout.Flags{"feature-gates": {"A=true,B=false"}}},
		{"repeated", []string{"--service-account-key-file=/a", "--service-account-key-file=/b"}, layout.Flags{"service-account-key-file": {"/a", "/b"}}},
		{"words between", []string{"run", "--v=2", "more"}, layout.Flags{"v": {"2"}}},
		{"only dashes and no name", []string{"-", "--", "---", "--=x", "-=", "--_=x"}, layout.Flags{"-": {"x"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := slices.Clone(c.args)
			got := layout.ParseFlags(c.args)
			if !maps.EqualFunc(got, c.want, slices.Equal[[]string]) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if !slices.Equal(before, c.args) {
				t.Errorf("the arguments were changed to %v", c.args)
			}
		})
	}
}

func TestFlagsThatCount(t *testing.T) {
	f := layout.ParseFlags([]string{"--a=1", "--a=2", "--b= x , ,y", "--b=z"})
	if got := f.Get("a"); got != "2" {
		t.Errorf("the last value counts, got %q", got)
	}
	if got := f.Get("missing"); got != "" {
		t.Errorf("a flag that is not set has the value %q", got)
	}
	if got := f.List("b"); !slices.Equal(got, []string{"x", "y", "z"}) {
		t.Errorf("got %q", got)
	}
}

func TestComponentOf(t *testing.T) {
	for _, c := range []struct {
		want string
		args []string
	}{
		{"kube-apiserver", []string{"kube-apiserver", "--v=2"}},
		{"kube-apiserver", []string{"/usr/local/bin/kube-apiserver"}},
		{"etcd", []string{"/usr/bin/etcd"}},
		{"kubelet", []string{"/usr/bin/kubelet", "--config=/a"}},
		{"kube-scheduler", []string{"sh", "-c", "exec kube-scheduler --v=2"}},
		{"kube-scheduler", []string{"/bin/bash", "-ec", "exec /usr/bin/kube-scheduler --v=2 2>&1"}},
		// kops writes its manifests like this.
		{"kube-apiserver", []string{"/bin/sh", "-c", "mkfifo /tmp/pipe; (tee -a /var/log/kube-apiserver.log < /tmp/pipe & ) ; exec /usr/local/bin/kube-apiserver --v=2 > /tmp/pipe 2>&1"}},
		{"kube-controller-manager", []string{"/go-runner", "--log-file=/var/log/x.log", "--also-stdout", "/usr/local/bin/kube-controller-manager", "--v=2"}},
		{"kubelet", []string{"env", "A=b", "kubelet"}},
		{"kube-apiserver", []string{"/hyperkube", "kube-apiserver"}},
		{"kube-apiserver", []string{"/hyperkube", "apiserver"}},
		{"kubelet", []string{"tini", "--", "hyperkube", "kubelet"}},
		{"", []string{"/hyperkube", "proxy"}},
		{"", []string{"/hyperkube"}},
		{"", nil},
		{"", []string{""}},
		{"", []string{"sh", "-c", ""}},
		{"", []string{"sh", "-c"}},
		{"", []string{"go-runner"}},
		// These only speak of a component.
		{"", []string{"journalctl", "-u", "kubelet"}},
		{"", []string{"tail", "-f", "/var/log/etcd"}},
		{"", []string{"vim", "kube-apiserver"}},
		{"", []string{"kube-apiserver-healthcheck"}},
		{"", []string{"etcdctl", "get"}},
	} {
		got, ok := layout.ComponentOf(c.args)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%q is %q, want %q", c.args, got, c.want)
		}
	}
}
