// SPDX-License-Identifier: Apache-2.0

package report

import (
	"fmt"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/timeline"
)

var (
	seen   = time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)
	issued = time.Date(2026, 2, 23, 10, 21, 9, 0, time.UTC)
	born   = time.Date(2025, 2, 23, 10, 21, 7, 0, time.UTC)
)

// cert is a leaf of one year, found as a file.
func cert(name, issuer, path string) finding.Finding {
	end := issued.AddDate(1, 0, 0)
	return finding.Finding{
		Code: finding.CertificateExpires, ID: fact.NodeID("cp1", name), End: finding.At(end),
		Effect: "whoever needs it is refused", Keeper: finding.KeeperPerson, Class: finding.Renewed,
		Life: finding.Life{Start: issued, End: end}, Fix: "kubeadm certs renew " + name,
		Evidence: finding.Evidence{
			Path: path, Mode: "0600", Owner: "0:0", IssuerID: fact.NodeID("cp1", issuer),
			Certificate: &finding.Certificate{
				Fingerprint: fmt.Sprintf("sha256:%064x", len(name)), Serial: fmt.Sprintf("%x", 0x3f2a5be100+len(name)),
				Subject: fact.Text("CN=" + name), Issuer: "CN=kubernetes", SANs: []fact.Text{"dns:cp1", "ip:10.0.0.1"},
				Usages: []string{"digitalSignature", "serverAuth"}, Key: "RSA 2048", NotBefore: issued, NotAfter: end,
			},
		},
	}
}

func ca(name, path string) finding.Finding {
	f := cert(name, name, path)
	end := born.AddDate(10, 0, 0)
	f.Code, f.Class, f.End, f.Life = finding.CAExpires, finding.TrustAnchor, finding.At(end), finding.Life{Start: born, End: end}
	f.Evidence.Certificate.CA, f.Evidence.Certificate.NotBefore, f.Evidence.Certificate.NotAfter = true, born, end
	f.Evidence.Certificate.Subject, f.Evidence.Certificate.SANs, f.Fix = "CN=kubernetes", nil, "perennial explain CAExpires"
	return f
}

