// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Remake makes a certificate again that no authority vouches for: one that was signed
// with its own key, or by an authority that was thrown away, as a kubelet's own is
// (GenerateSelfSignedCertKey, k8s.io/client-go util/cert). It is signed with its own
// key, and says what the old one says: the name, the alternative names, the usages.
// Whoever was told to trust the old one in particular has to be told again, as when its
// owner makes it; whoever compares the key need not.
func Remake(r Request) (fact.Cert, error) {
	cert, err := r.remake()
	if err != nil {
		return fact.Cert{}, fmt.Errorf("making a certificate for %s again: %w", r.Wanted.who(), err)
	}
	return cert, nil
}

func (r Request) remake() (fact.Cert, error) {
	switch {
	case r.Old.Certificate == nil:
		return fact.Cert{}, errors.New("there is no certificate to begin with")
	case r.Old.IsCA:
		return fact.Cert{}, errors.New("it is a certificate authority, and all that it signed hangs on it")
	case r.Key.empty():
		return fact.Cert{}, errors.New("there is no key for it")
	case r.Life <= 0:
		return fact.Cert{}, fmt.Errorf("a life of %s is none", r.Life)
	}
	f, public := formOf(r.Old), r.Key.signer().Public()
	if err := f.bindSubject(r.Old, public); err != nil {
		return fact.Cert{}, err
	}
	f.remove(oidAuthorityKeyID)
	now := r.Now.UTC().Truncate(time.Second)
	template := &x509.Certificate{RawSubject: f.subject, ExtraExtensions: f.extensions, NotBefore: now.Add(-Backdate), NotAfter: now.Add(r.Life.Truncate(time.Second))}
	var err error
	if template.SerialNumber, err = r.serial(); err != nil {
		return fact.Cert{}, err
	}
	der, err := x509.CreateCertificate(r.Rand, template, template, public, r.Key.signer())
	if err != nil {
		return fact.Cert{}, fmt.Errorf("signing it with its own key: %s", fact.Text(clip(err.Error())))
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return fact.Cert{}, fmt.Errorf("reading back what was signed: %s", fact.Text(clip(err.Error())))
	}
	cert := fact.Cert{Certificate: parsed}
	if !SelfSigned(cert) || cert.KeyFingerprint() != r.Key.Public().Fingerprint || !bytes.Equal(cert.RawSubject, r.Old.RawSubject) {
		return fact.Cert{}, errors.New("what was signed is not what was wanted")
	}
	return cert, nil
}
