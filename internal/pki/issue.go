// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/netip"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Backdate is how long before its making a certificate begins, so that a
// verifier whose clock is behind accepts it. kubeadm's is the same
// (CertificateBackdate, cmd/kubeadm/app/constants, since Kubernetes 1.29 for
// CAs and since 1.31 for what `certs renew` makes).
const Backdate = 5 * time.Minute

// UsualLife is how long kubeadm's certificates live
// (CertificateValidityPeriod, cmd/kubeadm/app/constants, unchanged since 1.9).
const UsualLife = 365 * 24 * time.Hour

// Wanted is what a new certificate has to say, whoever signs it. Exactly one
// of Old and Spec is given.
type Wanted struct {
	// Old is the certificate to be renewed. The name, the alternative names
	// of every kind, the usages and all other extensions are taken from it,
	// byte for byte and in its order.
	Old fact.Cert
	// Spec describes a certificate that does not exist.
	Spec *Spec
	// Key is the new certificate's. Without one it is Old's, and the caller
	// has to know that the private key beside it is the right one.
	Key *PrivateKey
	// AddDNS and AddIPs are added to the alternative names.
	AddDNS []string
	AddIPs []netip.Addr
}

// Authority is a CA that can sign.
type Authority struct {
	Cert fact.Cert
	Key  *PrivateKey
}

// Request asks for a certificate from an authority whose key is at hand.
type Request struct {
	Wanted
	CA   Authority
	Now  time.Time
	Life time.Duration // from Now to NotAfter; 0: as long as Old's, UsualLife for a Spec
	Rand io.Reader     // for the serial number
	// OtherCA allows that the CA is not the one that signed Old. Without it
	// that is an error: the likeliest cause is a mix-up of etcd's CA with the
	// cluster's.
	OtherCA bool
}

// Issuance is a new certificate, verified against its CA.
type Issuance struct {
	Cert   fact.Cert
	NewKey bool // it has another key than Old
	// Capped is how much earlier it ends than was wanted, because its CA ends
	// then; 0 when it does not.
	Capped time.Duration
	// Assumed says that the life of Old could not be seen and UsualLife was
	// taken: see OwnLife.
	Assumed bool
	// Dropped lists the extensions of Old, by object identifier, that belong
	// to that one certificate and are not in the new one.
	Dropped []string
}

// Issue makes and signs a certificate.
//
// It begins Backdate before Now, but not before its CA, and ends with its
// life, but not after its CA. The serial number is positive, random and has
// 127 bits. The result has been put to Verify and to the same comparison with
// what was wanted as a certificate that somebody else has signed (Accept).
//
// What differs from `kubeadm certs renew` (phases/certs/renewal/manager.go
// and util/pkiutil/pki_helpers.go of cmd/kubeadm/app, read in 1.25.0, 1.28.15,
// 1.29.15, 1.30.0, 1.31.0, 1.32.2, 1.34.4, 1.35.4, 1.36.3 and 1.37.0), and why:
//
//   - The key is the old one unless another is given: a pair of files is then
//     replaced by one rename, with no instant at which the two disagree.
//     kubeadm always makes a new key, by the cluster's encryptionAlgorithm.
//   - The name is the old one's bytes. kubeadm takes the common name and the
//     organisations and drops everything else. kubeadm 1.29 alone changes
//     organisations while renewing: it takes system:masters from
//     apiserver-etcd-client, etcd-healthcheck-client and
//     apiserver-kubelet-client and gives the last one kubeadm:cluster-admins.
//     Here groups never change by renewing, since what they may do is decided
//     by bindings that a renewal does not look at.
//   - The alternative names are the old one's bytes. kubeadm takes DNS names,
//     which it sorts, and addresses; it drops URIs, e-mail addresses and
//     others.
//   - Usages and all other extensions are the old ones' bytes. kubeadm sets
//     the key usages to digitalSignature and keyEncipherment, keeps the
//     extended usages that Go knows by name, and drops all other extensions.
//   - NotBefore is the same as kubeadm's since 1.31; before, it is the CA's
//     NotBefore, which makes a certificate look as old as its CA.
//   - NotAfter, when no life is given, lets the certificate live as long as
//     the old one did. kubeadm since 1.31 has certificateValidityPeriod
//     (v1beta4), before and otherwise 365 days. kubeadm does not stop at the
//     end of the CA: its certificates can outlive what proves them.
//   - The serial number is longer: kubeadm's has at most 63 bits.
//   - Under an RSA key the signature keeps the old one's hash (SHA-256 or
//     longer); kubeadm always takes SHA-256.
//   - In a kubeconfig certificate-authority-data stays as it is
//     (ReplaceKubeconfig); kubeadm writes the first certificate of ca.crt
//     there, and so loses the second one of a bundle.
func Issue(r Request) (Issuance, error) {
	issued, err := r.issue()
	if err != nil {
		return Issuance{}, fmt.Errorf("issuing a certificate for %s: %w", r.Wanted.who(), err)
	}
	return issued, nil
}

