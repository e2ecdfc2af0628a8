// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"

	"perennial.dev/perennial/internal/fact"
)

// Object identifiers of extensions (RFC 5280 section 4.2.1, RFC 6962
// section 3.3).
var (
	oidSubjectKeyID     = asn1.ObjectIdentifier{2, 5, 29, 14}
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidPrivateKeyPeriod = asn1.ObjectIdentifier{2, 5, 29, 16}
	oidSANs             = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}
	oidAuthorityKeyID   = asn1.ObjectIdentifier{2, 5, 29, 35}
	oidExtendedUsage    = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidTimestamps       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}
	oidPoison           = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 3}
)

// personal are the extensions that were made for one single certificate: its
// entries in transparency logs, and dates of their own. In another
// certificate they would be wrong.
var personal = []asn1.ObjectIdentifier{oidPrivateKeyPeriod, oidTimestamps, oidPoison}

// form is what a certificate says, apart from its key, issuer, dates and
// serial number: its name and extensions as DER, so that what nobody here
// understands stays the same too.
type form struct {
	subject    []byte
	extensions []pkix.Extension
	dropped    []string // object identifiers of extensions that were not taken over
}

// formOf takes the form of a certificate. The key identifiers stay in as
// marks of their places, for bind to fill in.
func formOf(c fact.Cert) form {
	f := form{subject: bytes.Clone(c.RawSubject)}
	for _, e := range c.Extensions {
		if has(personal, e.Id) {
			f.dropped = append(f.dropped, e.Id.String())
			continue
		}
		f.extensions = append(f.extensions, pkix.Extension{Id: e.Id, Critical: e.Critical, Value: bytes.Clone(e.Value)})
	}
	return f
}

func has(list []asn1.ObjectIdentifier, id asn1.ObjectIdentifier) bool {
	for _, known := range list {
		if known.Equal(id) {
			return true
		}
	}
	return false
}

func (f *form) extension(id asn1.ObjectIdentifier) *pkix.Extension {
	for i := range f.extensions {
		if f.extensions[i].Id.Equal(id) {
			return &f.extensions[i]
		}
	}
	return nil
}

func (f *form) set(id asn1.ObjectIdentifier, critical bool, value []byte) {
	if e := f.extension(id); e != nil {
		e.Value = value
		return
	}
	f.extensions = append(f.extensions, pkix.Extension{Id: id, Critical: critical, Value: value})
}

func (f *form) remove(id asn1.ObjectIdentifier) {
	var kept []pkix.Extension
	for _, e := range f.extensions {
		if !e.Id.Equal(id) {
			kept = append(kept, e)
		}
	}
	f.extensions = kept
}

// unbound is the form without the identifiers of keys: what can be asked of
// an authority elsewhere.
func (f form) unbound() form {
	f.remove(oidSubjectKeyID)
	f.remove(oidAuthorityKeyID)
	return f
}

// bind makes the key identifiers those of the new certificate's key and of its
// issuer. The issuer's identifier is read from its certificate and never
// computed: crypto/x509 has changed from SHA-1 to SHA-256 for it, and a CA of
// before keeps the old one for its ten years.
func (f *form) bind(old fact.Cert, public any, issuer fact.Cert) error {
	if err := f.bindSubject(old, public); err != nil {
		return err
	}
	if len(issuer.SubjectKeyId) == 0 {
		f.remove(oidAuthorityKeyID)
		return nil
	}
	value, err := asn1.Marshal(struct {
		ID []byte `asn1:"optional,tag:0"`
	}{issuer.SubjectKeyId})
	if err != nil {
		return err
	}
	f.set(oidAuthorityKeyID, false, value)
	return nil
}

// bindSubject keeps the key's identifier with the key, and computes another
// key's in the way of the old one. A certificate without one (kubeadm's
// leaves) stays without.
func (f *form) bindSubject(old fact.Cert, public any) error {
	present := f.extension(oidSubjectKeyID)
	if present == nil {
		return nil
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return err
	}
	if bytes.Equal(spki, old.RawSubjectPublicKeyInfo) {
		return nil
	}
	now, err := keyBits(spki)
	if err != nil {
		return err
	}
	id := shortSHA256(now)
	if before, err := keyBits(old.RawSubjectPublicKeyInfo); err == nil && bytes.Equal(old.SubjectKeyId, shortSHA1(before)) {
		id = shortSHA1(now)
	}
	present.Value, err = asn1.Marshal(id)
	return err
}

