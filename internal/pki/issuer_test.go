// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"

	"perennial.dev/perennial/internal/fact"
)

func TestIssued(t *testing.T) {
	notCA := server("not a CA", 1)
	notCA.ExtKeyUsage = nil
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey(), "ECDSA": newKey(), "Ed25519": edKey()} {
		parent := selfSigned(t, notCA, key)
		child := parent.issues(t, server("child", 1)).Cert
		twin := selfSigned(t, notCA, newKey()) // the same names, another key
		if !Issued(parent.Cert, child) {
			t.Errorf("%s: a parent that may not sign did sign", name)
		}
		if Issued(twin.Cert, child) || Issued(child, parent.Cert) {
			t.Errorf("%s: issued by another key", name)
		}
		if !SelfSigned(parent.Cert) || SelfSigned(child) {
			t.Errorf("%s: self-signed: %v and %v", name, SelfSigned(parent.Cert), SelfSigned(child))
		}
	}
	var none fact.Cert
	if Issued(none, none) || SelfSigned(none) {
		t.Error("nothing issued something")
	}
}

// Names alone do not make a certificate self-signed.
func TestSelfSignedIsBySignature(t *testing.T) {
	ca := selfSigned(t, authority("same", 10), newKey())
	leaf := ca.issues(t, server("same", 1))
	if string(leaf.RawSubject) != string(leaf.RawIssuer) {
		t.Fatal("the test needs equal names")
	}
	if SelfSigned(leaf.Cert) {
		t.Error("self-signed by name")
	}
}

func TestIssuedByOldAlgorithms(t *testing.T) {
	sha1 := handSigned(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}, crypto.SHA1)
	md5 := handSigned(t, asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}, crypto.MD5)
	if sha1.SignatureAlgorithm != x509.SHA1WithRSA || md5.SignatureAlgorithm != x509.MD5WithRSA {
		t.Fatalf("the test made %s and %s", sha1.SignatureAlgorithm, md5.SignatureAlgorithm)
	}
	if !SelfSigned(sha1) {
		t.Error("SHA-1: the signature is there")
	}
	if SelfSigned(md5) {
		t.Error("MD5: a signature that anyone can make is no proof")
	}
	// Trusted by itself, no signature counts; as an issuer, Go accepts neither.
	if got := Verify(sha1, nil, []fact.Cert{sha1}, x509.ExtKeyUsageAny); got.Err != nil {
		t.Error(got.Err)
	}
}

// handSigned makes a self-signed certificate with an algorithm that
// x509.CreateCertificate refuses.
func handSigned(t *testing.T, oid asn1.ObjectIdentifier, hash crypto.Hash) fact.Cert {
	t.Helper()
	var outer struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	modern := selfSigned(t, authority("old", 10), rsaKey())
	if _, err := asn1.Unmarshal(modern.Raw, &outer); err != nil {
		t.Fatal(err)
	}
	sha256WithRSA := must(asn1.Marshal(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}))
	tbs := []byte(strings.Replace(string(outer.TBS.FullBytes), string(sha256WithRSA), string(must(asn1.Marshal(oid))), 1))
	h := hash.New()
	h.Write(tbs)
	signature := must(rsa.SignPKCS1v15(rand.Reader, rsaKey(), hash, h.Sum(nil)))
	outer.TBS = asn1.RawValue{FullBytes: tbs}
	outer.Algorithm.Algorithm = oid
	outer.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	cert, err := x509.ParseCertificate(must(asn1.Marshal(outer)))
	if err != nil {
		t.Fatal(err)
	}
	return fact.Cert{Certificate: cert}
}

func TestFindIssuer(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	again := selfSigned(t, authority("kubernetes", 20), ca.key)
	renamed := selfSigned(t, authority("renamed", 30), ca.key)
	twin := selfSigned(t, authority("kubernetes", 40), newKey())
	stranger := selfSigned(t, authority("stranger", 40), newKey())
	leaf := ca.issues(t, server("leaf", 1)).Cert
	for name, tt := range map[string]struct {
		child      fact.Cert
		candidates []fact.Cert
		want       fact.Cert
	}{
		"by signature":             {leaf, []fact.Cert{stranger.Cert, twin.Cert, ca.Cert}, ca.Cert},
		"the later of one key":     {leaf, []fact.Cert{ca.Cert, again.Cert, twin.Cert}, again.Cert},
		"the name before the key":  {leaf, []fact.Cert{renamed.Cert, ca.Cert}, ca.Cert},
		"the key under a new name": {leaf, []fact.Cert{renamed.Cert, twin.Cert}, renamed.Cert},
		"itself":                   {stranger.Cert, []fact.Cert{ca.Cert, stranger.Cert}, stranger.Cert},
		"none by name alone":       {leaf, []fact.Cert{twin.Cert}, fact.Cert{}},
		"none":                     {leaf, nil, fact.Cert{}},
		"nothing":                  {fact.Cert{}, []fact.Cert{{}, ca.Cert}, fact.Cert{}},
	} {
		t.Run(name, func(t *testing.T) {
			got, ok := FindIssuer(tt.child, tt.candidates)
			if ok != (tt.want.Certificate != nil) || got.Certificate != tt.want.Certificate {
				t.Errorf("found %v", subjects([]fact.Cert{got}))
			}
		})
	}
}

const many = 10_000

// crowd is many authorities of one name with keys of their own, as the CAs of
// many kubeadm clusters are.
var crowd = sync.OnceValue(func() []made {
	certs := make([]made, many)
	for i := range certs {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		template := authority("kubernetes", 10)
		der := must(x509.CreateCertificate(rand.Reader, template, template, must(key, err).Public(), key))
		certs[i] = made{fact.Cert{Certificate: must(x509.ParseCertificate(der))}, key}
	}
	return certs
})