func (r Request) issue() (Issuance, error) {
	f, err := r.form()
	if err != nil {
		return Issuance{}, err
	}
	if err := r.CA.canSign(r.Now); err != nil {
		return Issuance{}, err
	}
	if r.Old.Certificate != nil && !r.OtherCA && !Issued(r.CA.Cert, r.Old) {
		return Issuance{}, fmt.Errorf("the CA %s did not sign the present certificate", r.CA.name())
	}
	public, err := r.publicKey()
	if err != nil {
		return Issuance{}, err
	}
	if err := f.bind(r.Old, public, r.CA.Cert); err != nil {
		return Issuance{}, err
	}
	issued := Issuance{Dropped: f.dropped}
	template := &x509.Certificate{RawSubject: f.subject, ExtraExtensions: f.extensions, SignatureAlgorithm: r.signature()}
	if err := r.date(template, &issued); err != nil {
		return Issuance{}, err
	}
	if template.SerialNumber, err = r.serial(); err != nil {
		return Issuance{}, err
	}
	if issued.Cert, err = r.sign(template, public); err != nil {
		return Issuance{}, err
	}
	issued.NewKey = r.Old.Certificate != nil && issued.Cert.KeyFingerprint() != r.Old.KeyFingerprint()
	return issued, nil
}

func (r Request) sign(template *x509.Certificate, public crypto.PublicKey) (fact.Cert, error) {
	der, err := x509.CreateCertificate(r.Rand, template, r.CA.Cert.Certificate, public, r.CA.Key.signer())
	if err != nil {
		return fact.Cert{}, fmt.Errorf("signing it with the key of the CA %s: %s", r.CA.name(), fact.Text(clip(err.Error())))
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return fact.Cert{}, fmt.Errorf("reading back what was signed: %s", fact.Text(clip(err.Error())))
	}
	cert := fact.Cert{Certificate: parsed}
	var reasons []string
	r.Wanted.compare(cert, &reasons)
	trusted(cert, nil, []fact.Cert{r.CA.Cert}, r.Now, &reasons)
	if len(reasons) > 0 {
		return fact.Cert{}, &Refused{Reasons: reasons}
	}
	return cert, nil
}

// date sets the begin and the end.
func (r Request) date(template *x509.Certificate, issued *Issuance) error {
	now, ca := r.Now.UTC().Truncate(time.Second), r.CA.Cert
	begin := now.Add(-Backdate)
	end := now.Add(r.Life.Truncate(time.Second))
	switch {
	case r.Life < 0:
		return fmt.Errorf("a life of %s is none", r.Life)
	case r.Life == 0 && r.Old.Certificate != nil:
		var life time.Duration
		life, issued.Assumed = OwnLife(r.Old, ca, r.Now)
		end = begin.Add(life)
	case r.Life == 0:
		end = begin.Add(UsualLife)
	}
	if begin.Before(ca.NotBefore) {
		begin = ca.NotBefore
	}
	if end.After(ca.NotAfter) {
		issued.Capped = end.Sub(ca.NotAfter)
		end = ca.NotAfter
	}
	if !end.After(r.Now) {
		return fmt.Errorf("it would be over at once, on %s", instant(end))
	}
	template.NotBefore, template.NotAfter = begin, end
	return nil
}

