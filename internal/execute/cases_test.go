// SPDX-License-Identifier: Apache-2.0

package execute_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"path"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/testnode"
)

var everything = []string{
	"renew admin.conf", "renew apiserver", "renew apiserver-etcd-client", "renew apiserver-kubelet-client", "renew controller-manager.conf",
	"renew etcd-healthcheck-client", "renew etcd-peer", "renew etcd-server", "renew front-proxy-client", "renew kubelet", "renew scheduler.conf", "renew super-admin.conf",
}

// Whatever kubeadm's encryptionAlgorithm was, and wherever its certificates lie,
// all of them are renewed, each with its own key and names.
func TestKeysAndPlaces(t *testing.T) {
	for name, o := range map[string]testnode.Options{
		"ECDSA": {Key: "ecdsa"}, "RSA": {Key: "rsa"}, "Ed25519": {Key: "ed25519"}, "another directory": {CertDir: "/etc/kubernetes/ssl"}, "outside": {CertDir: "/srv/tls/site"},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, o)
			before := n.certificate(n.Dir + "/apiserver.crt")
			n.does(plan.RenewOptions{All: true}, everything...)
			n.healthy()
			after := n.certificate(n.Dir + "/apiserver.crt")
			if after.KeyFingerprint() != before.KeyFingerprint() || !after.NotAfter.After(before.NotAfter) ||
				!bytes.Equal(extension(after, "2.5.29.17"), extension(before, "2.5.29.17")) || after.PublicKeyAlgorithm != before.PublicKeyAlgorithm {
				t.Errorf("renewed %v, was %v", after.Subject, before.Subject)
			}
			if p := n.plan(plan.RenewOptions{}); len(p.Steps) != 0 {
				t.Errorf("due again: %v", steps(p))
			}
		})
	}
}

func extension(c fact.Cert, id string) []byte {
	for _, e := range c.Extensions {
		if e.Id.String() == id {
			return e.Value
		}
	}
	return nil
}

// A kubeconfig that names files: they are renewed, and it stays as it is.
func TestKubeconfigByReference(t *testing.T) {
	n := newNode(t, testnode.Options{})
	n.Issue("ca", "scheduler", testnode.Leaf{Name: "system:kube-scheduler", Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	conf := strings.NewReplacer("client-certificate-data: ", "client-certificate: "+pkiDir+"/scheduler.crt # ", "client-key-data: ", "client-key: "+pkiDir+"/scheduler.key # ").
		Replace(string(n.Read("/etc/kubernetes/scheduler.conf")))
	n.Write("/etc/kubernetes/scheduler.conf", 0o600, []byte(conf))
	before := n.certificate(pkiDir + "/scheduler.crt")
	p := n.does(plan.RenewOptions{Names: []string{"scheduler.conf"}}, "renew scheduler.conf")
	n.healthy()
	if p.Steps[0].Sign.Cert != pkiDir+"/scheduler.crt" || string(n.Read("/etc/kubernetes/scheduler.conf")) != conf {
		t.Errorf("%+v", p.Steps[0].Sign)
	}
	if after := n.certificate(pkiDir + "/scheduler.crt"); !after.NotAfter.After(before.NotAfter) {
		t.Errorf("ends %s", after.NotAfter)
	}
}

// In the middle of a CA's rotation ca.crt holds two: each leaf stays with the
// one that signed it and whose key is here, and no bundle loses a certificate.
func TestBundleAsCA(t *testing.T) {
	for name, first := range map[string]bool{"the old one first": false, "the new one first": true} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, testnode.Options{})
			other := n.NewCA("kubernetes")
			both := []*x509.Certificate{n.CAs["ca"].Cert, other.Cert}
			if first {
				both[0], both[1] = both[1], both[0]
			}
			n.WriteCert(pkiDir+"/ca.crt", both...)
			for _, conf := range []string{"admin", "super-admin", "controller-manager", "scheduler"} {
				file := "/etc/kubernetes/" + conf + ".conf"
				n.Edit(file, encoded(n.CAs["ca"].Cert), encoded(both...))
			}
			bundle, admin := n.Read(pkiDir+"/ca.crt"), without(t, n.Read(adminConf), "client-certificate-data")
			n.does(plan.RenewOptions{All: true}, everything...)
			if !first { // else the controller manager's signing pair does not fit, which is said
				n.healthy()
			}
			if !bytes.Equal(n.Read(pkiDir+"/ca.crt"), bundle) || without(t, n.Read(adminConf), "client-certificate-data") != admin {
				t.Error("the bundle has changed")
			}
			if !pki.Issued(fact.Cert{Certificate: n.CAs["ca"].Cert}, n.certificate(pkiDir+"/apiserver.crt")) {
				t.Error("the certificate is not the CA's whose key is here")
			}
		})
	}
}

func encoded(certs ...*x509.Certificate) string {
	var text []byte
	for _, c := range certs {
		text = append(text, testnode.CertPEM(c)...)
	}
	return base64.StdEncoding.EncodeToString(text)
}

