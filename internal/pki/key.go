// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// maxPrivateBits bounds the arithmetic that crypto/rsa does to validate a
// private key, which grows with the square of the modulus. crypto/tls refuses
// larger ones too.
const maxPrivateBits = 8192

var (
	errNoKey    = errors.New("cannot be understood as a key")
	errKeyLarge = errors.New("is an RSA key of more than 8192 bits, which Go programs refuse")
)

func isPrivateKind(kind string) bool {
	return kind == "PRIVATE KEY" || strings.HasSuffix(kind, " PRIVATE KEY") && kind != "OPENSSH PRIVATE KEY"
}

// readKey gives the public side of the key in a block. The private side does
// not leave this function. No error of a parser is passed on: no word of what
// saw a private key is worth the risk.
func readKey(b *pem.Block) (fact.Key, error) {
	switch {
	case b.Type == "ENCRYPTED PRIVATE KEY":
		return fact.Key{Format: "PKCS#8", Encrypted: true}, nil
	case isPrivateKind(b.Type) && strings.Contains(b.Headers["Proc-Type"], "ENCRYPTED"):
		return encryptedByHeader(b.Type), nil
	case isPrivateKind(b.Type):
		return parsePrivate(b.Bytes, b.Type)
	}
	return parsePublic(b.Bytes)
}

// encryptedByHeader is a key in OpenSSL's old encryption (RFC 1421 headers),
// which leaves the type of key in the clear.
func encryptedByHeader(kind string) fact.Key {
	key := fact.Key{Encrypted: true}
	switch kind {
	case "RSA PRIVATE KEY":
		key.Algorithm, key.Format = "RSA", "PKCS#1"
	case "EC PRIVATE KEY":
		key.Algorithm, key.Format = "ECDSA", "SEC1"
	case "DSA PRIVATE KEY":
		key.Algorithm, key.Format = "DSA", "DSA"
	default:
		key.Format = "PKCS#8"
	}
	return key
}

// parsePrivate tries the format that the block's type promises first, then
// the others, as crypto/tls does: mislabelled keys are common and work.
func parsePrivate(der []byte, kind string) (fact.Key, error) {
	if modulusBits(der) > maxPrivateBits {
		return fact.Key{}, errKeyLarge
	}
	for _, format := range formatsOf(kind) {
		if private, ok := decodePrivate(der, format); ok {
			return describeKey(private.Public(), format)
		}
	}
	return fact.Key{}, errNoKey
}

// formatsOf lists the formats to try for a type of block.
func formatsOf(kind string) []string {
	switch kind {
	case "RSA PRIVATE KEY":
		return []string{"PKCS#1", "PKCS#8", "SEC1"}
	case "EC PRIVATE KEY":
		return []string{"SEC1", "PKCS#8", "PKCS#1"}
	}
	return []string{"PKCS#8", "PKCS#1", "SEC1"}
}

// modulusBits is the size of an RSA private key's modulus, in PKCS#1 or
// PKCS#8; 0 for anything else. It reads as crypto/x509 does, and no further.
func modulusBits(der []byte) int {
	var wrapped struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}
	if _, err := asn1.Unmarshal(der, &wrapped); err == nil {
		der = wrapped.Key
	}
	var key struct {
		Version int
		Modulus *big.Int
	}
	if _, err := asn1.Unmarshal(der, &key); err != nil {
		return 0
	}
	return key.Modulus.BitLen()
}

// hasPublic is what all private keys of the standard library have in common;
// those that cannot sign (X25519) have no more.
type hasPublic interface{ Public() crypto.PublicKey }

func decodePrivate(der []byte, format string) (hasPublic, bool) {
	var private any
	var err error
	switch format {
	case "PKCS#1":
		private, err = x509.ParsePKCS1PrivateKey(der)
	case "SEC1":
		private, err = x509.ParseECPrivateKey(der)
	default:
		private, err = x509.ParsePKCS8PrivateKey(der)
	}
	if err != nil {
		return nil, false
	}
	key, ok := private.(hasPublic)
	return key, ok
}

func parsePublic(der []byte) (fact.Key, error) {
	format := "PKIX"
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		format = "PKCS#1"
		public, err = x509.ParsePKCS1PublicKey(der)
	}
	if err != nil {
		return fact.Key{}, errNoKey
	}
	key, err := describeKey(public, format)
	key.Public = err == nil
	return key, err
}

func describeKey(public crypto.PublicKey, format string) (fact.Key, error) {
	key := fact.Key{Format: format}
	key.Algorithm, key.Bits = algorithm(public)
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil || key.Algorithm == "" {
		return fact.Key{}, errNoKey
	}
	sum := sha256.Sum256(spki)
	key.Fingerprint = "sha256:" + hex.EncodeToString(sum[:])
	return key, nil
}

// algorithm names a public key as fact.Key does. The size is that of the RSA
// modulus or the curve, 0 where the name says it already.
func algorithm(public crypto.PublicKey) (name string, bits int) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return "RSA", k.N.BitLen()
	case *ecdsa.PublicKey:
		return "ECDSA", k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return "Ed25519", 0
	case *ecdh.PublicKey:
		return "X25519", 0
	}
	return "", 0
}

// KeyMatches says whether a key belongs to a certificate. A key whose public
// side is not known (an encrypted one) matches none.
func KeyMatches(key fact.Key, cert fact.Cert) bool {
	return key.Fingerprint != "" && cert.Certificate != nil && key.Fingerprint == cert.KeyFingerprint()
}

func keyName(cert *x509.Certificate) string {
	name, bits := algorithm(cert.PublicKey)
	switch {
	case name == "" && cert.PublicKeyAlgorithm == x509.UnknownPublicKeyAlgorithm:
		return "unknown"
	case name == "":
		return cert.PublicKeyAlgorithm.String()
	case bits == 0:
		return name
	}
	return fmt.Sprintf("%s %d", name, bits)
}