// shortSHA1 and shortSHA256 are the two usual ways to make a key identifier
// (RFC 5280 section 4.2.1.2 method 1, RFC 7093 section 2 method 1).
func shortSHA1(bits []byte) []byte   { sum := sha1.Sum(bits); return sum[:] }
func shortSHA256(bits []byte) []byte { sum := sha256.Sum256(bits); return sum[:20] }

// keyBits is the key in a DER SubjectPublicKeyInfo.
func keyBits(spki []byte) ([]byte, error) {
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(spki, &info); err != nil {
		return nil, errors.New("the public key cannot be understood")
	}
	return info.Key.RightAlign(), nil
}

// usages lists the object identifiers of the extended usages.
func (f *form) usages() ([]asn1.ObjectIdentifier, error) {
	e := f.extension(oidExtendedUsage)
	if e == nil {
		return nil, nil
	}
	var ids []asn1.ObjectIdentifier
	if rest, err := asn1.Unmarshal(e.Value, &ids); err != nil || len(rest) > 0 {
		return nil, errors.New("its extended usages cannot be understood")
	}
	return ids, nil
}

// signs says whether the key usages, where there are any, allow the
// signatures that every TLS handshake since 1.3 needs.
func (f *form) signs() bool {
	e := f.extension(oidKeyUsage)
	if e == nil {
		return true
	}
	var bits asn1.BitString
	_, err := asn1.Unmarshal(e.Value, &bits)
	return err == nil && bits.At(0) == 1
}

// usageName names an extended usage as RFC 5280 does, or by its object
// identifier.
func usageName(id asn1.ObjectIdentifier) string {
	if usage, ok := knownUsage(id); ok {
		return usage.String()
	}
	return id.String()
}

func knownUsage(id asn1.ObjectIdentifier) (x509.ExtKeyUsage, bool) {
	for usage := x509.ExtKeyUsageAny; usage <= x509.ExtKeyUsageMicrosoftKernelCodeSigning; usage++ {
		if usage.OID().String() == id.String() {
			return usage, true
		}
	}
	return 0, false
}

// extendedUsage is the extension for usages (RFC 5280 section 4.2.1.12).
func extendedUsage(usages []x509.ExtKeyUsage) (pkix.Extension, error) {
	var ids []asn1.ObjectIdentifier
	for _, usage := range usages {
		id, ok := objectID(usage)
		if !ok {
			return pkix.Extension{}, fmt.Errorf("the usage %s is not known", usage)
		}
		ids = append(ids, id)
	}
	value, err := asn1.Marshal(ids)
	return pkix.Extension{Id: oidExtendedUsage, Value: value}, err
}

func objectID(usage x509.ExtKeyUsage) (asn1.ObjectIdentifier, bool) {
	var id asn1.ObjectIdentifier
	oid := usage.OID()
	der, err := oid.MarshalBinary()
	if err != nil || len(der) == 0 {
		return nil, false
	}
	full, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagOID, Bytes: der})
	if err != nil {
		return nil, false
	}
	_, err = asn1.Unmarshal(full, &id)
	return id, err == nil
}

// keyUsage is the extension for a set of key usages (RFC 5280 section
// 4.2.1.3): critical, a bit string in which the first usage is the first bit.
func keyUsage(usage x509.KeyUsage) (pkix.Extension, error) {
	var bits asn1.BitString
	for i := range 9 {
		if usage&(1<<i) == 0 {
			continue
		}
		for len(bits.Bytes) <= i/8 {
			bits.Bytes = append(bits.Bytes, 0)
		}
		bits.Bytes[i/8] |= 0x80 >> (i % 8)
		bits.BitLength = i + 1
	}
	value, err := asn1.Marshal(bits)
	return pkix.Extension{Id: oidKeyUsage, Critical: true, Value: value}, err
}
