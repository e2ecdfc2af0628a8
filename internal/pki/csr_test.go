// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
)

func parseRequest(t testing.TB, text []byte) *x509.CertificateRequest {
	t.Helper()
	block, rest := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE REQUEST" || len(rest) > 0 {
		t.Fatalf("no request: %s", text)
	}
	request, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if err := request.CheckSignature(); err != nil {
		t.Fatal(err)
	}
	return request
}

func TestNewRequestAsksForEverything(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	for name, key := range keyPool() {
		leaf := made{ca.issuesFor(t, everything(), key.Public()), key}
		text, err := NewRequest(Wanted{Old: leaf.Cert, Key: leaf.private(t), AddDNS: []string{"more.example"}}, rand.Reader)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		request := parseRequest(t, text)
		if !bytes.Equal(request.RawSubject, leaf.RawSubject) {
			t.Errorf("%s: the name became %s", name, request.Subject)
		}
		if !bytes.Equal(request.RawSubjectPublicKeyInfo, leaf.RawSubjectPublicKeyInfo) {
			t.Errorf("%s: another key", name)
		}
		asked := map[string]pkix.Extension{}
		for _, e := range request.Extensions {
			asked[e.Id.String()] = e
		}
		for _, e := range leaf.Extensions {
			switch got, ok := asked[e.Id.String()]; {
			case has([]asn1.ObjectIdentifier{oidAuthorityKeyID, oidSubjectKeyID}, e.Id):
				if ok {
					t.Errorf("%s: the request binds to a key: %s", name, e.Id)
				}
			case e.Id.Equal(oidSANs):
			case !ok || got.Critical != e.Critical || !bytes.Equal(got.Value, e.Value):
				t.Errorf("%s: %s is asked for as %v", name, e.Id, got)
			}
		}
		if got := fmt.Sprint(request.DNSNames); got != "[z.example localhost a.example more.example]" {
			t.Errorf("%s: names %s", name, got)
		}
	}
}

func TestNewRequestRefuses(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	leaf := ca.issues(t, server("localhost", 1))
	for want, w := range map[string]Wanted{
		"either an old certificate":     {Key: leaf.private(t)},
		"there is no private key":       {Old: leaf.Cert},
		"it is a certificate authority": {Old: ca.Cert, Key: ca.private(t)},
		"CN=localhost":                  {Old: leaf.Cert, Spec: &Spec{}, Key: leaf.private(t)},
	} {
		if out, err := NewRequest(w, rand.Reader); err == nil || out != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if _, err := NewRequest(Wanted{Old: leaf.Cert, Key: leaf.private(t)}, nil); err == nil {
		t.Error("a request without randomness")
	}
}

// outside is an authority elsewhere: what it signs follows the request, except
// for what change does.
func outside(t testing.TB, ca made, w Wanted, change func(*x509.Certificate)) []byte {
	t.Helper()
	request := parseRequest(t, must(NewRequest(w, rand.Reader)))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(77), NotBefore: day, NotAfter: day.AddDate(1, 0, 0),
		Subject: request.Subject, DNSNames: request.DNSNames, IPAddresses: request.IPAddresses,
		URIs: request.URIs, EmailAddresses: request.EmailAddresses,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 99999, 1}},
	}
	public := request.PublicKey
	if change != nil {
		change(template)
	}
	if template.PublicKey != nil {
		public = template.PublicKey
	}
	return certPEM(ca.issuesFor(t, template, public))
}

