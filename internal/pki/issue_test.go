// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
)

func (m made) private(t testing.TB) *PrivateKey { return privateKey(t, pkcs8(m.key)) }

func (m made) authority(t testing.TB) Authority { return Authority{Cert: m.Cert, Key: m.private(t)} }

// halfway is when the tests renew: half of a leaf's year is over.
var halfway = day.AddDate(0, 6, 0)

func renewal(t testing.TB, ca, leaf made) Request {
	return Request{
		Wanted: Wanted{Old: leaf.Cert, Key: leaf.private(t)},
		CA:     ca.authority(t), Now: halfway, Rand: rand.Reader,
	}
}

func issue(t testing.TB, r Request) Issuance {
	t.Helper()
	issued, err := Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

// keyPool are keys of every kind that a node may have.
func keyPool() map[string]crypto.Signer {
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	return map[string]crypto.Signer{"RSA": rsaKey(), "P-256": someKey(), "P-384": p384, "Ed25519": edKey()}
}

func TestIssueWithEveryPairOfKeys(t *testing.T) {
	for caName, caKey := range keyPool() {
		for leafName, leafKey := range keyPool() {
			t.Run(leafName+" under "+caName, func(t *testing.T) {
				ca := selfSigned(t, authority("kubernetes", 10), caKey)
				leaf := made{ca.issuesFor(t, server("localhost", 1), leafKey.Public()), leafKey}
				issued := issue(t, renewal(t, ca, leaf))
				if issued.NewKey || issued.Cert.KeyFingerprint() != leaf.KeyFingerprint() {
					t.Error("it has another key")
				}
				if err := issued.Cert.CheckSignatureFrom(ca.Certificate); err != nil {
					t.Error(err)
				}
				want := map[string]x509.SignatureAlgorithm{
					"RSA": x509.SHA256WithRSA, "P-256": x509.ECDSAWithSHA256, "P-384": x509.ECDSAWithSHA384, "Ed25519": x509.PureEd25519,
				}[caName]
				if issued.Cert.SignatureAlgorithm != want {
					t.Errorf("signed with %s", issued.Cert.SignatureAlgorithm)
				}
				if _, err := tls.X509KeyPair(certPEM(issued.Cert), leaf.private(t).PEM()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestIssueWithoutTheLeafsKey(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	leaf := ca.issues(t, server("localhost", 1))
	r := renewal(t, ca, leaf)
	r.Key = nil
	if issued := issue(t, r); issued.Cert.KeyFingerprint() != leaf.KeyFingerprint() || issued.NewKey {
		t.Error("it has another key")
	}
}

func TestIssueWithANewKey(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	leaf := ca.issues(t, server("localhost", 1))
	r := renewal(t, ca, leaf)
	r.Key = must(NewPrivateKey(leaf.private(t).Public(), rand.Reader))
	issued := issue(t, r)
	if !issued.NewKey || !KeyMatches(r.Key.Public(), issued.Cert) {
		t.Error("it has the old key")
	}
}

// everything is a template that has an extension of each kind.
func everything() *x509.Certificate {
	c := server("localhost", 1)
	c.RawSubject = must(asn1.Marshal(pkix.RDNSequence{
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "localhost"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "zebra"}, {Type: asn1.ObjectIdentifier{2, 5, 4, 11}, Value: "unit"}},
		{{Type: asn1.ObjectIdentifier{2, 5, 4, 10}, Value: "ant"}},
		{{Type: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: "unknown"}},
	}))
	c.DNSNames = []string{"z.example", "localhost", "a.example"}
	c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 9), net.IPv6loopback, net.IPv4(10, 0, 0, 1)}
	c.URIs = []*url.URL{must(url.Parse("spiffe://cluster/ns/default"))}
	c.EmailAddresses = []string{"root@example.org"}
	c.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyAgreement
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{{1, 3, 6, 1, 4, 1, 99999, 1}}
	c.OCSPServer = []string{"http://ocsp.example"}
	c.CRLDistributionPoints = []string{"http://crl.example/x.crl"}
	c.PolicyIdentifiers = []asn1.ObjectIdentifier{{1, 2, 3}}
	c.SubjectKeyId = []byte("an identifier of its own")
	c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4, 5}, Value: []byte("whatever it is")}}
	return c
}

