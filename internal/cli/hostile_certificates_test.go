// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"crypto/x509"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/testnode"
)

var (
	forServers = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	forClients = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
)

// proxy issues the front-proxy client anew, with a change.
func proxy(n *testnode.Node, change func(*testnode.Leaf)) *testnode.Pair {
	leaf := testnode.Leaf{Name: "front-proxy-client", Usage: forClients}
	change(&leaf)
	return n.Issue("front-proxy-ca", "front-proxy-client", leaf)
}

// with is a change of the certificate's template.
func with(change func(*x509.Certificate)) func(*testing.T, *testnode.Node) {
	return func(_ *testing.T, n *testnode.Node) { proxy(n, func(l *testnode.Leaf) { l.Change = change }) }
}

// hostileCertificates are well-formed certificates with content that is wrong,
// extreme or meant to mislead.
func hostileCertificates() []bad {
	now := time.Now()
	year9999 := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	return []bad{
		{name: "expired leaf", change: func(_ *testing.T, n *testnode.Node) {
			proxy(n, func(l *testnode.Leaf) { l.Start, l.End = now.AddDate(-1, 0, 0), now.AddDate(0, 0, -1) })
		}, exit: 11},
		{name: "expired CA", change: func(_ *testing.T, n *testnode.Node) {
			ca := n.SignKey(nil, n.CAs["front-proxy-ca"].Key, testnode.Leaf{Name: "front-proxy-ca", Start: now.AddDate(-10, 0, 0), End: now.AddDate(0, 0, -1), Change: asCA})
			n.WritePair(pki+"/front-proxy-ca", ca)
		}, want: []string{"cp1/front-proxy-client LeafOutlivesCA"}, exit: 11, says: []string{"its CA (cp1/front-proxy-ca) ends first"}},
		{name: "year 9999", change: func(_ *testing.T, n *testnode.Node) {
			proxy(n, func(l *testnode.Leaf) { l.End = year9999 })
		}, want: []string{"cp1/front-proxy-client LeafOutlivesCA"}},
		{name: "CA until the year 9999", change: func(_ *testing.T, n *testnode.Node) {
			ca := n.SignKey(nil, n.CAs["front-proxy-ca"].Key, testnode.Leaf{Name: "front-proxy-ca", End: year9999, Change: asCA})
			n.WritePair(pki+"/front-proxy-ca", ca)
		}},
		{name: "end before start", change: func(_ *testing.T, n *testnode.Node) {
			proxy(n, func(l *testnode.Leaf) { l.Start, l.End = now.Add(-time.Hour), now.AddDate(-1, 0, 0) })
		}, exit: 11},
		{name: "year 1950", change: func(_ *testing.T, n *testnode.Node) {
			proxy(n, func(l *testnode.Leaf) {
				l.Start, l.End = time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(1951, 1, 1, 0, 0, 0, 0, time.UTC)
			})
		}, exit: 11},
		{name: "not valid yet", change: func(_ *testing.T, n *testnode.Node) {
			proxy(n, func(l *testnode.Leaf) { l.Start = now.AddDate(0, 0, 2) })
		}, want: []string{"cp1/clock ClockSuspect", "cp1/front-proxy-client CertificateNotYetValid"}, exit: 11},
		{name: "huge serial number", change: with(func(c *x509.Certificate) { c.SerialNumber = new(big.Int).Lsh(big.NewInt(1), 152) })},
		{name: "no common name", change: with(func(c *x509.Certificate) { c.Subject.CommonName = "" })},
		{name: "no common name in the kubelet's certificate", change: func(_ *testing.T, n *testnode.Node) {
			p := n.Sign(n.CAs["ca"], testnode.Leaf{Organization: "system:nodes", Usage: forClients})
			n.Write("/var/lib/kubelet/pki/kubelet-client-2026.pem", 0o600, append(testnode.CertPEM(p.Cert), n.KeyPEM(p)...))
		}},
		{name: "10,000 alternative names", change: with(func(c *x509.Certificate) {
			for i := range 10_000 {
				c.DNSNames = append(c.DNSNames, fmt.Sprintf("host-%d.example.org", i))
			}
		})},
		{name: "signature with SHA-1", node: testnode.Options{Key: "rsa"}, change: sha1Signature,
			want: []string{"cp1/front-proxy-client ChainBroken"}, exit: 11, says: []string{"SHA1"}},
		{name: "signature with MD5", node: testnode.Options{Key: "rsa"}, change: md5Signature,
			want: []string{"cp1/front-proxy-client ChainBroken"}, exit: 11, says: []string{"MD5"}},
		{name: "serial number zero", change: zeroSerial},
		{name: "usage of a client in a server", change: func(_ *testing.T, n *testnode.Node) {
			dns, ips := n.ServingNames()
			n.Issue("ca", "apiserver", testnode.Leaf{Name: "kube-apiserver", DNS: dns, IPs: ips, Usage: forClients})
		}, want: []string{"cp1/apiserver ChainBroken"}, exit: 11},
		{name: "leaf that is a CA", change: with(asCA)},
		{name: "name with dots and slashes for the node", change: func(_ *testing.T, n *testnode.Node) {
			p := n.Sign(n.CAs["ca"], testnode.Leaf{Name: "system:node:../../etc/passwd", Organization: "system:nodes", Usage: forClients})
			n.Write("/var/lib/kubelet/pki/kubelet-client-2026.pem", 0o600, append(testnode.CertPEM(p.Cert), n.KeyPEM(p)...))
		}},
	}
}

