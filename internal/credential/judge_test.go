// SPDX-License-Identifier: Apache-2.0

package credential_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/credential"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/testnode"
)

var now = testnode.Start.Add(time.Hour)

// judge looks at a node's files and judges them together with further facts.
func judge(t *testing.T, n *testnode.Node, more ...fact.Fact) []finding.Finding {
	t.Helper()
	rec, l := source.Survey(context.Background(), fact.Scope{Root: n.Root, KubernetesDir: "/etc/kubernetes"}, source.Options{})
	for i, f := range rec.Facts {
		switch f := f.(type) { // what a test writes is newer than its clock
		case fact.File:
			f.Meta.ModTime = testnode.Start
			rec.Facts[i] = f
		case fact.Node:
			f.Now = now
			rec.Facts[i] = f
		}
	}
	if len(more) > 0 {
		rec.Facts = append(rec.Facts, more...)
		rec.Scope.Root = "/"
		l = layout.Discover(rec.Scope, rec.Facts)
	}
	findings, _ := credential.Judge(l, rec.Facts)
	return findings
}

// faults are the findings that say more than that something is there and when
// it ends, as "ID Code".
func faults(findings []finding.Finding) []string {
	var all []string
	for _, f := range findings {
		if f.Code != finding.CertificateExpires && f.Code != finding.CAExpires && f.Code != finding.SigningKey {
			all = append(all, fmt.Sprintf("%s %s", f.ID, f.Code))
		}
	}
	return all
}

func find(t *testing.T, findings []finding.Finding, id fact.ID, code finding.Code) finding.Finding {
	t.Helper()
	for _, f := range findings {
		if f.ID == id && f.Code == code {
			return f
		}
	}
	t.Fatalf("no %s for %s in %v", code, id, faults(findings))
	return finding.Finding{}
}

func TestHealthyNode(t *testing.T) {
	for _, o := range []testnode.Options{
		{}, {Key: "rsa"}, {Key: "ed25519"}, {CertDir: "/etc/kubernetes/ssl"}, {CertDir: "/opt/site/pki"}, {External: true},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			findings := judge(t, testnode.New(t, o))
			if got := faults(findings); len(got) > 0 {
				t.Errorf("a healthy node has faults: %v", got)
			}
			var ids []string
			for _, f := range findings {
				ids = append(ids, string(f.ID))
				if f.Class == finding.Notice && f.Code != finding.SigningKey {
					t.Errorf("%s counts as unused", f.ID)
				}
			}
			want := []string{
				"cp1/admin.conf", "cp1/apiserver", "cp1/apiserver-etcd-client", "cp1/apiserver-kubelet-client", "cp1/ca",
				"cp1/controller-manager.conf", "cp1/etcd-ca", "cp1/etcd-healthcheck-client", "cp1/etcd-peer", "cp1/etcd-server",
				"cp1/front-proxy-ca", "cp1/front-proxy-client", "cp1/kubelet", "cp1/kubelet.conf", "cp1/sa", "cp1/scheduler.conf", "cp1/super-admin.conf",
			}
			if o.External {
				want = slices.DeleteFunc(want, func(id string) bool {
					return id == "cp1/etcd-healthcheck-client" || id == "cp1/etcd-peer" || id == "cp1/etcd-server"
				})
			}
			if !slices.Equal(ids, want) {
				t.Errorf("credentials\n got %v\nwant %v", ids, want)
			}
		})
	}
}

func TestWorker(t *testing.T) {
	findings := judge(t, testnode.New(t, testnode.Options{Name: "worker7", Worker: true}))
	var ids []string
	for _, f := range findings {
		ids = append(ids, string(f.ID))
	}
	if want := []string{"worker7/ca", "worker7/kubelet", "worker7/kubelet.conf"}; !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
	if f := find(t, findings, "worker7/kubelet.conf", finding.CertificateExpires); f.Class != finding.SelfRenewed || f.Keeper != finding.KeeperKubelet {
		t.Errorf("the kubelet's own renewal is not seen: %s, %s", f.Class, f.Keeper)
	}
}

const pki = "/etc/kubernetes/pki"