func TestIssueKeepsNameAndExtensionsByteForByte(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	leaf := ca.issues(t, everything())
	issued := issue(t, renewal(t, ca, leaf))
	if !bytes.Equal(issued.Cert.RawSubject, leaf.RawSubject) {
		t.Errorf("the name became %s", issued.Cert.Subject)
	}
	sameExtensions(t, leaf.Cert, issued.Cert)
	if issued.Cert.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
		t.Error("the serial number is the same")
	}
	if len(issued.Dropped) > 0 {
		t.Errorf("dropped %v", issued.Dropped)
	}
}

// sameExtensions compares all extensions with their order and criticality.
func sameExtensions(t *testing.T, old, made fact.Cert, but ...asn1.ObjectIdentifier) {
	t.Helper()
	if len(old.Extensions) != len(made.Extensions) {
		t.Fatalf("%d extensions became %d", len(old.Extensions), len(made.Extensions))
	}
	for i, was := range old.Extensions {
		is := made.Extensions[i]
		switch {
		case !is.Id.Equal(was.Id) || is.Critical != was.Critical:
			t.Errorf("extension %d was %s (critical: %t) and is %s (critical: %t)", i, was.Id, was.Critical, is.Id, is.Critical)
		case !has(but, was.Id) && !bytes.Equal(is.Value, was.Value):
			t.Errorf("extension %s was %x and is %x", was.Id, was.Value, is.Value)
		}
	}
}

func TestIssueKeepsCriticality(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	for _, critical := range []bool{true, false} {
		template := server("localhost", 1)
		template.KeyUsage, template.ExtKeyUsage, template.DNSNames = 0, nil, nil
		template.ExtraExtensions = []pkix.Extension{
			{Id: oidSANs, Critical: critical, Value: must(asn1.Marshal(generalNames{dnsName("localhost")}))},
			{Id: oidKeyUsage, Critical: critical, Value: must(keyUsage(x509.KeyUsageDigitalSignature)).Value},
			{Id: oidExtendedUsage, Critical: critical, Value: must(extendedUsage([]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth})).Value},
		}
		leaf := ca.issues(t, template)
		sameExtensions(t, leaf.Cert, issue(t, renewal(t, ca, leaf)).Cert)
	}
}

func TestIssueDropsWhatBelongsToOneCertificate(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	template := server("localhost", 1)
	template.ExtraExtensions = []pkix.Extension{{Id: oidTimestamps, Value: []byte{4, 0}}, {Id: oidPrivateKeyPeriod, Value: []byte{0x30, 0}}}
	issued := issue(t, renewal(t, ca, ca.issues(t, template)))
	if len(issued.Dropped) != 2 || issued.Dropped[0] != "1.3.6.1.4.1.11129.2.4.2" {
		t.Errorf("dropped %v", issued.Dropped)
	}
	for _, e := range issued.Cert.Extensions {
		if has(personal, e.Id) {
			t.Errorf("%s is still there", e.Id)
		}
	}
}

func TestIssueOfACertificateWithoutExtensions(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	leaf := ca.issues(t, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "old"}, NotBefore: day, NotAfter: day.AddDate(1, 0, 0)})
	issued := issue(t, renewal(t, ca, leaf))
	if len(issued.Cert.Extensions) != 1 || !bytes.Equal(issued.Cert.AuthorityKeyId, ca.SubjectKeyId) {
		t.Errorf("extensions %v", issued.Cert.Extensions)
	}
}