// node is a kubeadm node on which some things are wrong.
func node() []finding.Finding {
	const pki = "/etc/kubernetes/pki/"
	fs := []finding.Finding{
		cert("apiserver", "ca", pki+"apiserver.crt"),
		cert("apiserver-kubelet-client", "ca", pki+"apiserver-kubelet-client.crt"),
		cert("apiserver-etcd-client", "etcd-ca", pki+"apiserver-etcd-client.crt"),
		cert("front-proxy-client", "front-proxy-ca", pki+"front-proxy-client.crt"),
		cert("etcd-server", "etcd-ca", pki+"etcd/server.crt"),
		cert("etcd-peer", "etcd-ca", pki+"etcd/peer.crt"),
		cert("etcd-healthcheck-client", "etcd-ca", pki+"etcd/healthcheck-client.crt"),
		cert("admin.conf", "ca", "/etc/kubernetes/admin.conf"),
		cert("super-admin.conf", "ca", "/etc/kubernetes/super-admin.conf"),
		cert("controller-manager.conf", "ca", "/etc/kubernetes/controller-manager.conf"),
		cert("scheduler.conf", "ca", "/etc/kubernetes/scheduler.conf"),
		ca("ca", pki+"ca.crt"),
		ca("etcd-ca", pki+"etcd/ca.crt"),
		ca("front-proxy-ca", pki+"front-proxy-ca.crt"),
	}
	scheduler := &fs[10]
	scheduler.Life.Start = issued.AddDate(0, 8, 0)
	scheduler.Life.End = scheduler.Life.Start.AddDate(1, 0, 0)
	scheduler.End = finding.At(scheduler.Life.End)
	scheduler.Evidence.Certificate.NotBefore, scheduler.Evidence.Certificate.NotAfter = scheduler.Life.Start, scheduler.Life.End

	loopback := cert("apiserver-loopback", "", "")
	loopback.Code, loopback.Keeper, loopback.Fix = finding.LoopbackExpires, finding.KeeperRestart, "crictl stop $(crictl ps -q --name kube-apiserver)"
	loopback.Life.End = issued.AddDate(3, 0, 0)
	loopback.End = finding.At(loopback.Life.End)
	loopback.Evidence.IssuerID = ""
	loopback.Evidence.Certificate.NotAfter = loopback.Life.End
	loopback.Evidence.Endpoint = "127.0.0.1:6443"
	loopback.Evidence.Served = []finding.Served{{Endpoint: "127.0.0.1:6443", SNI: "apiserver-loopback-client",
		Fingerprint: "sha256:" + strings.Repeat("0", 63) + "1", NotAfter: loopback.Life.End, Matches: true}}

	kubelet := cert("kubelet.conf", "ca", "/etc/kubernetes/kubelet.conf")
	kubelet.Class, kubelet.Keeper, kubelet.Fix = finding.SelfRenewed, finding.KeeperKubelet, "journalctl -u kubelet | grep -i certificate"

	stale := cert("scheduler.conf", "ca", "/etc/kubernetes/scheduler.conf")
	stale.Code, stale.Class, stale.Keeper = finding.ClientIdentityStale, finding.Lingering, finding.KeeperRestart
	stale.Effect, stale.Fix = "the scheduler is refused: new pods stay pending", "crictl stop $(crictl ps -q --name kube-scheduler)"
	stale.Reason = "process 2211 started before the file was renewed"
	stale.Evidence.Identity = []finding.Identity{{Component: "kube-scheduler", PID: 2211, Grade: finding.Seen, Because: "its view of the file is the old one"}}

	readable := cert("etcd-server", "etcd-ca", pki+"etcd/server.crt")
	readable.Code, readable.Class, readable.End, readable.Life = finding.KeyReadable, finding.Weakness, finding.End{}, finding.Life{}
	readable.Fix, readable.Reason = "chmod 600 "+pki+"etcd/server.key", pki+"etcd/server.key has mode 0644"

	mismatch := cert("front-proxy-client", "front-proxy-ca", pki+"front-proxy-client.crt")
	mismatch.Code, mismatch.Class, mismatch.End = finding.KeyMismatch, finding.Fault, finding.Now()
	mismatch.Reason, mismatch.Fix = pki+"front-proxy-client.key does not belong to "+pki+"front-proxy-client.crt", "restore it from a backup"

	support := finding.Finding{
		Code: finding.SupportEnds, ID: "cp1/release", End: finding.End{Date: time.Date(2027, 2, 28, 0, 0, 0, 0, time.UTC), Basis: finding.Planned},
		Effect: "the control plane runs v1.35.2: no fixes after that day, security fixes included", Keeper: finding.KeeperOwner, Class: finding.Notice,
		Evidence: finding.Evidence{Version: "v1.35.2"}, Fix: "kubeadm upgrade plan v1.36",
	}
	return append(fs, loopback, kubelet, stale, readable, mismatch, support)
}

func notSeen() []fact.Unseen {
	return []fact.Unseen{
		{Source: "wire", What: "127.0.0.1:10259", Why: fact.Unreachable, Detail: "connection refused", Hint: "is the scheduler running?"},
		{Source: "files", What: "/var/lib/kubelet/pki/kubelet-client-current.pem", Why: fact.Denied, Detail: "permission denied", Hint: "run it as root"},
	}
}

func envelope() timeline.Envelope {
	return timeline.Envelope{
		ObservedAt: seen, Tool: "perennial v0.1.0", Note: "recorded node, not this machine",
		Scope: timeline.Scope{Node: "cp1", Root: "/", KubernetesDir: "/etc/kubernetes",
			Counts: timeline.Counts{Files: 27, Certificates: 19, Endpoints: 5, Processes: 5}},
	}
}

func fixture() timeline.Timeline {
	p := policy.Default()
	p.Accepted = []policy.Acceptance{{Code: finding.CertificateExpires, ID: "cp1/super-admin.conf",
		Reason: "locked away, and renewed with the next upgrade", Until: time.Date(2027, 1, 15, 0, 0, 0, 0, time.UTC)}}
	return timeline.Build(node(), notSeen(), p, seen, envelope())
}