func TestFaults(t *testing.T) {
	usage := []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, c := range []struct {
		name   string
		change func(*testnode.Node)
		want   []string
		reason string
	}{
		{"key of another certificate", func(n *testnode.Node) {
			n.Write(pki+"/apiserver.key", 0o600, n.Read(pki+"/front-proxy-client.key"))
		}, []string{"cp1/apiserver KeyMismatch"}, "apiserver.key does not belong to"},
		{"service-account pair of two clusters", func(n *testnode.Node) {
			n.Write(pki+"/sa.key", 0o600, n.Read(pki+"/ca.key"))
		}, []string{"cp1/sa KeyMismatch"}, "does not hold the public side"},
		{"readable key", func(n *testnode.Node) { n.Write(pki+"/ca.key", 0o644, n.Read(pki+"/ca.key")) },
			[]string{"cp1/ca KeyReadable"}, "mode 0644"},
		{"readable kubeconfig", func(n *testnode.Node) {
			n.Write("/etc/kubernetes/admin.conf", 0o644, n.Read("/etc/kubernetes/admin.conf"))
		}, []string{"cp1/admin.conf KeyReadable"}, "mode 0644"},
		{"truncated certificate", func(n *testnode.Node) {
			n.Write(pki+"/apiserver.crt", 0o644, n.Read(pki + "/apiserver.crt")[:300])
		}, []string{"cp1/apiserver FileMalformed"}, "apiserver.crt"},
		{"missing certificate", func(n *testnode.Node) { n.Remove(pki + "/apiserver-etcd-client.crt") },
			[]string{"cp1/apiserver-etcd-client FileMissing"}, "is not there"},
		{"missing key", func(n *testnode.Node) { n.Remove(pki + "/etcd/server.key") },
			[]string{"cp1/etcd-server FileMissing"}, "server.key is not there"},
		{"kubelet's file is gone", func(n *testnode.Node) { n.Remove("/var/lib/kubelet/pki/kubelet-client-2026.pem") },
			[]string{"cp1/kubelet.conf FileMissing"}, "kubelet-client-current.pem"},
		{"manifest that is no YAML", func(n *testnode.Node) {
			n.Write("/etc/kubernetes/manifests/extra.yaml", 0o600, []byte("kind: [Pod\nmetadata"))
		}, []string{"cp1/extra.yaml FileMalformed"}, "no YAML of a pod"},
		{"copy beside a manifest", func(n *testnode.Node) {
			n.Write("/etc/kubernetes/manifests/kube-scheduler.yaml.bak", 0o600, n.Read("/etc/kubernetes/manifests/kube-scheduler.yaml"))
		}, []string{"cp1/kube-scheduler.yaml.bak ManifestDuplicate"}, "same pod as /etc/kubernetes/manifests/kube-scheduler.yaml"},
		{"leaf of another CA", func(n *testnode.Node) {
			n.WritePair(pki+"/front-proxy-client", n.Sign(n.NewCA("front-proxy-ca"), testnode.Leaf{Name: "front-proxy-client", Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}))
		}, []string{"cp1/front-proxy-client ChainBroken"}, ""},
		{"new CA of the same name, old leaves", func(n *testnode.Node) {
			n.WritePair(pki+"/front-proxy-ca", n.NewCA("front-proxy-ca"))
		}, []string{"cp1/front-proxy-client ChainBroken"}, ""},
		{"leaf outlives its CA", func(n *testnode.Node) {
			n.Issue("etcd-ca", "etcd/healthcheck-client", testnode.Leaf{Name: "kube-etcd-healthcheck-client", Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, End: testnode.Start.AddDate(20, 0, 0)})
		}, []string{"cp1/etcd-healthcheck-client LeafOutlivesCA"}, "its CA (cp1/etcd-ca) ends first"},
		{"address not covered", func(n *testnode.Node) {
			dns, _ := n.ServingNames()
			n.Issue("ca", "apiserver", testnode.Leaf{Name: "kube-apiserver", DNS: dns, IPs: []string{"10.96.0.1"}, Usage: usage})
		}, []string{"cp1/apiserver SANMissing"}, "192.0.2.10"},
		{"certificates of another node", func(n *testnode.Node) {
			n.Issue("ca", "apiserver", testnode.Leaf{Name: "kube-apiserver", DNS: []string{"cp2", "kubernetes", "kubernetes.default.svc"}, IPs: []string{"10.96.0.1", "192.0.2.11"}, Usage: usage})
			n.Issue("etcd-ca", "etcd/server", testnode.Leaf{Name: "cp2", DNS: []string{"cp2", "localhost"}, IPs: []string{"192.0.2.11", "127.0.0.1"}, Usage: usage})
		}, []string{"cp1/apiserver CertificateFromOtherNode", "cp1/etcd-server CertificateFromOtherNode"}, "it names cp2, and this node is cp1"},
		{"not valid yet", func(n *testnode.Node) {
			n.Issue("front-proxy-ca", "front-proxy-client", testnode.Leaf{Name: "front-proxy-client", Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, Start: now.AddDate(0, 0, 2)})
		}, []string{"cp1/clock ClockSuspect", "cp1/front-proxy-client CertificateNotYetValid"}, "is dated 2026-11-24T09:00:00Z"},
		{"kubeconfig with another CA", func(n *testnode.Node) {
			n.Write("/etc/kubernetes/scheduler.conf", 0o600, n.Kubeconfig(n.NewCA("kubernetes").Cert,
				n.Sign(n.CAs["ca"], testnode.Leaf{Name: "system:kube-scheduler", Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}), "system:kube-scheduler"))
		}, []string{"cp1/scheduler.conf/ca ChainBroken"}, "did not sign the API server's serving certificate"},
		{"kubeconfig with a foreign key", func(n *testnode.Node) {
			p := n.Sign(n.CAs["ca"], testnode.Leaf{Name: "system:kube-scheduler", Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
			p.Key = n.CAs["ca"].Key
			n.Write("/etc/kubernetes/scheduler.conf", 0o600, n.Kubeconfig(n.CAs["ca"].Cert, p, "system:kube-scheduler"))
		}, []string{"cp1/scheduler.conf KeyMismatch"}, "does not belong to its certificate"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := testnode.New(t, testnode.Options{})
			c.change(n)
			findings := judge(t, n)
			if got := faults(findings); !slices.Equal(got, c.want) {
				t.Errorf("faults\n got %v\nwant %v", got, c.want)
			}
			reasons := ""
			for _, f := range findings {
				reasons += f.Reason + "\n"
			}
			if !strings.Contains(reasons, c.reason) {
				t.Errorf("no reason holds %q:\n%s", c.reason, reasons)
			}
			for _, f := range findings {
				if f.Fix == "" || f.Effect == "" || f.Class == "" {
					t.Errorf("%s %s lacks a fix, an effect or a class: %+v", f.ID, f.Code, f)
				}
			}
		})
	}
}

func TestEffectiveEndIsTheEarliest(t *testing.T) {
	n := testnode.New(t, testnode.Options{CALife: 100 * 24 * time.Hour})
	f := find(t, judge(t, n), "cp1/apiserver", finding.CertificateExpires)
	if want := testnode.Start.AddDate(0, 0, 100); !f.End.Date.Equal(want) {
		t.Errorf("the end is %s, want the CA's %s", f.End.Date, want)
	}
	if f.Evidence.Certificate.NotAfter.Equal(f.End.Date) {
		t.Error("the evidence must keep the certificate's own date")
	}
	if f.Evidence.IssuerID != "cp1/ca" {
		t.Errorf("the issuer is %q, want cp1/ca", f.Evidence.IssuerID)
	}
}

func TestBundles(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	old := n.NewCA("kubernetes")
	n.WriteCert(pki+"/ca.crt", n.CAs["ca"].Cert, old.Cert)
	findings := judge(t, n)
	if f := find(t, findings, "cp1/ca#2", finding.CAExpires); f.Class != finding.Notice {
		t.Errorf("a CA that signed nothing is a %s", f.Class)
	}
	if f := find(t, findings, "cp1/ca", finding.CAExpires); f.Class != finding.TrustAnchor {
		t.Errorf("the CA in use is a %s", f.Class)
	}
	if got := faults(findings); len(got) > 0 {
		t.Errorf("a bundle is no fault: %v", got)
	}
}

func TestUnclaimed(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	n.WriteCert(pki+"/old/apiserver.crt", n.Sign(n.CAs["ca"], testnode.Leaf{Name: "kube-apiserver", End: now.AddDate(0, 0, -3)}).Cert)
	f := find(t, judge(t, n), "cp1/pki/old/apiserver.crt", finding.CertificateExpires)
	if f.Class != finding.Notice {
		t.Errorf("a certificate that nothing names is a %s, want a notice", f.Class)
	}
}

// process is a component of the node as it runs: with its manifest's flags.
func process(t *testing.T, n *testnode.Node, name string, start time.Time) fact.Process {
	t.Helper()
	m := layout.ParseManifest("", fact.Meta{}, n.Read("/etc/kubernetes/manifests/"+name+".yaml"))
	return fact.Process{PID: len(name), Start: start, Args: m.Containers[0].Args}
}

func TestServedAndIdentity(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	leaf := testnode.Leaf{Name: "kube-apiserver", DNS: []string{"cp1"}, End: now.AddDate(0, 1, 0)}
	old := n.Sign(n.CAs["ca"], leaf)
	loop := n.Sign(n.NewCA("apiserver-loopback-client-ca"), testnode.Leaf{Name: "apiserver-loopback-client@1", DNS: []string{layout.LoopbackSNI}, End: now.AddDate(3, 0, 0)})
	before, after := testnode.Start.Add(-time.Hour), testnode.Start.Add(time.Minute)
	findings := judge(t, n,
		fact.Node{Hostname: "host", Root: "/", Now: now},
		process(t, n, "kube-apiserver", before),
		process(t, n, "kube-controller-manager", before),
		process(t, n, "kube-scheduler", after),
		fact.Served{Endpoint: "127.0.0.1:6443", Certs: []fact.Cert{{Certificate: old.Cert}}},
		fact.Served{Endpoint: "127.0.0.1:6443", SNI: layout.LoopbackSNI, Certs: []fact.Cert{{Certificate: loop.Cert}}},
	)
	want := []string{"cp1/apiserver ServedCertificateStale", "cp1/apiserver-loopback LoopbackExpires", "cp1/controller-manager.conf ClientIdentityStale"}
	if got := faults(findings); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	stale := find(t, findings, "cp1/controller-manager.conf", finding.ClientIdentityStale)
	if id := stale.Evidence.Identity[0]; id.Grade != finding.Seen || id.Current {
		t.Errorf("the controller manager's identity: %+v", id)
	}
	for id, grade := range map[fact.ID]finding.Grade{"cp1/scheduler.conf": finding.Seen, "cp1/apiserver-etcd-client": finding.ByRule, "cp1/front-proxy-client": finding.ByRule} {
		f := find(t, findings, id, finding.CertificateExpires)
		if len(f.Evidence.Identity) == 0 || f.Evidence.Identity[0].Grade != grade || !f.Evidence.Identity[0].Current {
			t.Errorf("%s: identity %+v, want %s and current", id, f.Evidence.Identity, grade)
		}
	}
	if f := find(t, findings, "cp1/apiserver", finding.CertificateExpires); !f.End.Date.Equal(old.Cert.NotAfter) {
		t.Errorf("the effective end is %s, want that of the served certificate %s", f.End.Date, old.Cert.NotAfter)
	}
}

// A single file that is mounted into a container stays the old one after a
// rename; the process's own view of it says so, whatever the times say.
func TestViewBeatsTimes(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	p := process(t, n, "kube-scheduler", testnode.Start.Add(time.Hour))
	view := fact.View{PID: p.PID, Path: "/etc/kubernetes/scheduler.conf", Inode: 1, Fingerprint: "sha256:00"}
	got := faults(judge(t, n, fact.Node{Now: now}, p, view))
	if want := []string{"cp1/scheduler.conf ClientIdentityStale"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// kubeadm writes into the file, which the process sees through its mount; a
// rename of the same content afterwards does not make it current.
func TestWrittenInPlaceAndThenReplaced(t *testing.T) {
	for name, c := range map[string]struct {
		written time.Duration // after the start of the process
		want    []string
	}{
		"after the start":  {time.Minute, []string{"cp1/scheduler.conf ClientIdentityStale"}},
		"before the start": {-time.Minute, []string{}},
	} {
		n := testnode.New(t, testnode.Options{})
		p := process(t, n, "kube-scheduler", testnode.Start.Add(time.Hour))
		same := find(t, judge(t, n, fact.Node{Now: now}, p), "cp1/scheduler.conf", finding.CertificateExpires).Evidence.Certificate.Fingerprint
		view := fact.View{PID: p.PID, Path: "/etc/kubernetes/scheduler.conf", Inode: 1, ModTime: p.Start.Add(c.written), Fingerprint: same}
		if got := faults(judge(t, n, fact.Node{Now: now}, p, view)); !slices.Equal(got, c.want) {
			t.Errorf("written %s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestAnotherServer(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	other := n.Sign(n.NewCA("somebody"), testnode.Leaf{Name: "nginx", DNS: []string{"nginx"}})
	got := faults(judge(t, n, fact.Node{Now: now}, fact.Served{Endpoint: "127.0.0.1:6443", Certs: []fact.Cert{{Certificate: other.Cert}}}))
	if want := []string{"cp1/apiserver ServedCertificateUnknown"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Where the loopback certificate was not shown, its end follows from the start
// of the process and the version's rule, and is marked as estimated.
func TestLoopbackByRule(t *testing.T) {
	for version, days := range map[string]int{"v1.25.0": 365, "v1.32.2": 365, "v1.33.0": 1096, "v1.37.0": 1096} {
		n := testnode.New(t, testnode.Options{Version: version})
		start := testnode.Start.Add(-time.Minute)
		f := find(t, judge(t, n, fact.Node{Now: now}, process(t, n, "kube-apiserver", start)), "cp1/apiserver-loopback", finding.LoopbackExpires)
		if want := start.Add(-time.Hour).AddDate(0, 0, days); !f.End.Date.Equal(want) || f.End.Basis != finding.Estimated {
			t.Errorf("%s: %s %s, want %s estimated", version, f.End.Date, f.End.Basis, want)
		}
	}
}

// A vendor that patched the validity is recognised by what is served.
func TestUnusualLoopback(t *testing.T) {
	n := testnode.New(t, testnode.Options{Version: "v1.32.2"})
	loop := n.Sign(nil, testnode.Leaf{Name: "apiserver-loopback-client@1", DNS: []string{layout.LoopbackSNI}, End: testnode.Start.AddDate(10, 0, 0)})
	f := find(t, judge(t, n, fact.Node{Now: now}, fact.Served{Endpoint: "127.0.0.1:6443", SNI: layout.LoopbackSNI, Certs: []fact.Cert{{Certificate: loop.Cert}}}),
		"cp1/apiserver-loopback", finding.LoopbackExpires)
	if notes := fmt.Sprint(f.Evidence.Notes); !strings.Contains(notes, "built with another validity") || !f.End.Date.Equal(loop.Cert.NotAfter) {
		t.Errorf("end %s, notes %s", f.End.Date, notes)
	}
}

func TestOutside(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	serving := n.Sign(n.CAs["ca"], testnode.Leaf{Name: "kube-apiserver", DNS: []string{"kubernetes"}})
	loopback := func(years int) fact.Served {
		p := n.Sign(nil, testnode.Leaf{Name: "apiserver-loopback-client@1", DNS: []string{layout.LoopbackSNI}, End: testnode.Start.AddDate(years, 0, 0)})
		return fact.Served{Endpoint: "lb:6443", SNI: layout.LoopbackSNI, Certs: []fact.Cert{{Certificate: p.Cert}}}
	}
	facts := []fact.Fact{
		fact.Served{Endpoint: "lb:6443", Certs: []fact.Cert{{Certificate: serving.Cert}}},
		loopback(3), loopback(1), loopback(2),
		fact.Served{Endpoint: "proxy:443", SNI: layout.LoopbackSNI, Certs: []fact.Cert{{Certificate: serving.Cert}}},
	}
	scope := fact.Scope{Endpoints: []string{"lb:6443", "proxy:443"}}
	findings, unseen := credential.Judge(layout.Discover(scope, facts), facts)
	var ids []string
	for _, f := range findings {
		ids = append(ids, string(f.ID))
	}
	if want := []string{"lb:6443/apiserver", "lb:6443/apiserver-loopback", "lb:6443/apiserver-loopback#2", "lb:6443/apiserver-loopback#3"}; !slices.Equal(ids, want) {
		t.Errorf("got %v, want %v", ids, want)
	}
	if first := find(t, findings, "lb:6443/apiserver-loopback", finding.LoopbackExpires); !first.End.Date.Equal(testnode.Start.AddDate(1, 0, 0)) || !strings.Contains(fmt.Sprint(first.Evidence.Notes), "3 API servers") {
		t.Errorf("the first to end: %s, %v", first.End.Date, first.Evidence.Notes)
	}
	if len(unseen) != 1 || !strings.Contains(string(unseen[0].What), "proxy:443") {
		t.Errorf("unseen: %+v", unseen)
	}
}