func TestIssueIdentifiesKeys(t *testing.T) {
	bits := must(keyBits(must(x509.MarshalPKIXPublicKey(someKey().Public()))))
	caBits := must(keyBits(must(x509.MarshalPKIXPublicKey(edKey().Public()))))
	other := must(NewPrivateKey(fact.Key{Algorithm: "ECDSA", Bits: 256}, rand.Reader))
	otherBits := must(keyBits(must(x509.MarshalPKIXPublicKey(other.signer().Public()))))
	for name, c := range map[string]struct{ caID, oldID, withSameKey, withNewKey []byte }{
		"SHA-1, as Go did and OpenSSL does": {shortSHA1(caBits), shortSHA1(bits), shortSHA1(bits), shortSHA1(otherBits)},
		"SHA-256, as Go does":               {shortSHA256(caBits), shortSHA256(bits), shortSHA256(bits), shortSHA256(otherBits)},
		"some other way":                    {[]byte("the CA"), []byte("the leaf"), []byte("the leaf"), shortSHA256(otherBits)},
		"kubeadm's leaves have none":        {shortSHA1(caBits), nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			template := authority("kubernetes", 10)
			template.SubjectKeyId = c.caID
			ca := selfSigned(t, template, edKey())
			old := server("localhost", 1)
			old.SubjectKeyId = c.oldID
			leaf := made{ca.issuesFor(t, old, someKey().Public()), someKey()}
			r := renewal(t, ca, leaf)
			issued := issue(t, r)
			if !bytes.Equal(issued.Cert.AuthorityKeyId, c.caID) || !bytes.Equal(issued.Cert.SubjectKeyId, c.withSameKey) {
				t.Errorf("same key: authority %x, subject %x", issued.Cert.AuthorityKeyId, issued.Cert.SubjectKeyId)
			}
			r.Key = other
			issued = issue(t, r)
			if !bytes.Equal(issued.Cert.AuthorityKeyId, c.caID) || !bytes.Equal(issued.Cert.SubjectKeyId, c.withNewKey) {
				t.Errorf("new key: authority %x, subject %x", issued.Cert.AuthorityKeyId, issued.Cert.SubjectKeyId)
			}
		})
	}
}

// A CA that was extended with its key may have another way to identify it than
// the one that signed the leaf: what counts is what its certificate says.
func TestIssueTakesTheIdentifierOfThePresentCA(t *testing.T) {
	before := authority("kubernetes", 5)
	before.SubjectKeyId = []byte("before")
	leaf := selfSigned(t, before, edKey()).issues(t, server("localhost", 1))
	now := authority("kubernetes", 20)
	now.SubjectKeyId = []byte("now")
	if issued := issue(t, renewal(t, selfSigned(t, now, edKey()), leaf)); string(issued.Cert.AuthorityKeyId) != "now" {
		t.Errorf("authority %q", issued.Cert.AuthorityKeyId)
	}
}

func TestIssueUnderACAWithoutIdentifier(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	bare := *ca.Certificate
	leaf := ca.issues(t, server("localhost", 1))
	bare.SubjectKeyId = nil
	issued := issue(t, renewal(t, made{fact.Cert{Certificate: &bare}, ca.key}, leaf))
	if len(issued.Cert.AuthorityKeyId) > 0 {
		t.Errorf("authority %x", issued.Cert.AuthorityKeyId)
	}
}

func TestIssueKeepsTheHashUnderRSA(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), rsaKey())
	for _, algorithm := range []x509.SignatureAlgorithm{x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSAPSS} {
		template := server("localhost", 1)
		template.SignatureAlgorithm = algorithm
		if issued := issue(t, renewal(t, ca, ca.issues(t, template))); issued.Cert.SignatureAlgorithm != algorithm {
			t.Errorf("%s became %s", algorithm, issued.Cert.SignatureAlgorithm)
		}
	}
	weak := renewal(t, ca, ca.issues(t, server("localhost", 1)))
	copied := *weak.Old.Certificate
	copied.SignatureAlgorithm = x509.SHA1WithRSA
	weak.Old = fact.Cert{Certificate: &copied}
	if got := weak.signature(); got != x509.UnknownSignatureAlgorithm {
		t.Errorf("SHA-1 became %s", got)
	}
}

