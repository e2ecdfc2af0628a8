// SPDX-License-Identifier: Apache-2.0

package layout_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"slices"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

// kubeletConf is a kubelet's kubeconfig whose certificate has a common name.
func kubeletConf(cn string) fact.File {
	cert := fact.Cert{Certificate: &x509.Certificate{Subject: pkix.Name{CommonName: cn}}}
	return fact.File{Path: "/etc/kubernetes/kubelet.conf", Kubeconfig: &fact.Kubeconfig{
		Users: []fact.KubeconfigUser{{Name: "other"}, {Name: "default-auth", Current: true, Certs: []fact.Cert{cert}}}}}
}

func TestNodeName(t *testing.T) {
	override := process(1, "kubelet", "--hostname-override=Told")
	etcd := manifest([]string{"etcd", "--name=by-etcd", "--cert-file=/c"})
	host := fact.Node{Hostname: "By-Host.example.org"}
	for _, c := range []struct {
		name, want string
		guessed    bool
		facts      []fact.Fact
	}{
		{"what the kubelet was told", "told", false, []fact.Fact{host, override, kubeletConf("system:node:by-cert"), etcd}},
		{"the kubelet's certificate", "by-cert", false, []fact.Fact{host, kubeletConf("system:node:by-cert"), etcd}},
		{"a certificate that is no node's", "by-etcd", false, []fact.Fact{host, kubeletConf("kubernetes-admin"), etcd}},
		{"a certificate with an impossible name", "by-etcd", false, []fact.Fact{host, kubeletConf("system:node:../\x1b[31m"), etcd}},
		{"etcd's name", "by-etcd", false, []fact.Fact{host, etcd}},
		{"an etcd without a manifest has a name of its own", "by-host.example.org", true, []fact.Fact{host, process(2, "etcd", "--name=etcd1", "--cert-file=/c")}},
		{"the machine's name", "by-host.example.org", true, []fact.Fact{host}},
		{"nothing", "node", true, nil},
		{"an impossible machine's name", "node", true, []fact.Fact{fact.Node{Hostname: "a b\u202e"}}},
	} {
		l := layout.Discover(running, c.facts)
		if l.Node != c.want || l.NodeGuessed != c.guessed {
			t.Errorf("%s: %q, guessed %v; want %q, %v", c.name, l.Node, l.NodeGuessed, c.want, c.guessed)
		}
	}
}

func TestKubelet(t *testing.T) {
	config := fact.KubeletConfig{Path: "/k.yaml", ClientCAFile: "/c/ca.crt", TLSCertFile: "/c/k.crt", TLSKeyFile: "/c/k.key", StaticPodPath: "/c/manifests"}
	bootstrap := fact.KubeletConfig{Path: "/k.yaml", ServerTLSBootstrap: true}
	for _, c := range []struct {
		name  string
		facts []fact.Fact
		want  map[fact.ID]string
	}{
		{"flags alone", []fact.Fact{process(1, "kubelet", "--client-ca-file=/f/ca.crt", "--tls-cert-file=/f/k.crt")},
			map[fact.ID]string{"node/ca": "/f/ca.crt", "node/kubelet": "/f/k.crt"}},
		{"the file alone", []fact.Fact{config}, map[fact.ID]string{"node/ca": "/c/ca.crt", "node/kubelet": "/c/k.crt"}},
		{"flags win over the file", []fact.Fact{process(1, "kubelet", "--client-ca-file=/f/ca.crt"), config},
			map[fact.ID]string{"node/ca": "/f/ca.crt", "node/kubelet": "/c/k.crt"}},
		{"what it makes itself", []fact.Fact{process(1, "kubelet", "--cert-dir=/d")}, map[fact.ID]string{"node/kubelet": "/d/kubelet.crt"}},
		{"a serving certificate from the cluster", []fact.Fact{process(1, "kubelet"), bootstrap},
			map[fact.ID]string{"node/kubelet": "/var/lib/kubelet/pki/kubelet-server-current.pem"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := layout.Discover(running, c.facts)
			for id, want := range c.want {
				if got := credential(t, l, id).Path; got != want {
					t.Errorf("%s: %s, want %s", id, got, want)
				}
			}
		})
	}
	if !slices.ContainsFunc(layout.Discover(running, []fact.Fact{config}).Wants, func(w layout.Want) bool {
		return w.Verb == layout.LookManifests && w.Path == "/c/manifests"
	}) {
		t.Error("the static pods are not looked for where the kubelet does")
	}
}

