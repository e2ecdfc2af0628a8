// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// Describe puts a certificate into words, as reports show it.
func Describe(c fact.Cert) *finding.Certificate {
	if c.Certificate == nil {
		return nil
	}
	d := &finding.Certificate{
		Fingerprint: c.Fingerprint(),
		Subject:     name(c.RawSubject, c.Subject),
		Issuer:      name(c.RawIssuer, c.Issuer),
		Usages:      usages(c.Certificate),
		CA:          c.BasicConstraintsValid && c.IsCA,
		Key:         keyName(c.Certificate),
		NotBefore:   c.NotBefore.UTC(),
		NotAfter:    c.NotAfter.UTC(),
	}
	if c.SerialNumber != nil {
		d.Serial = c.SerialNumber.Text(16)
	}
	d.SANs, d.SANsOmitted = sans(c.Certificate)
	return d
}

// name writes a distinguished name as RFC 2253 does, last part first. It
// reads the name's own bytes: pkix.Name forgets the order of the parts.
func name(raw []byte, parsed pkix.Name) fact.Text {
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &sequence); err == nil && len(rest) == 0 {
		return fact.Text(sequence.String())
	}
	return fact.Text(parsed.String())
}

func sans(c *x509.Certificate) (kept []fact.Text, omitted int) {
	add := func(kind, value string) {
		if len(kept) == finding.SANLimit {
			omitted++
			return
		}
		kept = append(kept, fact.Text(kind+":"+value))
	}
	for _, dns := range c.DNSNames {
		add("dns", dns)
	}
	for _, ip := range c.IPAddresses {
		add("ip", ip.String())
	}
	for _, uri := range c.URIs {
		add("uri", uri.String())
	}
	for _, email := range c.EmailAddresses {
		add("email", email)
	}
	return kept, omitted
}

// usages lists key usages, then extended ones, by their names in RFC 5280;
// extended usages without a name by their object identifier.
func usages(c *x509.Certificate) []string {
	var names []string
	for bit := x509.KeyUsageDigitalSignature; bit <= x509.KeyUsageDecipherOnly; bit <<= 1 {
		if c.KeyUsage&bit != 0 {
			names = append(names, bit.String())
		}
	}
	for _, usage := range c.ExtKeyUsage {
		names = append(names, usage.String())
	}
	for _, oid := range c.UnknownExtKeyUsage {
		names = append(names, oid.String())
	}
	return names
}

// Covers says whether a client that connects to host, a DNS name or an IP
// address, accepts the certificate's names. The common name does not count.
func Covers(cert fact.Cert, host string) bool {
	return cert.Certificate != nil && host != "" && cert.VerifyHostname(host) == nil
}
