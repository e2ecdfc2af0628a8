// SPDX-License-Identifier: Apache-2.0

package execute_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/testnode"
)

const (
	kubeletConf   = "/etc/kubernetes/kubelet.conf"
	kubeletClient = "/var/lib/kubelet/pki/kubelet-client-current.pem"
)

func nodeLeaf(n *node) testnode.Leaf {
	return testnode.Leaf{Name: "system:node:" + n.Name, Organization: "system:nodes"}
}

// embed writes a kubelet.conf as kubeadm before 1.17 left it on the first node.
func (n *node) embed(l testnode.Leaf) {
	n.Write(kubeletConf, 0o600, n.Kubeconfig(n.CAs["ca"].Cert, n.Sign(n.CAs["ca"], l), l.Name))
}

func TestEmbeddedKubeletIsTurned(t *testing.T) {
	n := newNode(t, testnode.Options{})
	old := nodeLeaf(n)
	old.End = later.AddDate(0, 0, -1)
	n.embed(old)
	p := n.does(plan.RenewOptions{Names: []string{"kubelet.conf"}}, "turn kubelet.conf")
	if !notes(p, "kubelet does not run here") {
		t.Errorf("notes %v", p.Notes)
	}
	if text := string(n.Read(kubeletConf)); strings.Contains(text, "client-certificate-data") || strings.Count(text, kubeletClient) != 2 {
		t.Errorf("kubelet.conf is\n%s", text)
	}
	n.healthy()
}

// Without a newer one the embedded certificate itself is renewed.
func TestEmbeddedKubeletIsRenewed(t *testing.T) {
	for name, spoil := range map[string]func(n *node){
		"none":      func(n *node) { n.Remove("/var/lib/kubelet/pki/kubelet-client-2026.pem"); n.Remove(kubeletClient) },
		"another's": func(n *node) { n.rotated(testnode.Leaf{Name: "system:node:cp2", Organization: "system:nodes"}) },
		"older":     func(n *node) { l := nodeLeaf(n); l.End = later.AddDate(0, 0, 1); n.rotated(l) },
		"without key": func(n *node) {
			n.WriteCert("/var/lib/kubelet/pki/kubelet-client-2026.pem", n.Sign(n.CAs["ca"], nodeLeaf(n)).Cert)
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, testnode.Options{})
			l := nodeLeaf(n)
			l.End = later.AddDate(0, 0, 2)
			n.embed(l)
			spoil(n)
			n.does(plan.RenewOptions{Names: []string{"kubelet.conf"}}, "renew kubelet.conf")
		})
	}
}

func (n *node) rotated(l testnode.Leaf) {
	p := n.Sign(n.CAs["ca"], l)
	n.Write("/var/lib/kubelet/pki/kubelet-client-2026.pem", 0o600, append(testnode.CertPEM(p.Cert), n.KeyPEM(p)...))
}

// A kubelet whose client certificate has ended cannot ask for another one: the
// cluster's CA signs it again, and the link to it stays.
func TestExpiredKubelet(t *testing.T) {
	n := newNode(t, testnode.Options{})
	if p := n.plan(plan.RenewOptions{Names: []string{"kubelet.conf"}}); len(p.Steps) != 0 || !notes(p, "the kubelet renews it itself") {
		t.Errorf("before its end: %v, %v", steps(p), p.Notes)
	}
	n.now = testnode.Start.AddDate(1, 0, 1)
	before := n.leaf("kubelet.conf")
	n.does(plan.RenewOptions{Names: []string{"kubelet.conf"}}, "renew kubelet.conf")
	after := n.leaf("kubelet.conf")
	if after.Subject != before.Subject || !after.NotAfter.After(n.now.AddDate(0, 11, 0)) {
		t.Errorf("made %+v", after)
	}
	if target, err := os.Readlink(n.Path(kubeletClient)); err != nil || target != "kubelet-client-2026.pem" {
		t.Errorf("the link is %q, %v", target, err)
	}
	n.healthy()
}

// What a kubelet has made for itself, with an authority that it threw away, is signed
// with its own key: the pair is whole, and nothing of the old authority is left.
func TestTheKubeletsOwn(t *testing.T) {
	const at, key = "/var/lib/kubelet/pki/kubelet.crt", "/var/lib/kubelet/pki/kubelet.key"
	for _, newKey := range []bool{false, true} {
		n := newNode(t, testnode.Options{})
		ca := n.NewCA("cp1-ca@1")
		made := n.Sign(ca, testnode.Leaf{Name: "cp1@1", DNS: []string{"cp1"}, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		n.Write(at, 0o644, append(testnode.CertPEM(made.Cert), testnode.CertPEM(ca.Cert)...))
		n.Write(key, 0o600, n.KeyPEM(made))
		n.does(plan.RenewOptions{Names: []string{"kubelet"}, NewKey: newKey}, "renew kubelet")
		n.healthy()
		pair, err := tls.X509KeyPair(n.Read(at), n.Read(key)) // as the kubelet reads it at its start
		if err != nil {
			t.Fatal(err)
		}
		if len(pair.Certificate) != 1 || !pair.Leaf.NotAfter.After(made.Cert.NotAfter) || pair.Leaf.VerifyHostname("cp1") != nil || pair.Leaf.Subject.String() != made.Cert.Subject.String() {
			t.Errorf("made %d certificates, %v until %s", len(pair.Certificate), pair.Leaf.Subject, pair.Leaf.NotAfter)
		}
		if same := bytes.Equal(n.Read(key), n.KeyPEM(made)); same == newKey {
			t.Errorf("a new key was wanted: %v, and it is the old one: %v", newKey, same)
		}
		if p := n.plan(plan.RenewOptions{}); slices.Contains(steps(p), "renew kubelet") {
			t.Errorf("due again: %v", steps(p))
		}
	}
}