func TestAccept(t *testing.T) {
	root := selfSigned(t, authority("root", 10), newKey())
	upper := root.issues(t, authority("upper", 9))
	lower := upper.issues(t, authority("lower", 8))
	old := lower.issues(t, everything())
	w := Wanted{Old: old.Cert, Key: old.private(t), AddIPs: []netip.Addr{netip.MustParseAddr("10.0.0.77")}}
	signed := outside(t, lower, w, nil)
	between := certPEM(lower.Cert, upper.Cert)
	for name, file := range map[string][]byte{
		"in order":          append(bytes.Clone(signed), between...),
		"in any order":      append(append(certPEM(upper.Cert), signed...), certPEM(root.Cert, lower.Cert)...),
		"beside the old":    append(certPEM(old.Cert), append(bytes.Clone(signed), between...)...),
		"with text and CR":  crlf(append([]byte("text\n"), append(bytes.Clone(signed), between...)...)),
		"twice, in a waste": append(append(bytes.Clone(signed), between...), append(bytes.Clone(signed), between...)...),
	} {
		leaf, chain, err := Accept(file, w, []fact.Cert{root.Cert}, halfway)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !sameCerts([]fact.Cert{leaf}, Read(signed).Certs...) || !sameCerts(chain, lower.Cert, upper.Cert) {
			t.Errorf("%s: leaf %s, %d in the chain", name, leaf.Subject, len(chain))
		}
	}
	leaf, chain, err := Accept(signed, w, []fact.Cert{lower.Cert}, halfway)
	if err != nil || len(chain) != 0 || leaf.Certificate == nil {
		t.Errorf("signed by the anchor itself: %v, %d in the chain", err, len(chain))
	}
	if _, _, err = Accept(Read(signed).Certs[0].Raw, w, []fact.Cert{lower.Cert}, halfway); err != nil {
		t.Errorf("in DER: %v", err)
	}
	if _, chain, err = Accept(signed, w, Read(signed).Certs, halfway); err != nil || len(chain) != 0 {
		t.Errorf("its own anchor: %v, %v", chain, err)
	}
}

// What an authority elsewhere adds on its own and does no harm is accepted.
func TestAcceptTakesWhatSignersAdd(t *testing.T) {
	ca := selfSigned(t, authority("corporate", 10), newKey())
	w := Wanted{Old: ca.issues(t, server("localhost", 1)).Cert}
	w.Key = must(NewPrivateKey(fact.Key{Algorithm: "ECDSA", Bits: 256}, rand.Reader))
	signed := outside(t, ca, w, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "localhost", Country: []string{"XX"}, OrganizationalUnit: []string{"unit"}}
		c.DNSNames = []string{"LOCALHOST"}
		c.CRLDistributionPoints = []string{"http://crl.example"}
		c.SubjectKeyId = []byte("x")
		c.BasicConstraintsValid = true
	})
	if _, _, err := Accept(signed, w, []fact.Cert{ca.Cert}, halfway); err != nil {
		t.Error(err)
	}
}