func TestIssueDates(t *testing.T) {
	year := 365 * 24 * time.Hour
	long := func(begin time.Time, life time.Duration) *x509.Certificate {
		c := server("localhost", 1)
		c.NotBefore, c.NotAfter = begin, begin.Add(life)
		return c
	}
	for name, c := range map[string]struct {
		caYears     int
		old         *x509.Certificate
		now         time.Time
		life        time.Duration
		begin, end  time.Time
		capped      time.Duration
		assumed     bool
		explanation string
	}{
		"as long as the old one": {caYears: 10, old: long(day.Add(time.Hour), 90*24*time.Hour), now: halfway,
			begin: halfway.Add(-Backdate), end: halfway.Add(-Backdate).Add(90 * 24 * time.Hour)},
		"a given life": {caYears: 10, old: long(day, year), now: halfway, life: 48 * time.Hour,
			begin: halfway.Add(-Backdate), end: halfway.Add(48 * time.Hour)},
		"an expired leaf": {caYears: 10, old: long(day, year), now: day.AddDate(3, 0, 0),
			begin: day.AddDate(3, 0, 0).Add(-Backdate), end: day.AddDate(3, 0, 0).Add(-Backdate).Add(year)},
		"parts of a second": {caYears: 10, old: long(day, year), now: halfway.Add(999 * time.Millisecond), life: time.Hour,
			begin: halfway.Add(-Backdate), end: halfway.Add(time.Hour)},
		"not before the CA": {caYears: 10, old: long(day, time.Hour), now: day.Add(time.Minute), life: time.Hour,
			begin: day, end: day.Add(time.Minute + time.Hour)},
		"a CA with 10 days left": {caYears: 1, old: long(day.Add(time.Hour), 100*24*time.Hour), now: day.AddDate(1, 0, -10),
			begin: day.AddDate(1, 0, -10).Add(-Backdate), end: day.AddDate(1, 0, 0), capped: 90*24*time.Hour - Backdate},
		"exactly to the end of the CA": {caYears: 1, old: long(day, time.Hour), now: day.AddDate(1, 0, -10), life: 10 * 24 * time.Hour,
			begin: day.AddDate(1, 0, -10).Add(-Backdate), end: day.AddDate(1, 0, 0)},
		"renewed by an older kubeadm in the third year": {caYears: 10, old: long(day, 3*year), now: day.Add(2*year + 300*24*time.Hour), assumed: true,
			begin: day.Add(2*year + 300*24*time.Hour - Backdate), end: day.Add(2*year + 300*24*time.Hour - Backdate).Add(year)},
		"made for ten years with its CA": {caYears: 30, old: long(day, 10*year), now: halfway,
			begin: halfway.Add(-Backdate), end: halfway.Add(-Backdate).Add(10 * year)},
		"made by kubeadm together with its CA": {caYears: 10, old: long(day, year+5*time.Minute), now: halfway,
			begin: halfway.Add(-Backdate), end: halfway.Add(year)},
	} {
		t.Run(name, func(t *testing.T) {
			ca := selfSigned(t, authority("kubernetes", c.caYears), edKey())
			r := renewal(t, ca, ca.issues(t, c.old))
			r.Now, r.Life = c.now, c.life
			issued := issue(t, r)
			if !issued.Cert.NotBefore.Equal(c.begin) {
				t.Errorf("begins %s instead of %s", issued.Cert.NotBefore, c.begin)
			}
			if !issued.Cert.NotAfter.Equal(c.end) {
				t.Errorf("ends %s instead of %s", issued.Cert.NotAfter, c.end)
			}
			if issued.Capped != c.capped || issued.Assumed != c.assumed {
				t.Errorf("capped by %s, assumed %t", issued.Capped, issued.Assumed)
			}
		})
	}
}

// Lives neither grow nor shrink from one renewal to the next.
func TestIssueAgainAndAgainKeepsTheLife(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), edKey())
	leaf := ca.issues(t, server("localhost", 1))
	life := leaf.NotAfter.Sub(leaf.NotBefore)
	r := renewal(t, ca, leaf)
	for range 6 {
		issued := issue(t, r)
		if got := issued.Cert.NotAfter.Sub(issued.Cert.NotBefore); got != life {
			t.Fatalf("a life of %s became %s", life, got)
		}
		r.Old, r.Now = issued.Cert, r.Now.AddDate(0, 11, 0)
	}
}

func TestIssueSerialNumbers(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), edKey())
	r := renewal(t, ca, ca.issues(t, server("localhost", 1)))
	seen := map[string]bool{}
	for range 50 {
		serial := issue(t, r).Cert.SerialNumber
		if serial.Sign() <= 0 || serial.BitLen() != 127 || seen[serial.String()] {
			t.Fatalf("serial number %s of %d bits", serial, serial.BitLen())
		}
		seen[serial.String()] = true
	}
	r.Rand = bytes.NewReader(make([]byte, 64))
	r.Old = issue(t, r).Cert
	r.Rand = bytes.NewReader(make([]byte, 64))
	if _, err := Issue(r); err == nil || !strings.Contains(err.Error(), "repeats itself") {
		t.Errorf("a constant source: %v", err)
	}
	r.Rand = bytes.NewReader(nil)
	if _, err := Issue(r); err == nil || !strings.Contains(err.Error(), "drawing a serial number: EOF") {
		t.Errorf("an empty source: %v", err)
	}
}