func TestAmongManyAuthorities(t *testing.T) {
	var all []fact.Cert
	for _, c := range crowd() {
		all = append(all, c.Cert)
	}
	issuer := crowd()[many-7]
	child := issuer.issues(t, server("child", 1)).Cert
	if got, ok := FindIssuer(child, all); !ok || got.Certificate != issuer.Certificate {
		t.Error("the issuer was not found")
	}
	for name, got := range map[string]Chain{
		"anchors":            Verify(child, nil, all, x509.ExtKeyUsageAny),
		"anchors, presented": Verify(child, all, all, x509.ExtKeyUsageAny),
		"presented":          Verify(child, all, []fact.Cert{issuer.Cert}, x509.ExtKeyUsageAny),
	} {
		if got.Err != nil || !sameCerts(got.Certs, child, issuer.Cert) {
			t.Errorf("%s: %v, %v", name, subjects(got.Certs), got.Err)
		}
	}
}

// An authority that tells no key identifier comes before those that tell
// another one.
func TestAmongManyOtherKeyIDs(t *testing.T) {
	issuer := selfSigned(t, authority("kubernetes", 1), newKey())
	child := issuer.issues(t, server("child", 1)).Cert
	silent := *issuer.Certificate
	silent.SubjectKeyId = nil
	var all []fact.Cert
	for _, c := range crowd()[:2*maxChecks] {
		all = append(all, c.Cert)
	}
	all = append(all, fact.Cert{Certificate: &silent})
	if got, ok := FindIssuer(child, all); !ok || got.Certificate != &silent {
		t.Error("the issuer was not found")
	}
}

// Without key identifiers nothing says which of the many it is: the search
// stops and says so.
func TestManyAuthoritiesWithoutKeyIDs(t *testing.T) {
	var all []fact.Cert
	for _, c := range crowd() {
		all = append(all, c.Cert)
	}
	parent := *crowd()[many-7].Certificate
	parent.SubjectKeyId = nil
	child := made{fact.Cert{Certificate: &parent}, crowd()[many-7].key}.issues(t, server("child", 1)).Cert
	if len(child.AuthorityKeyId) != 0 {
		t.Fatal("the test needs a child without key identifier")
	}
	got := Verify(child, nil, all, x509.ExtKeyUsageAny)
	if got.Err == nil || got.Err.Error() != "more than 100 certificates could be the issuer CN=kubernetes, and none of those tried is" {
		t.Errorf("got %v", got.Err)
	}
	checks := newChecks()
	s := search{anchors: all, presented: all, checks: checks}
	s.start(child)
	s.run()
	if len(checks.known) != maxChecks {
		t.Errorf("%d signatures checked, want %d", len(checks.known), maxChecks)
	}
}

// The same CA issued again ten thousand times costs one signature.
func TestManyIssuesOfOneAuthority(t *testing.T) {
	key := edKey()
	all := make([]fact.Cert, many)
	for i := range all {
		template := authority("kubernetes", 1)
		template.SerialNumber = big.NewInt(int64(i + 1))
		template.NotAfter = day.AddDate(0, 0, i+1)
		all[i] = selfSigned(t, template, key).Cert
	}
	child := made{all[0], key}.issues(t, server("child", 100)).Cert
	last := all[many-1]
	rotated := slices.Concat(all[many/2:], all[:many/2])
	if got, ok := FindIssuer(child, rotated); !ok || got.Certificate != last.Certificate {
		t.Error("FindIssuer: not the one that ends last")
	}
	s := search{anchors: rotated, presented: rotated, checks: newChecks()}
	s.start(child)
	found := s.run()
	if found == nil || !sameCerts(found.certs, child, last) {
		t.Error("Verify: not the one that ends last")
	}
	if len(s.checks.known) != 1 {
		t.Errorf("%d signatures checked, want 1", len(s.checks.known))
	}
}

// Authorities that all signed each other have more paths than can be walked.
func TestMeshOfAuthorities(t *testing.T) {
	const n = 12
	var cas []made
	for i := range n {
		cas = append(cas, selfSigned(t, authority(string(rune('a'+i)), 10), newKey()))
	}
	var presented []fact.Cert
	for i := range n {
		for j := range n {
			if i != j {
				presented = append(presented, cas[i].issuesFor(t, authority(string(rune('a'+j)), 10), cas[j].key.Public()))
			}
		}
	}
	leaf := cas[0].issues(t, server("leaf", 1)).Cert
	if got := Verify(leaf, presented, []fact.Cert{cas[n-1].Cert}, x509.ExtKeyUsageAny); got.Err != nil || len(got.Certs) != 3 {
		t.Errorf("%v, %v", subjects(got.Certs), got.Err)
	}
	stranger := selfSigned(t, authority("stranger", 10), newKey())
	if got := Verify(leaf, presented, []fact.Cert{stranger.Cert}, x509.ExtKeyUsageAny); got.Err == nil {
		t.Error("trusted by a stranger")
	}
}

func TestIssuedDoesNotVerifyWithHugeKeys(t *testing.T) {
	child := selfSigned(t, server("child", 1), rsaKey())
	modulus := new(big.Int).Lsh(big.NewInt(1), 1<<20)
	huge := *child.Certificate
	huge.PublicKey = &rsa.PublicKey{N: modulus.Add(modulus, big.NewInt(1)), E: 1<<31 - 1}
	if Issued(fact.Cert{Certificate: &huge}, child.Cert) {
		t.Error("issued by a key of a million bits")
	}
}
