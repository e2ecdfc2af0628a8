// SPDX-License-Identifier: Apache-2.0

package execute_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"testing"
	"time"

	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/testnode"
)

const requests = "/root/requests"

// outside is a node whose CAs' keys are elsewhere.
func outside(t *testing.T) *node {
	n := newNode(t, testnode.Options{})
	signedElsewhere(n.Node)
	n.scope.RequestDir = requests
	return n
}

// signedElsewhere takes the CAs' keys off a node.
func signedElsewhere(n *testnode.Node) {
	for _, key := range []string{"/ca.key", "/etcd/ca.key", "/front-proxy-ca.key"} {
		n.Remove(pkiDir + key)
	}
	// kubeadm then gives the controller manager no key to sign with.
	for _, flag := range []string{"cert-file=" + pkiDir + "/ca.crt", "key-file=" + pkiDir + "/ca.key"} {
		n.Edit("/etc/kubernetes/manifests/kube-controller-manager.yaml", "    - --cluster-signing-"+flag+"\n", "")
	}
	n.Write(requests+"/README", 0o600, nil)
}

// sign is what the external CA does with a request.
func (n *node) sign(ca, name string, change func(*x509.Certificate)) {
	n.t.Helper()
	sign(n.t, n.Node, n.now, ca, name, change)
}

func sign(t testing.TB, n *testnode.Node, now time.Time, ca, name string, change func(*x509.Certificate)) {
	t.Helper()
	block, _ := pem.Decode(n.Read(requests + "/" + name + ".csr"))
	if block == nil {
		t.Fatalf("%s.csr is no PEM", name)
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.Unix()), RawSubject: request.RawSubject, ExtraExtensions: request.Extensions,
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(2, 0, 0),
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, n.CAs[ca].Cert, request.PublicKey, n.CAs[ca].Key)
	if err != nil {
		t.Fatal(err)
	}
	n.Write(requests+"/"+name+".crt", 0o644, testnode.Block("CERTIFICATE", der))
}

// No CA key and an expired leaf is no deadlock: a request needs neither.
func TestExternalCA(t *testing.T) {
	n := outside(t)
	n.now = testnode.Start.AddDate(1, 0, 10)
	key := n.Read(pkiDir + "/apiserver.key")
	old := n.certificate(pkiDir + "/apiserver.crt")
	names := []string{"apiserver", "scheduler.conf"}
	o := plan.RenewOptions{Names: names}
	n.does(o, "request apiserver", "request scheduler.conf")
	if string(n.Read(pkiDir+"/apiserver.key")) != string(key) || n.certificate(pkiDir+"/apiserver.crt").Fingerprint() != old.Fingerprint() {
		t.Error("a request changed what is in use")
	}
	if p := n.plan(o); len(p.Steps) != 0 || !notes(p, "waits to be signed") {
		t.Errorf("asked again: %v, %v", steps(p), p.Notes)
	}
	for _, name := range names {
		n.sign("ca", name, nil)
	}
	n.does(o, "accept apiserver", "accept scheduler.conf")
	n.healthy()
	got := n.certificate(pkiDir + "/apiserver.crt")
	if got.NotAfter.Before(n.now.AddDate(1, 11, 0)) || string(got.RawSubject) != string(old.RawSubject) || got.KeyFingerprint() != old.KeyFingerprint() {
		t.Errorf("accepted %v", got.Subject)
	}
	if got := n.leaf("scheduler.conf"); got.NotAfter.Before(n.now.AddDate(1, 11, 0)) {
		t.Errorf("scheduler.conf ends %s", got.NotAfter)
	}
	// What is in place is not accepted twice.
	n.does(o, "request apiserver", "request scheduler.conf")
}

