// SPDX-License-Identifier: Apache-2.0

package pki_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"testing"
	"time"

	"k8s.io/client-go/util/cert"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/pki"
)

// A certificate as a kubelet makes it for itself is made again with its own key, and a
// server starts with it.
func TestRemake(t *testing.T) {
	text, keyText, err := cert.GenerateSelfSignedCertKey("cp1", nil, []string{"cp1.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	made := pki.Read(text).Certs
	if len(made) != 2 || pki.SelfSigned(made[0]) || !pki.Issued(made[1], made[0]) {
		t.Fatalf("a kubelet's own is another than it was thought to be: %d certificates", len(made))
	}
	key, err := pki.ReadPrivateKey(keyText)
	if err != nil {
		t.Fatal(err)
	}
	now := made[0].NotAfter.Add(-30 * 24 * time.Hour)
	request := pki.Request{Wanted: pki.Wanted{Old: made[0], Key: key}, Now: now, Life: 365 * 24 * time.Hour, Rand: rand.Reader}
	fresh, err := pki.Remake(request)
	if err != nil {
		t.Fatal(err)
	}
	if !fresh.NotAfter.Equal(now.UTC().Truncate(time.Second).Add(365*24*time.Hour)) || !bytes.Equal(fresh.RawSubject, made[0].RawSubject) || fresh.KeyFingerprint() != made[0].KeyFingerprint() || fresh.IsCA {
		t.Errorf("%v, until %s", fresh.Subject, fresh.NotAfter)
	}
	if _, err := tls.X509KeyPair(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: fresh.Raw}), keyText); err != nil {
		t.Error(err)
	}
	// Who trusts it in particular can verify it, by every name that the old one had.
	roots := x509.NewCertPool()
	roots.AddCert(fresh.Certificate)
	for _, name := range []string{"cp1", "cp1.example.com"} {
		if _, err := fresh.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: now, DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What it made is made again in the same way, a year later.
	request.Old, request.Now = fresh, now.AddDate(1, 0, -30)
	if again, err := pki.Remake(request); err != nil || !again.NotAfter.After(fresh.NotAfter) {
		t.Errorf("%v, %v", err, again.NotAfter)
	}

	for name, change := range map[string]func(*pki.Request){
		"an authority":   func(r *pki.Request) { r.Old = made[1] },
		"no key":         func(r *pki.Request) { r.Key = nil },
		"no life":        func(r *pki.Request) { r.Life = 0 },
		"no certificate": func(r *pki.Request) { r.Old = fact.Cert{} },
	} {
		r := request
		change(&r)
		if _, err := pki.Remake(r); err == nil {
			t.Errorf("%s: it was made", name)
		}
	}
}
