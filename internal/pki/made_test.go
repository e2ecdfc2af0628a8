// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"sync"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// made is a certificate made for a test, and its key.
type made struct {
	fact.Cert
	key crypto.Signer
}

var day = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// These keys are the same in every process: a fuzz target's seeds are made in
// one, and searched for in others.
var (
	rsaKey  = sync.OnceValue(fixedRSAKey)
	edKey   = sync.OnceValue(func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(fixed("Ed25519", 32)) })
	someKey = sync.OnceValue(func() *ecdsa.PrivateKey {
		return must(ecdsa.ParseRawPrivateKey(elliptic.P256(), fixed("ECDSA", 32)))
	})
)

func fixed(label string, n int) []byte { return must(hkdf.Key(sha256.New, []byte(label), nil, "", n)) }

func fixedRSAKey() *rsa.PrivateKey {
	p, q := fixedPrime("p"), fixedPrime("q")
	one := big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).Mul(p, q), E: 65537},
		D:         new(big.Int).ModInverse(big.NewInt(65537), phi),
		Primes:    []*big.Int{p, q},
	}
	key.Precompute()
	return must(key, key.Validate())
}

func fixedPrime(label string) *big.Int {
	start := fixed(label, 128)
	start[0] |= 0xC0 // the product has 2048 bits
	start[127] |= 1
	for n := new(big.Int).SetBytes(start); ; n.Add(n, big.NewInt(2)) {
		if n.ProbablyPrime(0) {
			return n
		}
	}
}

func newKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// authority is a template of a certificate authority as kubeadm makes it.
func authority(name string, years int) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             day,
		NotAfter:              day.AddDate(years, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
}

// server is a template of a serving certificate.
func server(name string, years int) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber:          big.NewInt(2),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             day,
		NotAfter:              day.AddDate(years, 0, 0),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		DNSNames:              []string{name},
	}
}

// selfSigned makes a certificate that is its own issuer.
func selfSigned(t testing.TB, template *x509.Certificate, key crypto.Signer) made {
	t.Helper()
	return made{signed(t, template, template, key.Public(), key), key}
}

// issues makes a certificate with a key of its own.
func (m made) issues(t testing.TB, template *x509.Certificate) made {
	t.Helper()
	key := newKey()
	return made{m.issuesFor(t, template, key.Public()), key}
}

func (m made) issuesFor(t testing.TB, template *x509.Certificate, key crypto.PublicKey) fact.Cert {
	t.Helper()
	return signed(t, template, m.Certificate, key, m.key)
}

func signed(t testing.TB, template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer) fact.Cert {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return fact.Cert{Certificate: cert}
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func certPEM(certs ...fact.Cert) []byte {
	var b bytes.Buffer
	for _, c := range certs {
		b.Write(pemOf("CERTIFICATE", c.Raw))
	}
	return b.Bytes()
}

func pkcs8(key crypto.Signer) []byte {
	return pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key)))
}

func sec1(key *ecdsa.PrivateKey) []byte {
	return pemOf("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(key)))
}

func sameCerts(got []fact.Cert, want ...fact.Cert) bool {
	if len(got) != len(want) {
		return false
	}
	for i := range got {
		if !bytes.Equal(got[i].Raw, want[i].Raw) {
			return false
		}
	}
	return true
}