func asCA(c *x509.Certificate) { c.IsCA, c.KeyUsage = true, c.KeyUsage|x509.KeyUsageCertSign }

const injection = "\x1b[31mred\x1b[0m\x1b]0;title\a\r\u202egpj.exe\u2066\u009b31m\u200b<script>alert(1)</script>"

// injected must not stand in any output as it is.
var injected = []string{"\x1b", "\a", "\r", "\u202e", "\u2066", "\u009b", "\u200b"}

// hostileNames put what terminals and pages act upon wherever a name may stand.
func hostileNames() []bad {
	return []bad{
		{name: "escape codes in the common name", never: injected, change: with(func(c *x509.Certificate) { c.Subject.CommonName = injection })},
		{name: "escape codes in the organization", never: injected, change: with(func(c *x509.Certificate) { c.Subject.Organization = []string{injection, "\n\nFORGED LINE"} })},
		{name: "escape codes in an alternative name", never: injected, change: with(func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, sanExtension(2, "\x1b[31m.example.org"))
		})},
		{name: "NUL in an alternative name", never: []string{"\x00"}, change: with(func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, sanExtension(2, "cp1\x00.example.org"))
		})},
		{name: "escape codes in a mail address", never: injected, change: with(func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, sanExtension(1, "a@\x1b[31m"))
		})},
		{name: "a common name of 60,000 bytes", change: with(func(c *x509.Certificate) { c.Subject.CommonName = strings.Repeat("long ", 12_000) })},
		{name: "escape codes in the node's name", never: injected, change: func(_ *testing.T, n *testnode.Node) {
			p := n.Sign(n.CAs["ca"], testnode.Leaf{Name: "system:node:cp1" + injection, Organization: "system:nodes", Usage: forClients})
			n.Write("/var/lib/kubelet/pki/kubelet-client-2026.pem", 0o600, append(testnode.CertPEM(p.Cert), n.KeyPEM(p)...))
		}},
		{name: "escape codes in an unknown CA's name", never: injected, change: func(_ *testing.T, n *testnode.Node) {
			ca := n.Sign(nil, testnode.Leaf{Name: injection, Change: asCA})
			n.WritePair(pki+"/front-proxy-client", n.Sign(ca, testnode.Leaf{Name: "front-proxy-client", Usage: forClients}))
		}, want: []string{"cp1/front-proxy-client ChainBroken"}, exit: 11},
	}
}