// What the CA made of a request is compared with what was asked for, before
// anything is touched.
func TestExternalCASignsSomethingElse(t *testing.T) {
	n := outside(t)
	n.does(plan.RenewOptions{Names: []string{"apiserver"}}, "request apiserver")
	before := n.Read(pkiDir + "/apiserver.crt")
	for want, change := range map[string]func(*x509.Certificate){
		"it lacks the names":     func(c *x509.Certificate) { c.ExtraExtensions = nil },
		"its common name is":     func(c *x509.Certificate) { c.RawSubject = n.CAs["ca"].Cert.RawSubject },
		"it has expired":         func(c *x509.Certificate) { c.NotAfter = n.now.Add(-time.Minute) },
		"certificate authority":  func(c *x509.Certificate) { c.ExtraExtensions, c.IsCA, c.BasicConstraintsValid = nil, true, true },
		"it is valid only from ": func(c *x509.Certificate) { c.NotBefore = n.now.Add(time.Hour) },
	} {
		n.sign("ca", "apiserver", change)
		if p := n.plan(plan.RenewOptions{Names: []string{"apiserver"}}); len(p.Steps) != 0 || !notes(p, want) {
			t.Errorf("%q: steps %v, notes %v", want, steps(p), p.Notes)
		}
	}
	n.sign("etcd-ca", "apiserver", nil)
	if p := n.plan(plan.RenewOptions{Names: []string{"apiserver"}}); len(p.Steps) != 0 || !notes(p, "is not put in place") {
		t.Errorf("another CA: steps %v, notes %v", steps(p), p.Notes)
	}
	// A certificate for another key.
	n.Issue("ca", "../../../root/requests/apiserver", testnode.Leaf{Name: "kube-apiserver"})
	n.Remove(requests + "/apiserver.key")
	if p := n.plan(plan.RenewOptions{Names: []string{"apiserver"}}); len(p.Steps) != 0 || !notes(p, "another key") {
		t.Errorf("another key: steps %v, notes %v", steps(p), p.Notes)
	}
	if string(n.Read(pkiDir+"/apiserver.crt")) != string(before) {
		t.Error("apiserver.crt was changed")
	}
}

// A key that is missing is made first and kept beside the request; it comes
// into place together with its certificate.
func TestExternalCAAndMissingKey(t *testing.T) {
	n := outside(t)
	n.Remove(pkiDir + "/etcd/peer.key")
	n.Remove(pkiDir + "/front-proxy-client.crt")
	n.Remove(pkiDir + "/front-proxy-client.key")
	n.Remove("/etc/kubernetes/controller-manager.conf")
	o := plan.RenewOptions{Names: []string{"etcd-peer", "front-proxy-client", "controller-manager.conf"}, Create: true}
	n.does(o, "request controller-manager.conf", "request etcd-peer", "request front-proxy-client")
	for _, name := range o.Names {
		if info, err := os.Stat(n.Path(requests + "/" + name + ".key")); err != nil || info.Mode() != 0o600 {
			t.Errorf("the key of %s: %v, %v", name, info, err)
		}
	}
	n.sign("ca", "controller-manager.conf", nil)
	n.sign("etcd-ca", "etcd-peer", nil)
	n.sign("front-proxy-ca", "front-proxy-client", nil)
	n.does(o, "accept controller-manager.conf", "accept etcd-peer", "accept front-proxy-client")
	n.healthy()
}

// --new-key asks for another key than the one in use, and keeps the latter
// until the certificate is there.
func TestExternalCAWithNewKey(t *testing.T) {
	n := outside(t)
	before := n.leaf("admin.conf")
	o := plan.RenewOptions{Names: []string{"admin.conf"}}
	n.does(plan.RenewOptions{Names: o.Names, NewKey: true}, "request admin.conf")
	n.sign("ca", "admin.conf", nil)
	n.does(o, "accept admin.conf")
	n.healthy()
	if after := n.leaf("admin.conf"); after.Subject != before.Subject || !after.NotAfter.After(before.NotAfter) {
		t.Errorf("accepted %+v", after)
	}
}
