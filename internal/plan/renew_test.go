// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/testnode"
)

var now = testnode.Start.AddDate(0, 0, 300) // 65 days before the leaves end

// see looks at a node's files, and at the components as if they ran.
func see(t *testing.T, n *testnode.Node, running ...string) plan.Seen {
	t.Helper()
	rec, _ := source.Survey(context.Background(), fact.Scope{Root: n.Root, KubernetesDir: "/etc/kubernetes"}, source.Options{})
	for i, f := range rec.Facts {
		if node, ok := f.(fact.Node); ok {
			node.Now = now
			rec.Facts[i] = node
		}
	}
	for i, name := range running {
		if name == layout.Kubelet {
			rec.Facts = append(rec.Facts, fact.Process{PID: 100 + i, Start: testnode.Start, Args: []string{"/usr/bin/kubelet", "--config=/var/lib/kubelet/config.yaml"}, Unit: "kubelet.service", UnitRestart: "always"})
			continue
		}
		m := layout.ParseManifest("", fact.Meta{}, n.Read("/etc/kubernetes/manifests/"+name+".yaml"))
		rec.Facts = append(rec.Facts, fact.Process{PID: 100 + i, Start: testnode.Start, Args: m.Containers[0].Args})
	}
	if len(running) > 0 {
		rec.Scope.Root = "/"
	}
	return plan.See(rec)
}

func steps(p plan.Plan) []string {
	var all []string
	for _, s := range p.Steps {
		all = append(all, string(s.Verb)+" "+s.ID.Name())
	}
	return all
}

var leaves = []string{
	"renew admin.conf", "renew apiserver", "renew apiserver-etcd-client", "renew apiserver-kubelet-client", "renew controller-manager.conf",
	"renew etcd-healthcheck-client", "renew etcd-peer", "renew etcd-server", "renew front-proxy-client", "renew kubelet", "renew scheduler.conf", "renew super-admin.conf",
}

// Of a whole kubeadm node, only the controller manager and the scheduler must
// be restarted, and the kubelet where it runs; the CAs, the service-account keys and
// what the kubelet keeps are left alone.
func TestAll(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	seen := see(t, n, "kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler")
	p, err := plan.ForRenewal(seen, plan.RenewOptions{ID: "p1", Now: now, All: true, Policy: policy.Default()})
	if err != nil {
		t.Fatal(err)
	}
	want := append(slices.Clone(leaves), "restart kube-controller-manager", "restart kube-scheduler")
	if got := steps(p); !slices.Equal(got, want) {
		t.Errorf("steps\n got %v\nwant %v", got, want)
	}
	for i, s := range p.Steps {
		if s.Number != i+1 || len(s.Expect) == 0 || s.Why == "" {
			t.Errorf("step %d is incomplete: %+v", i+1, s)
		}
		for _, f := range s.Files {
			if f.Digest == "" || !strings.HasPrefix(f.Path, "/") {
				t.Errorf("step %d, %s: digest %q", s.Number, f.Path, f.Digest)
			}
		}
		if s.Sign != nil && s.Sign.Life.Duration != 365*24*time.Hour-pki.Backdate {
			t.Errorf("step %d: the life is %s, want the old certificate's", s.Number, s.Sign.Life)
		}
	}
}

func TestDue(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	n.Issue("etcd-ca", "apiserver-etcd-client", testnode.Leaf{Name: "kube-apiserver-etcd-client", End: now.AddDate(1, 0, 0)})
	for _, c := range []struct {
		at   time.Time
		want int
	}{{testnode.Start.AddDate(0, 0, 200), 0}, {now, len(leaves) - 1}} {
		p, err := plan.ForRenewal(see(t, n), plan.RenewOptions{ID: "p1", Now: c.at, Policy: policy.Default()})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Steps) != c.want || slices.Contains(steps(p), "renew apiserver-etcd-client") {
			t.Errorf("at %s: %v, want %d", c.at, steps(p), c.want)
		}
	}
}