// OwnLife is how long a certificate was made to live, and whether that is an
// assumption.
//
// kubeadm up to 1.30 writes the CA's NotBefore into all leaves, later ones
// still into those inside new kubeconfigs. What such a certificate says of
// its begin tells nothing: renewed by kubeadm in the fifth year of its CA it
// seems to live six years. Taking that over would give it six years indeed,
// and each renewal more. So with the CA's begin, and an end that is no
// further away than UsualLife, it is taken to be kubeadm's usual one. An end
// further away proves that it is not.
func OwnLife(old, ca fact.Cert, now time.Time) (life time.Duration, assumed bool) {
	life = old.NotAfter.Sub(old.NotBefore)
	if old.NotBefore.Equal(ca.NotBefore) && life > UsualLife+time.Hour && !old.NotAfter.After(now.Add(UsualLife)) {
		return UsualLife, true
	}
	return life, false
}

// serial draws a serial number of exactly 127 bits: one bit is set so that it
// is never zero or short. (RFC 5280 section 4.1.2.2 allows 20 bytes, positive.)
func (r Request) serial() (*big.Int, error) {
	if r.Rand == nil {
		return nil, errors.New("there is no source of randomness")
	}
	bytes := make([]byte, 16)
	if _, err := io.ReadFull(r.Rand, bytes); err != nil {
		return nil, fmt.Errorf("drawing a serial number: %w", err)
	}
	bytes[0] = bytes[0]&0x7F | 0x40
	serial := new(big.Int).SetBytes(bytes)
	if r.Old.Certificate != nil && serial.Cmp(r.Old.SerialNumber) == 0 {
		return nil, errors.New("drawing a serial number: the source of randomness repeats itself")
	}
	return serial, nil
}

// signature keeps the hash of the old signature where the CA has an RSA key;
// with any other key, and for hashes that are too weak, crypto/x509 chooses
// what suits the key.
func (r Request) signature() x509.SignatureAlgorithm {
	if r.Old.Certificate == nil || r.CA.Key.Public().Algorithm != "RSA" {
		return x509.UnknownSignatureAlgorithm
	}
	switch r.Old.SignatureAlgorithm {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA,
		x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS:
		return r.Old.SignatureAlgorithm
	}
	return x509.UnknownSignatureAlgorithm
}

func (a Authority) name() fact.Text {
	if a.Cert.Certificate == nil {
		return "without a certificate"
	}
	return shortName(a.Cert)
}

// canSign says why an authority cannot sign at an instant.
func (a Authority) canSign(now time.Time) error {
	c := a.Cert
	switch {
	case c.Certificate == nil:
		return errors.New("there is no CA certificate")
	case a.Key.empty():
		return fmt.Errorf("the private key of the CA %s is not there", a.name())
	case !KeyMatches(a.Key.Public(), c):
		return fmt.Errorf("the private key does not belong to the certificate of the CA %s", a.name())
	case !c.BasicConstraintsValid || !c.IsCA:
		return fmt.Errorf("%s is no certificate authority", a.name())
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return fmt.Errorf("%s may not sign certificates: its key usages leave that out", a.name())
	case now.After(c.NotAfter):
		return fmt.Errorf("the CA %s has expired on %s: it has to be renewed first", a.name(), instant(c.NotAfter))
	case now.Before(c.NotBefore):
		return fmt.Errorf("the CA %s is valid only from %s: is the clock right", a.name(), instant(c.NotBefore))
	}
	return nil
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }
