// SPDX-License-Identifier: Apache-2.0

package execute_test

import (
	"os"
	"testing"
	"time"

	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/testnode"
)

const pkiDir = "/etc/kubernetes/pki"

// What is missing is made with the names, usages and the kind of key that
// kubeadm gives it, and starts the component again.
func TestMissingCertificate(t *testing.T) {
	for name, key := range map[string]string{"RSA": "rsa", "ECDSA": "ecdsa"} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, testnode.Options{Key: key})
			before := n.leaf("apiserver")
			for _, file := range []string{"/apiserver.crt", "/apiserver.key", "/etcd/server.crt"} {
				n.Remove(pkiDir + file)
			}
			p := n.plan(plan.RenewOptions{})
			if !notes(p, "apiserver.crt is not there; renew --create apiserver makes it as kubeadm would") {
				t.Errorf("notes %v", p.Notes)
			}
			n.now = time.Now() // nothing is due but what is missing
			n.does(plan.RenewOptions{Create: true}, "create apiserver", "create etcd-server")
			n.healthy()
			after := n.leaf("apiserver")
			if after.Subject != before.Subject || len(after.SANs) != len(before.SANs) || after.Key != before.Key {
				t.Errorf("made %+v, was %+v", after, before)
			}
			for file, mode := range map[string]os.FileMode{"apiserver.crt": 0o644, "apiserver.key": 0o600} {
				info, err := os.Stat(n.Path(pkiDir + "/" + file))
				if err != nil || info.Mode() != mode {
					t.Errorf("%s: %v, %v", file, info.Mode(), err)
				}
			}
		})
	}
}

func TestMissingKubeconfig(t *testing.T) {
	n := newNode(t, testnode.Options{})
	n.Remove("/etc/kubernetes/scheduler.conf")
	n.Remove("/etc/kubernetes/admin.conf")
	n.does(plan.RenewOptions{Create: true, Names: []string{"scheduler.conf", "admin.conf"}}, "create scheduler.conf", "create admin.conf")
	n.healthy()
	if got := n.leaf("scheduler.conf").Subject; got != "CN=system:kube-scheduler" {
		t.Errorf("scheduler.conf is %s", got)
	}
	if got := n.leaf("admin.conf").Subject; got != "CN=kubernetes-admin,O=kubeadm:cluster-admins" {
		t.Errorf("admin.conf is %s", got)
	}
}

// A certificate without its key gets a new key, and keeps its names.
func TestMissingKey(t *testing.T) {
	n := newNode(t, testnode.Options{})
	before := n.leaf("front-proxy-client")
	n.Remove(pkiDir + "/front-proxy-client.key")
	n.does(plan.RenewOptions{Create: true, Names: []string{"front-proxy-client"}}, "renew front-proxy-client")
	n.healthy()
	if after := n.leaf("front-proxy-client"); after.Subject != before.Subject || after.Fingerprint == before.Fingerprint {
		t.Errorf("made %+v", after)
	}
}

// A key that is another's is not replaced unasked.
func TestMismatchedKey(t *testing.T) {
	n := newNode(t, testnode.Options{})
	n.Write(pkiDir+"/apiserver.key", 0o600, n.Read(pkiDir+"/front-proxy-client.key"))
	p := n.plan(plan.RenewOptions{Names: []string{"apiserver"}})
	if len(p.Steps) != 0 || !notes(p, "does not belong to") || !notes(p, "--new-key") {
		t.Errorf("steps %v, notes %v", steps(p), p.Notes)
	}
	n.does(plan.RenewOptions{Names: []string{"apiserver"}, NewKey: true}, "renew apiserver")
	n.healthy()
}