func TestNames(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	seen := see(t, n)
	p, err := plan.ForRenewal(seen, plan.RenewOptions{Now: now, Names: []string{"apiserver", "cp1/scheduler.conf", "ca", "kubelet.conf", "kubelet"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := steps(p); !slices.Equal(got, []string{"renew apiserver", "renew kubelet", "renew scheduler.conf"}) {
		t.Errorf("steps %v", got)
	}
	notes := fmt.Sprint(p.Notes)
	for _, want := range []string{"a CA is not renewed", "the kubelet renews it itself", "kubelet does not run here", "kube-scheduler does not run here"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note says %q: %s", want, notes)
		}
	}
	if _, err := plan.ForRenewal(seen, plan.RenewOptions{Now: now, Names: []string{"apisever"}}); err == nil {
		t.Error("a name that nothing has is no error")
	}
}

func TestWithoutKey(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	n.Remove("/etc/kubernetes/pki/front-proxy-ca.key")
	p, err := plan.ForRenewal(see(t, n), plan.RenewOptions{Now: now, Names: []string{"front-proxy-client"}})
	if err != nil || len(p.Steps) != 0 || !strings.Contains(fmt.Sprint(p.Notes), "an external CA must sign it") {
		t.Errorf("%v, steps %v, notes %v", err, steps(p), p.Notes)
	}
}

// A static pod such as kube-vip that mounts admin.conf must be restarted, too.
func TestDerivedConsumer(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	n.Pod("kube-vip", []string{"manager"}, "/etc/kubernetes/admin.conf")
	p, err := plan.ForRenewal(see(t, n), plan.RenewOptions{Now: now, Names: []string{"admin.conf"}})
	if err != nil || !strings.Contains(fmt.Sprint(p.Notes), "kube-vip does not run here") {
		t.Errorf("%v, notes %v", err, p.Notes)
	}
}

func TestLifeIsCutToTheCAs(t *testing.T) {
	n := testnode.New(t, testnode.Options{CALife: 400 * 24 * time.Hour})
	p, err := plan.ForRenewal(see(t, n), plan.RenewOptions{Now: now, Names: []string{"apiserver"}})
	if err != nil || !strings.Contains(fmt.Sprint(p.Notes), "cut to that of its CA") {
		t.Errorf("%v, notes %v", err, p.Notes)
	}
}

// kubeadm up to 1.30 gave leaves the begin of their CA: what such a one says of
// its life would let each renewal live longer than the last.
func TestLifeOfALeafWithItsCAsBegin(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	late := testnode.Start.AddDate(5, 0, 0)
	n.Issue("ca", "apiserver-kubelet-client", testnode.Leaf{Name: "kube-apiserver-kubelet-client", End: late.AddDate(0, 2, 0)})
	p, err := plan.ForRenewal(see(t, n), plan.RenewOptions{Now: late, Names: []string{"apiserver-kubelet-client"}})
	if err != nil || len(p.Steps) != 1 || p.Steps[0].Sign.Life.Duration != 365*24*time.Hour-pki.Backdate || !strings.Contains(fmt.Sprint(p.Notes), "its begin is its CA's") {
		t.Errorf("%v, %+v, %v", err, p.Steps, p.Notes)
	}
}

// What the kubelet has made for itself is made again, and the kubelet restarted, where
// it is due; what somebody names, and what a CA of the cluster has signed, is not taken
// for that.
func TestTheKubeletsOwn(t *testing.T) {
	const at, key, config = "/var/lib/kubelet/pki/kubelet.crt", "/var/lib/kubelet/pki/kubelet.key", "/var/lib/kubelet/config.yaml"
	made := func(n *testnode.Node) { // as a kubelet does: with a CA that is thrown away
		ca := n.NewCA("cp1-ca@1")
		leaf := n.Sign(ca, testnode.Leaf{Name: "cp1@1", DNS: []string{"cp1"}, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
		n.Write(at, 0o644, append(testnode.CertPEM(leaf.Cert), testnode.CertPEM(ca.Cert)...))
		n.Write(key, 0o600, n.KeyPEM(leaf))
	}
	for name, c := range map[string]struct {
		change func(*testnode.Node)
		all    bool
		at     time.Time
		steps  []string
		note   string
	}{
		"due":                      {change: made, at: now, steps: []string{"renew kubelet", "restart kubelet"}},
		"self-signed":              {at: now, steps: []string{"renew kubelet", "restart kubelet"}},
		"not due":                  {change: made, at: testnode.Start.AddDate(0, 1, 0)},
		"not due, but all of them": {change: made, all: true, at: testnode.Start.AddDate(0, 1, 0)},
		"somebody names it": {at: now, change: func(n *testnode.Node) {
			made(n)
			n.Edit(config, "rotateCertificates: true", "rotateCertificates: true\ntlsCertFile: "+at+"\ntlsPrivateKeyFile: "+key)
		}, note: "the CA that signed it was not found on this node"},
		"the cluster's CA signed it": {at: now, change: func(n *testnode.Node) {
			leaf := n.Sign(n.CAs["ca"], testnode.Leaf{Name: "system:node:cp1", DNS: []string{"cp1"}, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
			n.WriteCert(at, leaf.Cert)
			n.Write(key, 0o600, n.KeyPEM(leaf))
		}, steps: []string{"renew kubelet", "restart kubelet"}},
		"its key is gone": {at: now, change: func(n *testnode.Node) { made(n); n.Remove(key) }, note: "--new-key"},
	} {
		t.Run(name, func(t *testing.T) {
			n := testnode.New(t, testnode.Options{})
			if c.change != nil {
				c.change(n)
			}
			seen := see(t, n, "kubelet")
			o := plan.RenewOptions{ID: "p", Now: c.at, All: c.all, Policy: policy.Default()}
			p, err := plan.ForRenewal(seen, o)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range p.Steps {
				if title := string(s.Verb) + " " + s.ID.Name(); strings.Contains(title, "kubelet") && s.ID.Name() != "apiserver-kubelet-client" {
					got = append(got, title)
					if own := s.Sign != nil && s.Sign.Own(); s.Verb == plan.Renew && (own == strings.Contains(name, "CA") || len(s.Files) > 2 && own) {
						t.Errorf("own %v: %+v", own, s.Files)
					}
				}
			}
			if !slices.Equal(got, c.steps) || !strings.Contains(fmt.Sprint(p.Notes), c.note) {
				t.Errorf("%v, want %v; %v", got, c.steps, p.Notes)
			}
		})
	}
}
