// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

func TestDescribe(t *testing.T) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x0ABCDEF012345678),
		Subject:      pkix.Name{CommonName: "kubernetes-admin", Organization: []string{"kubeadm:cluster-admins"}},
		NotBefore:    time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600)),
		NotAfter:     time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageContentCommitment | x509.KeyUsageKeyEncipherment |
			x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageOCSPSigning},
		UnknownExtKeyUsage:    []asn1.ObjectIdentifier{{1, 2, 3, 4}},
		BasicConstraintsValid: true,
		IsCA:                  true,
		DNSNames:              []string{"kubernetes", "*.example.org"},
		IPAddresses:           []net.IP{net.IPv4(10, 96, 0, 1), net.ParseIP("2001:db8::1")},
		URIs:                  []*url.URL{must(url.Parse("spiffe://cluster.local/ns/a"))},
		EmailAddresses:        []string{"a@example.org"},
	}
	parent := selfSigned(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "etcd, ca+\"1\""},
		NotBefore: day, NotAfter: day, BasicConstraintsValid: true, IsCA: true,
	}, rsaKey())
	cert := parent.issuesFor(t, template, rsaKey().Public())
	got := Describe(cert)
	want := &finding.Certificate{
		Fingerprint: cert.Fingerprint(),
		Serial:      "abcdef012345678",
		Subject:     "CN=kubernetes-admin,O=kubeadm:cluster-admins",
		Issuer:      `CN=etcd\, ca\+\"1\"`,
		SANs:        []fact.Text{"dns:kubernetes", "dns:*.example.org", "ip:10.96.0.1", "ip:2001:db8::1", "uri:spiffe://cluster.local/ns/a", "email:a@example.org"},
		Usages: []string{"digitalSignature", "contentCommitment", "keyEncipherment", "keyCertSign", "cRLSign",
			"serverAuth", "clientAuth", "OCSPSigning", "1.2.3.4"},
		CA:        true,
		Key:       "RSA 2048",
		NotBefore: time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC),
		NotAfter:  time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestDescribeKeys(t *testing.T) {
	p521 := must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader))
	for want, cert := range map[string]fact.Cert{
		"RSA 2048":  selfSigned(t, server("a", 1), rsaKey()).Cert,
		"ECDSA 256": selfSigned(t, server("a", 1), someKey()).Cert,
		"ECDSA 521": selfSigned(t, server("a", 1), p521).Cert,
		"Ed25519":   selfSigned(t, server("a", 1), edKey()).Cert,
		"unknown":   {Certificate: &x509.Certificate{}},
		"DSA":       {Certificate: &x509.Certificate{PublicKeyAlgorithm: x509.DSA}},
	} {
		if got := Describe(cert).Key; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestDescribeNothing(t *testing.T) {
	if Describe(fact.Cert{}) != nil {
		t.Error("no certificate has a description")
	}
}

func TestDescribeSerials(t *testing.T) {
	huge := new(big.Int).Lsh(big.NewInt(1), 8*400) // RFC 5280 allows 20 bytes
	for _, serial := range []*big.Int{big.NewInt(1), big.NewInt(255), huge} {
		template := server("a", 1)
		template.SerialNumber = serial
		if got := Describe(selfSigned(t, template, someKey()).Cert).Serial; got != fmt.Sprintf("%x", serial) {
			t.Errorf("got %s, want %x", got, serial)
		}
	}
	// Go does not parse negative serials; a description must not mind them.
	negative := selfSigned(t, server("a", 1), someKey())
	negative.SerialNumber = big.NewInt(-31)
	if got := Describe(negative.Cert).Serial; got != "-1f" {
		t.Errorf("got %s", got)
	}
}

// The parts of a name keep their order; each is an entry of its own.
func TestDescribeNameOrder(t *testing.T) {
	sequence := pkix.RDNSequence{
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "first"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "system:masters"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "system:nodes"}},
	}
	template := server("a", 1)
	template.RawSubject = must(asn1.Marshal(sequence))
	got := Describe(selfSigned(t, template, someKey()).Cert).Subject
	if got != "O=system:nodes,O=system:masters,CN=first" {
		t.Errorf("got %s", got)
	}
}

func TestDescribeManyNames(t *testing.T) {
	template := server("a", 1)
	template.DNSNames = nil
	for i := range 10_000 {
		template.DNSNames = append(template.DNSNames, fmt.Sprintf("n%d.example.org", i))
	}
	template.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 1)}
	cert := selfSigned(t, template, someKey()).Cert
	read := Read(certPEM(cert))
	if !sameCerts(read.Certs, cert) {
		t.Fatalf("got %+v", read)
	}
	got := Describe(read.Certs[0])
	if len(got.SANs) != finding.SANLimit || got.SANsOmitted != 10_001-finding.SANLimit {
		t.Errorf("%d names, %d omitted", len(got.SANs), got.SANsOmitted)
	}
	if !Covers(cert, "n9999.example.org") {
		t.Error("the last name is not covered")
	}
}

func TestDescribeHostileNames(t *testing.T) {
	template := authority("\x1b]0;owned\a\u202e<script>\r\nOK", 1)
	template.DNSNames = []string{"a\x1b[2J.example.org"}
	got := Describe(selfSigned(t, template, someKey()).Cert)
	text := fmt.Sprintf("%v %v", got.Subject, got.SANs)
	encoded := string(must(json.Marshal(got)))
	for _, out := range []string{text, encoded} {
		if strings.ContainsAny(out, "\x1b\a\r\n\u202e") {
			t.Errorf("not safe to print: %q", out)
		}
	}
	if !strings.Contains(text, `\x1b]0\;owned\x07`) {
		t.Errorf("the name is not there: %q", text)
	}
}

func TestCovers(t *testing.T) {
	template := server("in-common-name", 1)
	template.DNSNames = []string{"api.example.org", "*.wild.example.org"}
	template.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 1), net.ParseIP("2001:db8::1")}
	cert := selfSigned(t, template, someKey()).Cert
	for host, want := range map[string]bool{
		"api.example.org":      true,
		"API.Example.ORG":      true,
		"a.wild.example.org":   true,
		"a.b.wild.example.org": false,
		"wild.example.org":     false,
		"in-common-name":       false,
		"10.0.0.1":             true,
		"10.0.0.2":             false,
		"2001:db8::1":          true,
		"2001:db8:0:0:0::1":    true,
		"[2001:db8::1]":        true,
		"2001:db8::2":          false,
		"":                     false,
		"\x00":                 false,
	} {
		if got := Covers(cert, host); got != want {
			t.Errorf("%q: %v", host, got)
		}
	}
	nameless := server("only-common-name", 1)
	nameless.DNSNames = nil
	if Covers(selfSigned(t, nameless, someKey()).Cert, "only-common-name") {
		t.Error("the common name counts")
	}
	if Covers(fact.Cert{}, "api.example.org") {
		t.Error("no certificate covers a name")
	}
}