// The kubelet renews its client certificate only if it is told to and its
// kubeconfig names the file that it renews.
func TestKubeletRotation(t *testing.T) {
	byReference := fact.File{Path: "/etc/kubernetes/kubelet.conf", Kubeconfig: &fact.Kubeconfig{
		Users: []fact.KubeconfigUser{{Current: true, CertFile: "/var/lib/kubelet/pki/kubelet-client-current.pem"}}}}
	rotating, fixed := fact.KubeletConfig{Path: "/k.yaml", RotateCertificates: true}, fact.KubeletConfig{Path: "/k.yaml"}
	for _, c := range []struct {
		name  string
		facts []fact.Fact
		want  bool
	}{
		{"told, and by reference", []fact.Fact{byReference, rotating}, true},
		{"not told", []fact.Fact{byReference, fixed}, false},
		{"told by a flag", []fact.Fact{byReference, fixed, process(1, "kubelet", "--rotate-certificates")}, true},
		{"embedded", []fact.Fact{kubeletConf("system:node:node"), rotating}, false},
		{"nothing but the file", []fact.Fact{byReference}, true},
	} {
		if got := credential(t, layout.Discover(running, c.facts), "node/kubelet.conf").SelfRotating; got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestPorts(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"the API server's own", []string{"kube-apiserver"}, []string{"kube-apiserver 127.0.0.1:6443"}},
		{"a wildcard", []string{"kube-apiserver", "--bind-address=0.0.0.0", "--secure-port=443"}, []string{"kube-apiserver 127.0.0.1:443"}},
		{"an IPv6 wildcard", []string{"kube-apiserver", "--bind-address=::"}, []string{"kube-apiserver 127.0.0.1:6443"}},
		{"one address", []string{"kube-apiserver", "--bind-address=10.0.0.1"}, []string{"kube-apiserver 10.0.0.1:6443"}},
		{"an IPv6 address", []string{"kube-scheduler", "--bind-address=fd00::1"}, []string{"kube-scheduler [fd00::1]:10259"}},
		{"port 0 is off", []string{"kube-scheduler", "--secure-port=0"}, nil},
		{"the controller manager", []string{"kube-controller-manager"}, []string{"kube-controller-manager 127.0.0.1:10257"}},
		{"the kubelet", []string{"kubelet", "--port=10251", "--address=::1"}, []string{"kubelet [::1]:10251"}},
		{"etcd, the loopback first", []string{"etcd", "--listen-client-urls=https://10.0.0.1:2379,https://127.0.0.1:2379", "--listen-peer-urls=https://10.0.0.1:2380"},
			[]string{"etcd 127.0.0.1:2379", "etcd 10.0.0.1:2380"}},
		{"etcd on every address", []string{"etcd", "--listen-client-urls=https://[::]:2379"}, []string{"etcd 127.0.0.1:2379"}},
		{"etcd without TLS", []string{"etcd", "--listen-client-urls=http://10.0.0.1:2379,unix:///x,:,https://no-port"}, nil},
	} {
		if got := endpoints(layout.Discover(running, []fact.Fact{process(1, c.args...)})); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if got := endpoints(layout.Discover(mounted, []fact.Fact{manifest(c.args)})); len(got) > 0 {
			t.Errorf("%s: a copied file system has ports: %v", c.name, got)
		}
	}
	l := layout.Discover(running, []fact.Fact{fact.KubeletConfig{Path: "/k.yaml", Address: "0.0.0.0", Port: 10251}})
	if got := endpoints(l); !slices.Equal(got, []string{"kubelet 127.0.0.1:10251"}) {
		t.Errorf("by the kubelet's file: %v", got)
	}
}
