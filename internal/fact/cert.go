// SPDX-License-Identifier: Apache-2.0

package fact

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
)

// Cert is a certificate. In records it is its DER bytes; certificates are
// public, so nothing is lost and nothing given away.
type Cert struct{ *x509.Certificate }

// Fingerprint is "sha256:<hex>" over the DER bytes.
func (c Cert) Fingerprint() string { return sum(c.Raw) }

// KeyFingerprint is "sha256:<hex>" over the DER SubjectPublicKeyInfo.
func (c Cert) KeyFingerprint() string { return sum(c.RawSubjectPublicKeyInfo) }

// MarshalJSON writes the DER bytes in base64.
func (c Cert) MarshalJSON() ([]byte, error) { return json.Marshal(c.Raw) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Cert) UnmarshalJSON(data []byte) error {
	var der []byte
	if err := json.Unmarshal(data, &der); err != nil {
		return err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return fmt.Errorf("parsing a recorded certificate: %w", err)
	}
	c.Certificate = parsed
	return nil
}

// Digest is "sha256:<hex>" over any bytes, as in File.Digest.
func Digest(data []byte) string { return sum(data) }

func sum(b []byte) string {
	h := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(h[:])
}
