// SPDX-License-Identifier: Apache-2.0

//go:build linux

package execute_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/testnode"
)

// making is a node on which a copy is stale, a kubelet.conf has to be turned and
// a CA's key is elsewhere; and of the others that are named the files are
// missing.
func making(t *testing.T, names []string) (n *testnode.Node, missing, made []string) {
	n = testnode.New(t, testnode.Options{Key: "ed25519"})
	n.Write(requests+"/README", 0o600, nil)
	n.Write("/root/.kube/config", 0o640, n.Read(adminConf))
	n.Write(kubeletConf, 0o600, n.Kubeconfig(n.CAs["ca"].Cert, n.Sign(n.CAs["ca"], testnode.Leaf{Name: "system:node:cp1", Organization: "system:nodes"}), "system:node:cp1"))
	rotated := n.Sign(n.CAs["ca"], testnode.Leaf{Name: "system:node:cp1", Organization: "system:nodes", End: testnode.Start.AddDate(2, 0, 0)})
	n.Write("/var/lib/kubelet/pki/kubelet-client-2026.pem", 0o600, append(testnode.CertPEM(rotated.Cert), n.KeyPEM(rotated)...))
	n.Remove(pkiDir + "/front-proxy-ca.key")
	for name, files := range map[string][]string{"etcd-peer": {pkiDir + "/etcd/peer.crt", pkiDir + "/etcd/peer.key"}, "scheduler.conf": {"/etc/kubernetes/scheduler.conf"}} {
		if slices.Contains(names, name) {
			missing = append(missing, "cp1/"+name+" FileMissing")
			made = append(made, files...)
		}
	}
	for _, file := range made {
		n.Remove(file)
	}
	age(t, n.Root)
	return n, missing, append(made, requests+"/front-proxy-client.csr")
}

// The power fails while files are made, asked for, refreshed and turned.
func TestPowerFailuresOfMaking(t *testing.T) {
	for name, c := range map[string]struct {
		want  []string
		undo  bool
		depth int
	}{
		"all": {[]string{"renew admin.conf", "create etcd-peer", "request front-proxy-client", "turn kubelet.conf", "create scheduler.conf",
			"refresh admin.conf@/root/.kube/config", "restart kube-scheduler"}, false, 0},
		"undo of all":      {nil, true, 0},
		"twice, a pair":    {[]string{"create etcd-peer"}, false, 1},
		"twice, a request": {[]string{"request front-proxy-client"}, false, 1},
		"twice, a copy":    {[]string{"renew admin.conf", "refresh admin.conf@/root/.kube/config"}, false, 1},
		"twice, a turn":    {[]string{"turn kubelet.conf"}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := plan.RenewOptions{ID: "p1", Create: true, Names: []string{"admin.conf", "etcd-peer", "front-proxy-client", "kubelet.conf", "scheduler.conf"}}
			if c.want != nil && len(c.want) < len(o.Names) {
				_, first, _ := strings.Cut(c.want[0], " ")
				o.Names = []string{first}
			}
			n, missing, made := making(t, o.Names)
			run := crashes{t: t, depth: c.depth, undo: c.undo, scope: fact.Scope{RequestDir: requests}, broken: missing, made: made}
			if c.undo {
				run.first(n.Root, o)
				age(t, n.Root)
			}
			run.all(n.Root, false, func(tr *tree) plan.Plan {
				if c.undo {
					return tr.renewalOrUndo(true, false, nil)
				}
				p := tr.plan(o)
				if got := steps(p); !slices.Equal(got, c.want) {
					t.Fatalf("steps %v, want %v; notes %v", got, c.want, p.Notes)
				}
				return p
			})
		})
	}
}

// first does a plan that is not cut off.
func (c *crashes) first(root string, o plan.RenewOptions) {
	c.t.Helper()
	tr := boot(c.t, root, nil)
	tr.scope.RequestDir = c.scope.RequestDir
	p := tr.plan(o)
	if out, err := tr.runner.Run(context.Background(), p); err != nil || out.Result != journal.Done {
		c.t.Fatalf("%+v, %v", out, err)
	}
}

// The power fails while what an external CA signed is put in place: for the
// key in use, for another one, and for one that was missing.
func TestPowerFailuresOfAccepting(t *testing.T) {
	for name, c := range map[string]struct {
		names  []string
		newKey bool
		undo   bool
		depth  int
	}{
		"same key":             {names: []string{"apiserver", "scheduler.conf"}},
		"new key":              {names: []string{"apiserver", "scheduler.conf"}, newKey: true},
		"undo of new key":      {names: []string{"apiserver", "scheduler.conf"}, newKey: true, undo: true},
		"missing":              {names: []string{"front-proxy-client", "controller-manager.conf"}},
		"undo of missing":      {names: []string{"front-proxy-client", "controller-manager.conf"}, undo: true},
		"twice, missing":       {names: []string{"front-proxy-client"}, depth: 1},
		"twice, with new keys": {names: []string{"apiserver"}, newKey: true, depth: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := testnode.New(t, testnode.Options{Key: "ed25519"})
			signedElsewhere(n)
			run := crashes{t: t, depth: c.depth, undo: c.undo, scope: fact.Scope{RequestDir: requests}}
			for _, name := range c.names {
				files := map[string][]string{
					"front-proxy-client":      {pkiDir + "/front-proxy-client.crt", pkiDir + "/front-proxy-client.key"},
					"controller-manager.conf": {"/etc/kubernetes/controller-manager.conf"},
				}[name]
				for _, file := range files {
					n.Remove(file)
					run.broken = append(run.broken, "cp1/"+name+" FileMissing")
					run.made = append(run.made, file)
				}
			}
			age(t, n.Root)
			run.first(n.Root, plan.RenewOptions{ID: "p0", Create: true, Names: c.names, NewKey: c.newKey})
			for _, name := range c.names {
				ca := map[bool]string{true: "front-proxy-ca", false: "ca"}[name == "front-proxy-client"]
				sign(t, n, time.Now(), ca, name, nil)
			}
			o := plan.RenewOptions{ID: "p1", Create: true, Names: c.names}
			if c.undo {
				age(t, n.Root)
				run.first(n.Root, o)
			}
			age(t, n.Root)
			run.all(n.Root, c.newKey, func(tr *tree) plan.Plan {
				if c.undo {
					return tr.renewalOrUndo(true, false, nil)
				}
				p := tr.plan(o)
				if len(p.Steps) < len(c.names) {
					t.Fatalf("steps %v; notes %v", steps(p), p.Notes)
				}
				for _, s := range p.Steps {
					if s.Verb != plan.Accept && s.Verb != plan.Restart {
						t.Fatalf("steps %v; notes %v", steps(p), p.Notes)
					}
				}
				return p
			})
		})
	}
}
