// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/timeline"
)

// The serving certificate that a kubelet has made for itself is made again with its
// own key: the kubelet starts with it and serves it, the API server gets through to
// it, and every container runs on.
func TestNodeKubeletServing(t *testing.T) {
	for _, version := range nodeVersions(t)[:1] {
		t.Run(version, func(t *testing.T) {
			n := newNode(t, version)
			old, containers := n.kubeletServes(), n.containers()
			if bytes.Equal(old.RawIssuer, old.RawSubject) {
				t.Errorf("the kubelet of %s signs by an authority that it throws away, and this one is signed by %s", version, old.Issuer)
			}
			time.Sleep(2 * time.Second) // ends are whole seconds
			shown := n.run(os.Getenv("PERENNIAL_BIN"), "renew", "kubelet", "--dry-run")
			for _, want := range []string{"renew kubelet", "no systemd unit; restart it by hand"} { // the lab's is begun by no systemd
				if !strings.Contains(shown, want) {
					t.Errorf("the plan does not say %q:\n%s", want, shown)
				}
			}
			n.run(os.Getenv("PERENNIAL_BIN"), "renew", "kubelet", "--yes")
			if minor(version) < 31 {
				if served := n.kubeletServes(); !served.Equal(old) {
					t.Errorf("a kubelet of %s serves another certificate before it is restarted", version)
				}
			}
			pid := n.run("pgrep", "-x", "kubelet")
			n.run("kill", strings.TrimSpace(pid))
			n.until("the kubelet has started again and serves the new one", func(tl timeline.Timeline) bool {
				now, _, err := n.try("exec", "--name", n.Name, "--", "pgrep", "-x", "kubelet")
				if err != nil || now == pid {
					return false
				}
				i, ok := item(tl, fact.NodeID(n.Name, "kubelet"), finding.CertificateExpires)
				return ok && len(i.Evidence) > 0 && len(i.Evidence[0].Served) > 0 && i.Evidence[0].Served[0].Matches
			})
			now := n.kubeletServes()
			if !now.NotAfter.After(old.NotAfter) || now.SerialNumber.Cmp(old.SerialNumber) == 0 {
				t.Errorf("it serves %s until %s; before, %s until %s", now.SerialNumber, now.NotAfter, old.SerialNumber, old.NotAfter)
			}
			if !now.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(old.PublicKey) {
				t.Error("it has another key")
			}
			if now.CheckSignature(now.SignatureAlgorithm, now.RawTBSCertificate, now.Signature) != nil {
				t.Error("it is not signed with its own key")
			}
			if !bytes.Equal(now.RawSubject, old.RawSubject) || strings.Join(now.DNSNames, " ") != strings.Join(old.DNSNames, " ") {
				t.Errorf("it is for %s, %q; before, for %s, %q", now.Subject, now.DNSNames, old.Subject, old.DNSNames)
			}
			if healthy := n.run("kubectl", "get", "--raw", "/api/v1/nodes/"+n.Name+"/proxy/healthz"); strings.TrimSpace(healthy) != "ok" {
				t.Errorf("through the API server the kubelet says %q", healthy)
			}
			if after := n.containers(); after != containers {
				t.Errorf("containers were\n%s\nand are\n%s", containers, after)
			}
			if stale := withCode(n.check(), finding.ServedCertificateStale); len(stale) > 0 {
				t.Errorf("stale: %v", stale)
			}
		})
	}
}

// kubeletServes is the certificate that the kubelet shows, by a handshake that knows
// nothing of ours.
func (n *realNode) kubeletServes() *x509.Certificate {
	n.t.Helper()
	host, _, err := net.SplitHostPort(strings.TrimPrefix(n.Endpoint, "https://"))
	if err != nil {
		n.t.Fatal(err)
	}
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", net.JoinHostPort(host, "10250"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		n.t.Fatal(err)
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0]
}

// containers are those of the node's static pods, each with how often it was begun,
// when the API server has heard of all.
func (n *realNode) containers() string {
	n.t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(500 * time.Millisecond) {
		all := n.run("kubectl", "get", "pods", "-n", "kube-system", "--sort-by", ".metadata.name",
			"-o", `jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[*].containerID} {.status.containerStatuses[*].restartCount}{"\n"}{end}`)
		if strings.Count(all, "containerd://") == 4 {
			return all
		}
		if time.Now().After(deadline) {
			n.t.Fatalf("the API server has not heard of four containers:\n%s", all)
		}
	}
}
