// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"perennial.dev/perennial/internal/fact"
)

// keyNames are the algorithms by the names of kubeadm's encryptionAlgorithm
// (ClusterConfiguration v1beta4, since Kubernetes 1.31; RSA-2048 is its
// default, and all there was before but for ECDSA-P256 behind the gate
// PublicKeysECDSA), and Ed25519, which kubeadm does not make. The formats are
// those in which kubeadm writes (k8s.io/client-go util/keyutil
// MarshalPrivateKeyToPEM).
var keyNames = map[string]fact.Key{
	"RSA-2048":   {Algorithm: "RSA", Bits: 2048, Format: "PKCS#1"},
	"RSA-3072":   {Algorithm: "RSA", Bits: 3072, Format: "PKCS#1"},
	"RSA-4096":   {Algorithm: "RSA", Bits: 4096, Format: "PKCS#1"},
	"ECDSA-P256": {Algorithm: "ECDSA", Bits: 256, Format: "SEC1"},
	"ECDSA-P384": {Algorithm: "ECDSA", Bits: 384, Format: "SEC1"},
	"Ed25519":    {Algorithm: "Ed25519", Format: "PKCS#8"},
}

// KeyNamed gives the kind of key of a name such as RSA-2048 or ECDSA-P256, to
// be made by NewPrivateKey.
func KeyNamed(name string) (fact.Key, error) {
	if key, ok := keyNames[name]; ok {
		return key, nil
	}
	return fact.Key{}, fmt.Errorf("choosing a key algorithm: %s is not known, want RSA-2048, RSA-3072, RSA-4096, ECDSA-P256, ECDSA-P384 or Ed25519",
		fact.Text(clip(name)))
}

// KeyOf describes the key of a certificate, as NewPrivateKey takes it. A key
// that Go does not know gives the zero Key.
func KeyOf(c fact.Cert) fact.Key {
	if c.Certificate == nil {
		return fact.Key{}
	}
	key, err := describeKey(c.PublicKey, "PKIX")
	if err != nil {
		return fact.Key{}
	}
	key.Public = true
	return key
}

// NewPrivateKey makes a key of the same algorithm, size and format as like,
// which may be the public side of an existing key or a certificate's, or come
// from KeyNamed. A format that cannot be seen (of a public key) becomes that
// of kubeadm. What is too weak to be made today is made stronger: RSA has at
// least 2048 bits, an elliptic curve 256.
//
// Since Go 1.26 RSA and ECDSA keys are drawn from the system's source of
// randomness, whatever the reader is.
func NewPrivateKey(like fact.Key, random io.Reader) (*PrivateKey, error) {
	key, err := newKeyLike(like, random)
	if err != nil {
		return nil, fmt.Errorf("making a private key: %w", err)
	}
	return key, nil
}

func newKeyLike(like fact.Key, random io.Reader) (*PrivateKey, error) {
	if random == nil {
		return nil, errors.New("there is no source of randomness")
	}
	signer, err := generate(like, random)
	if err != nil {
		return nil, err
	}
	format := like.Format
	if like.Public || format == "" || format == "PKIX" {
		format = usualFormat(like.Algorithm)
	}
	block, format, err := encodePrivate(signer, format)
	if err != nil {
		return nil, err
	}
	return newPrivateKey(signer, format, pem.EncodeToMemory(block))
}

func generate(like fact.Key, random io.Reader) (crypto.Signer, error) {
	switch {
	case like.Algorithm == "RSA" && like.Bits <= maxPrivateBits:
		return rsa.GenerateKey(random, max(like.Bits, 2048))
	case like.Algorithm == "ECDSA" && like.Bits <= 521:
		return ecdsa.GenerateKey(curve(like.Bits), random)
	case like.Algorithm == "Ed25519":
		_, private, err := ed25519.GenerateKey(random)
		return private, err
	}
	return nil, fmt.Errorf("no key of the algorithm %s with %d bits can be made", fact.Text(clip(like.Algorithm)), like.Bits)
}

func curve(bits int) elliptic.Curve {
	switch {
	case bits > 384:
		return elliptic.P521()
	case bits > 256:
		return elliptic.P384()
	}
	return elliptic.P256()
}

func usualFormat(algorithm string) string {
	switch algorithm {
	case "RSA":
		return "PKCS#1"
	case "ECDSA":
		return "SEC1"
	}
	return "PKCS#8"
}

// encodePrivate writes a key in a format. One that the algorithm does not
// have becomes PKCS#8, which all have.
func encodePrivate(signer crypto.Signer, format string) (*pem.Block, string, error) {
	switch key := signer.(type) {
	case *rsa.PrivateKey:
		if format == "PKCS#1" {
			return &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}, format, nil
		}
	case *ecdsa.PrivateKey:
		if format == "SEC1" {
			der, err := x509.MarshalECPrivateKey(key)
			return &pem.Block{Type: "EC PRIVATE KEY", Bytes: der}, format, err
		}
	}
	der, err := x509.MarshalPKCS8PrivateKey(signer)
	return &pem.Block{Type: "PRIVATE KEY", Bytes: der}, "PKCS#8", err
}