// Certificates that were copied from another node are renewed as they are, and
// said to be another's before and after.
func TestCopiedFromAnotherNode(t *testing.T) {
	n := newNode(t, testnode.Options{})
	n.Issue("etcd-ca", "etcd/server", testnode.Leaf{Name: "cp2", DNS: []string{"cp2"}, IPs: []string{"192.0.2.11"},
		Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	foreign := func() (found bool) {
		for _, f := range n.look().Findings {
			found = found || f.Code == finding.CertificateFromOtherNode && f.ID.Name() == "etcd-server"
		}
		return found
	}
	if !foreign() {
		t.Fatal("it is not seen")
	}
	n.does(plan.RenewOptions{Names: []string{"etcd-server"}}, "renew etcd-server")
	if got := n.leaf("etcd-server"); got.Subject != "CN=cp2" || !foreign() {
		t.Errorf("renewed %+v", got)
	}
	// Made anew as this node's it is this node's.
	n.Remove(pkiDir + "/etcd/server.crt")
	n.Remove(pkiDir + "/etcd/server.key")
	n.does(plan.RenewOptions{Names: []string{"etcd-server"}, Create: true}, "create etcd-server")
	n.healthy()
}

// runs adds a process to what is seen, as if it ran on the node.
func (n *node) runs(p fact.Process) { n.more = append(n.more, p) }

// reads adds a file to what is seen that only a process names.
func (n *node) reads(name string) {
	n.named = append(n.named, name)
}

// kubespray's etcd is run by systemd, with its settings in the environment and
// its certificates in a directory of its own.
func TestEtcdBySystemd(t *testing.T) {
	n := newNode(t, testnode.Options{})
	n.Remove("/etc/kubernetes/manifests/etcd.yaml")
	const dir = "/etc/ssl/etcd/ssl"
	n.WriteCert(dir+"/ca.pem", n.CAs["etcd-ca"].Cert)
	n.Write(dir+"/ca-key.pem", 0o600, n.KeyPEM(n.CAs["etcd-ca"]))
	member := n.Sign(n.CAs["etcd-ca"], testnode.Leaf{Name: "etcd-member-cp1", DNS: []string{"cp1", "localhost"}, IPs: []string{"192.0.2.10", "127.0.0.1"},
		Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
	n.WriteCert(dir+"/member-cp1.pem", member.Cert)
	n.Write(dir+"/member-cp1-key.pem", 0o600, n.KeyPEM(member))
	n.runs(fact.Process{PID: 7, Start: testnode.Start, Args: []string{"/usr/local/bin/etcd"}, Unit: "etcd.service", UnitRestart: "always", Env: []string{
		"ETCD_CERT_FILE=" + dir + "/member-cp1.pem", "ETCD_KEY_FILE=" + dir + "/member-cp1-key.pem", "ETCD_TRUSTED_CA_FILE=" + dir + "/ca.pem",
		"ETCD_LISTEN_CLIENT_URLS=https://192.0.2.10:2379", "ETCD_ADVERTISE_CLIENT_URLS=https://192.0.2.10:2379", "ETCD_NAME=cp1"}})
	for _, file := range []string{"/ca.pem", "/member-cp1.pem", "/member-cp1-key.pem"} {
		n.reads(dir + file)
	}
	p := n.plan(plan.RenewOptions{Names: []string{"etcd-server"}})
	if len(p.Steps) != 1 || p.Steps[0].Sign.Cert != dir+"/member-cp1.pem" || p.Steps[0].Sign.Key != dir+"/member-cp1-key.pem" {
		t.Fatalf("%v, %v", steps(p), p.Notes)
	}
	// etcd takes it up by itself: nothing is restarted.
	if _, err := n.run(p); err != nil {
		t.Fatal(err)
	}
	if after := n.certificate(dir + "/member-cp1.pem"); !after.NotAfter.After(member.Cert.NotAfter) || after.Subject.CommonName != "etcd-member-cp1" {
		t.Errorf("renewed %v until %s", after.Subject, after.NotAfter)
	}
}

// A static pod such as kube-vip reads admin.conf once: it is restarted, too.
func TestKubeVIP(t *testing.T) {
	n := newNode(t, testnode.Options{})
	n.Pod("kube-vip", []string{"manager"}, adminConf)
	n.runs(fact.Process{PID: 8, Start: testnode.Start, Args: []string{"kube-vip", "manager"}, Contained: true})
	p := n.plan(plan.RenewOptions{Names: []string{"admin.conf"}})
	if got := steps(p); len(got) != 2 || got[1] != "restart kube-vip" || p.Steps[1].Stop.PID != 8 {
		t.Fatalf("%v, %v", got, p.Notes)
	}
	p.Steps = p.Steps[:1] // no such process is here to be ended
	if _, err := n.run(p); err != nil {
		t.Fatal(err)
	}
	for _, f := range n.look().Findings {
		if f.Code == finding.ClientIdentityStale && f.ID.Name() == path.Base(adminConf) {
			return
		}
	}
	t.Error("that it still uses the old certificate is not said")
}
