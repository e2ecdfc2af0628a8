// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"

	"perennial.dev/perennial/internal/fact"
)

// maxRequest bounds what is looked at for signing requests, in bytes: one is
// about a KiB.
const maxRequest = 64 << 10

// ReadRequests gives the public keys of the PKCS#10 signing requests in a PEM
// file whose own signatures hold. A file without any gives none.
func ReadRequests(data []byte) []fact.Key {
	if len(data) > maxRequest || !bytes.Contains(data, []byte("CERTIFICATE REQUEST-----")) {
		return nil
	}
	var keys []fact.Key
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE REQUEST" {
			continue
		}
		request, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil || request.CheckSignature() != nil {
			continue
		}
		if key, err := describeKey(request.PublicKey, "PKIX"); err == nil {
			key.Public = true
			keys = append(keys, key)
		}
	}
	return keys
}