func TestAcceptRefuses(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	stranger := selfSigned(t, authority("stranger", 10), newKey())
	short := authority("ending", 10)
	short.NotAfter = day.AddDate(0, 3, 0)
	ending := selfSigned(t, short, newKey())
	template := everything()
	template.RawSubject, template.Subject = nil, pkix.Name{CommonName: "localhost", Organization: []string{"one", "two"}}
	old := ca.issues(t, template)
	w := Wanted{Old: old.Cert, Key: old.private(t)}
	anchors := []fact.Cert{ca.Cert, ending.Cert}
	for want, file := range map[string][]byte{
		"it has another key":                   outside(t, ca, w, func(c *x509.Certificate) { c.PublicKey = newKey().Public() }),
		"it lacks the names dns:a.example, ip": outside(t, ca, w, func(c *x509.Certificate) { c.DNSNames, c.IPAddresses = c.DNSNames[:2], nil }),
		"it lacks the names uri:spiffe://clus": outside(t, ca, w, func(c *x509.Certificate) { c.URIs = nil }),
		"not asked for: dns:evil.example, ip:": outside(t, ca, w, func(c *x509.Certificate) {
			c.DNSNames, c.IPAddresses = append(c.DNSNames, "evil.example"), append(c.IPAddresses, net.IPv4(6, 6, 6, 6))
		}),
		`common name is "x\x1by" instead of "`: outside(t, ca, w, func(c *x509.Certificate) { c.Subject.CommonName = "x\x1by" }),
		`lacks the organisation "two"`:         outside(t, ca, w, func(c *x509.Certificate) { c.Subject.Organization = []string{"one"} }),
		`the organisation "system:masters", wh`: outside(t, ca, w, func(c *x509.Certificate) {
			c.Subject.Organization = append(c.Subject.Organization, "system:masters")
		}),
		"it lacks the usage clientAuth":        outside(t, ca, w, func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] }),
		"it lacks the usage 1.3.6.1.4.1.99999": outside(t, ca, w, func(c *x509.Certificate) { c.UnknownExtKeyUsage = nil }),
		"it says nothing of its usages": outside(t, ca, w, func(c *x509.Certificate) {
			c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, nil
		}),
		"lack digitalSignature":                    outside(t, ca, w, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }),
		"it is a certificate authority":            outside(t, ca, w, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }),
		"it has expired on 2026-03-01T00:00:00Z":   outside(t, ca, w, func(c *x509.Certificate) { c.NotAfter = day.AddDate(0, 2, 0) }),
		"it is valid only from 2026-12-01T00:00:0": outside(t, ca, w, func(c *x509.Certificate) { c.NotBefore = day.AddDate(0, 11, 0) }),
		"no trusted certificate has the issuer's":  outside(t, stranger, w, nil),
		"CN=ending, which it hangs on, has expire": outside(t, ending, w, nil),
		"it is the old certificate itself":         certPEM(old.Cert),
		"there is no certificate and no key in it": must(NewRequest(w, rand.Reader)),
		"there is no certificate in it":            sec1(someKey()),
		"the content is empty":                     nil,
	} {
		leaf, chain, err := Accept(file, w, anchors, halfway)
		if err == nil || leaf.Certificate != nil || chain != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if _, _, err := Accept(certPEM(old.Cert), Wanted{Old: ca.Cert}, anchors, halfway); err == nil {
		t.Error("a CA was accepted as wanted")
	}
}

func TestAcceptTellsEverythingAtOnce(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	stranger := selfSigned(t, authority("stranger", 10), newKey())
	old := ca.issues(t, everything())
	w := Wanted{Old: old.Cert, Key: old.private(t)}
	signed := outside(t, stranger, w, func(c *x509.Certificate) {
		c.PublicKey = newKey().Public()
		c.Subject.CommonName = "other"
		c.DNSNames = nil
		c.NotAfter = day.AddDate(0, 1, 0)
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	})
	_, _, err := Accept(signed, w, []fact.Cert{ca.Cert}, halfway)
	var refused *Refused
	if !errors.As(err, &refused) || len(refused.Reasons) != 6 {
		t.Errorf("%v", err)
	}
	many := server("localhost", 1)
	for i := range 100 {
		many.DNSNames = append(many.DNSNames, fmt.Sprintf("n%d.example", i))
	}
	w = Wanted{Old: ca.issues(t, many).Cert}
	_, _, err = Accept(signed, w, []fact.Cert{ca.Cert}, halfway)
	if err == nil || !strings.Contains(err.Error(), "and 81 more") || len(err.Error()) > 2000 {
		t.Error(err)
	}
}

func FuzzAccept(f *testing.F) {
	for _, seed := range pemSeeds(f) {
		f.Add(seed)
	}
	ca := selfSigned(f, authority("kubernetes", 10), edKey())
	leaf := made{ca.issuesFor(f, everything(), someKey().Public()), someKey()}
	w := Wanted{Old: leaf.Cert}
	f.Add(certPEM(leaf.Cert, ca.Cert))
	next := everything()
	next.SerialNumber = big.NewInt(9)
	f.Add(certPEM(ca.issuesFor(f, next, someKey().Public())))
	secrets := secretsOfFixedKeys()
	f.Fuzz(func(t *testing.T, data []byte) {
		got, _, err := Accept(data, w, []fact.Cert{ca.Cert}, halfway)
		if err != nil {
			noSecretIn(t, secrets, err.Error())
			return
		}
		if !Issued(ca.Cert, got) || got.KeyFingerprint() != leaf.KeyFingerprint() || got.Fingerprint() == leaf.Fingerprint() {
			t.Fatal("a certificate was accepted that nobody signed")
		}
	})
}