func TestIssueAddsNames(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	leaf := ca.issues(t, everything())
	r := renewal(t, ca, leaf)
	r.AddDNS = []string{"LOCALHOST", "api.example", "*.apps.example", "api.example"}
	r.AddIPs = []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("::ffff:10.0.0.2"), netip.MustParseAddr("fd00::1")}
	issued := issue(t, r)
	if got := strings.Join(issued.Cert.DNSNames, " "); got != "z.example localhost a.example api.example *.apps.example" {
		t.Errorf("DNS names %s", got)
	}
	var ips []string
	for _, ip := range issued.Cert.IPAddresses {
		ips = append(ips, ip.String())
	}
	if got := strings.Join(ips, " "); got != "10.0.0.9 ::1 10.0.0.1 10.0.0.2 fd00::1" {
		t.Errorf("addresses %s", got)
	}
	if len(issued.Cert.URIs) != 1 || len(issued.Cert.EmailAddresses) != 1 {
		t.Error("other names are gone")
	}
	sameExtensions(t, leaf.Cert, issued.Cert, oidSANs)

	bare := server("localhost", 1)
	bare.DNSNames = nil
	r = renewal(t, ca, ca.issues(t, bare))
	r.AddDNS = []string{"api.example"}
	if issued := issue(t, r); len(issued.Cert.DNSNames) != 1 {
		t.Errorf("DNS names %v", issued.Cert.DNSNames)
	}
}

func TestIssueRefuses(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	leaf := ca.issues(t, server("localhost", 1))
	other := selfSigned(t, authority("etcd-ca", 10), newKey())
	noSigner := authority("no signer", 10)
	noSigner.KeyUsage = x509.KeyUsageDigitalSignature
	notCA := server("not a CA", 10)
	constrained := authority("constrained", 10)
	constrained.PermittedDNSDomainsCritical, constrained.PermittedDNSDomains = true, []string{"example.org"}
	narrow := selfSigned(t, constrained, newKey())
	intermediate := ca.issues(t, authority("below", 5))
	critical := server("localhost", 1)
	critical.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte{5, 0}}}
	for want, change := range map[string]func(*Request){
		"either an old certificate or a description": func(r *Request) { r.Old = fact.Cert{} },
		"there is no CA certificate":                 func(r *Request) { r.CA.Cert = fact.Cert{} },
		"the private key of the CA CN=kubernetes is": func(r *Request) { r.CA.Key = nil },
		"does not belong to the certificate of the CA CN=kubernetes": func(r *Request) {
			r.CA.Key = other.private(t)
		},
		"the CA CN=etcd-ca did not sign the present certificate": func(r *Request) { r.CA = other.authority(t) },
		"CN=not a CA is no certificate authority":                func(r *Request) { r.CA = selfSigned(t, notCA, newKey()).authority(t) },
		"CN=no signer may not sign certificates":                 func(r *Request) { r.CA = selfSigned(t, noSigner, newKey()).authority(t) },
		"the CA CN=kubernetes has expired on 2036-01-01T00:00:00Z": func(r *Request) {
			r.Now = day.AddDate(11, 0, 0)
		},
		"valid only from 2026-01-01T00:00:00Z: is the clock right": func(r *Request) { r.Now = day.AddDate(-2, 0, 0) },
		"it is a certificate authority":                            func(r *Request) { r.Old = intermediate.Cert },
		"it is self-signed": func(r *Request) {
			r.Old = selfSigned(t, server("localhost", 1), newKey()).Cert
		},
		"a life of -1h0m0s is none":         func(r *Request) { r.Life = -time.Hour },
		"it would be over at once":          func(r *Request) { r.Life = time.Nanosecond },
		"there is no source of randomness":  func(r *Request) { r.Rand = nil },
		`"a\x1b b" is no DNS name`:          func(r *Request) { r.AddDNS = []string{"a\x1b b"} },
		`"fe80::1%eth0" is no address`:      func(r *Request) { r.AddIPs = []netip.Addr{netip.MustParseAddr("fe80::1%eth0")} },
		`"invalid IP" is no address`:        func(r *Request) { r.AddIPs = []netip.Addr{{}} },
		"is not permitted by any":           func(r *Request) { r.CA, r.OtherCA = narrow.authority(t), true },
		"unhandled critical extension":      func(r *Request) { r.Old = ca.issues(t, critical).Cert },
		"issuing a certificate for CN=loca": func(r *Request) { r.CA = Authority{} },
	} {
		r := renewal(t, ca, leaf)
		change(&r)
		_, err := Issue(r)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
			continue
		}
		for _, key := range []made{ca, leaf, other} {
			noSecretIn(t, secretsOf(key.key), err.Error())
		}
	}
}

