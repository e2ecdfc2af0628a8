// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// NewRequest makes a PKCS#10 certificate signing request, as PEM, for an
// authority whose key is elsewhere: the name, and as requested extensions the
// alternative names, usages and everything else that Issue would take over.
// It needs the private key, since a request is signed with it.
func NewRequest(w Wanted, random io.Reader) ([]byte, error) {
	request, err := w.request(random)
	if err != nil {
		return nil, fmt.Errorf("requesting a certificate for %s: %w", w.who(), err)
	}
	return request, nil
}

func (w Wanted) request(random io.Reader) ([]byte, error) {
	f, err := w.form()
	switch {
	case err != nil:
		return nil, err
	case w.Key.empty():
		return nil, errors.New("there is no private key to sign the request with")
	case random == nil:
		return nil, errors.New("there is no source of randomness")
	}
	f = f.unbound()
	template := &x509.CertificateRequest{RawSubject: f.subject, ExtraExtensions: f.extensions}
	der, err := x509.CreateCertificateRequest(random, template, w.Key.signer())
	if err != nil {
		return nil, fmt.Errorf("signing it: %s", fact.Text(clip(err.Error())))
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// Accept reads what an authority elsewhere has signed, PEM or one certificate
// in DER: the certificate and, in any order, the ones between it and an
// anchor. All that is wrong comes in one error, a *Refused: the key, missing
// and further names, groups and usages, the dates at that instant, and why no
// anchor is reached. The chain is the certificates between the leaf and the
// anchor, without the anchor, in their order.
func Accept(signed []byte, w Wanted, anchors []fact.Cert, at time.Time) (leaf fact.Cert, chain []fact.Cert, err error) {
	if _, err := w.form(); err != nil {
		return fact.Cert{}, nil, fmt.Errorf("accepting a certificate for %s: %w", w.who(), err)
	}
	content := Read(signed)
	if len(content.Certs) == 0 {
		problem := content.Problem
		if problem == "" {
			problem = "there is no certificate in it"
		}
		return fact.Cert{}, nil, fmt.Errorf("accepting a certificate for %s: %s", w.who(), problem)
	}
	leaf, others := w.pick(content.Certs)
	var reasons []string
	if w.Old.Certificate != nil && leaf.Fingerprint() == w.Old.Fingerprint() {
		reasons = append(reasons, "it is the old certificate itself")
	}
	w.compare(leaf, &reasons)
	trusted(leaf, others, anchors, at, &reasons)
	if len(reasons) > 0 {
		return fact.Cert{}, nil, fmt.Errorf("accepting a certificate for %s: %w", w.who(), &Refused{Reasons: reasons})
	}
	found := Verify(leaf, others, anchors, verifiedUsages(leaf)[0]).Certs
	return leaf, found[1:max(len(found)-1, 1)], nil
}

// pick finds the certificate with the key: of several not the old one, and the
// one that ends last. Without one it is the first that is no CA, so that the
// rest of it can be compared too.
func (w Wanted) pick(certs []fact.Cert) (leaf fact.Cert, others []fact.Cert) {
	best, rank := 0, -1
	for i, c := range certs {
		r := 0
		switch {
		case c.KeyFingerprint() == w.keyFingerprint() && (w.Old.Certificate == nil || !bytes.Equal(c.Raw, w.Old.Raw)):
			r = 3
		case c.KeyFingerprint() == w.keyFingerprint():
			r = 2
		case !c.IsCA:
			r = 1
		}
		if r > rank || r == rank && r > 1 && c.NotAfter.After(certs[best].NotAfter) {
			best, rank = i, r
		}
	}
	others = append(others, certs[:best]...)
	return certs[best], append(others, certs[best+1:]...)
}