func TestIssueUnderNameConstraints(t *testing.T) {
	template := authority("constrained", 10)
	template.PermittedDNSDomainsCritical, template.PermittedDNSDomains = true, []string{"example.org"}
	ca := selfSigned(t, template, newKey())
	leaf := ca.issues(t, server("api.example.org", 1))
	issue(t, renewal(t, ca, leaf))
	r := renewal(t, ca, leaf)
	r.AddDNS = []string{"api.example.com"}
	var refused *Refused
	if _, err := Issue(r); !errors.As(err, &refused) {
		t.Errorf("a name that the CA may not sign: %v", err)
	}
}

func TestIssueFromAnotherCAWhenAsked(t *testing.T) {
	old := selfSigned(t, authority("kubernetes", 1), newKey())
	next := selfSigned(t, authority("kubernetes", 10), newKey())
	r := renewal(t, next, old.issues(t, server("localhost", 1)))
	r.OtherCA = true
	if issued := issue(t, r); !Issued(next.Cert, issued.Cert) {
		t.Error("the new CA did not sign it")
	}
}

func TestIssueUnderAnIntermediateCA(t *testing.T) {
	root := selfSigned(t, authority("root", 10), newKey())
	ca := root.issues(t, authority("kubernetes", 5))
	issued := issue(t, renewal(t, ca, ca.issues(t, server("localhost", 1))))
	if chain := Verify(issued.Cert, []fact.Cert{ca.Cert}, []fact.Cert{root.Cert}, x509.ExtKeyUsageServerAuth); chain.Err != nil {
		t.Error(chain.Err)
	}
}

// Whatever the old certificate holds, the new one says the same, or there is
// none.
func FuzzIssue(f *testing.F) {
	ca := selfSigned(f, authority("kubernetes", 10), edKey())
	for _, template := range []*x509.Certificate{everything(), server("localhost", 1), authority("below", 1)} {
		f.Add(ca.issuesFor(f, template, someKey().Public()).Raw, "api.example", false)
		f.Add(ca.issuesFor(f, template, rsaKey().Public()).Raw, "", true)
	}
	spare := privateKey(f, pkcs8(someKey()))
	key := ca.private(f)
	f.Fuzz(func(t *testing.T, der []byte, add string, newKey bool) {
		parsed, err := x509.ParseCertificate(der)
		if err != nil {
			return
		}
		old := fact.Cert{Certificate: parsed}
		r := Request{Wanted: Wanted{Old: old}, CA: Authority{ca.Cert, key}, Now: halfway, Rand: rand.Reader, OtherCA: true}
		if newKey {
			r.Key = spare
		}
		if add != "" {
			r.AddDNS = []string{add}
		}
		issued, err := Issue(r)
		if err != nil {
			if len(err.Error()) > 5000 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		c := issued.Cert
		if !bytes.Equal(c.RawSubject, old.RawSubject) || c.IsCA || c.NotAfter.After(ca.NotAfter) || !Issued(ca.Cert, c) {
			t.Fatalf("%s became %s", old.Subject, c.Subject)
		}
		for _, was := range old.Extensions {
			if has(personal, was.Id) || has([]asn1.ObjectIdentifier{oidAuthorityKeyID, oidSubjectKeyID}, was.Id) || add != "" && was.Id.Equal(oidSANs) {
				continue
			}
			now := formOf(c)
			if is := now.extension(was.Id); is == nil || is.Critical != was.Critical || !bytes.Equal(is.Value, was.Value) {
				t.Fatalf("%s changed", was.Id)
			}
		}
	})
}
