// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"strings"
)

// secretsOf gives the private numbers of a key in every encoding in which
// they could come out: hex, decimal, and base64 at each of the three
// positions that bytes can have in it.
func secretsOf(key crypto.Signer) []string {
	var secrets []string
	for _, scalar := range scalarsOf(key) {
		number := new(big.Int).SetBytes(scalar)
		secrets = append(secrets, hex.EncodeToString(scalar), number.Text(16), number.String())
		for shift := range 3 {
			padded := append(make([]byte, shift), scalar...)
			encoded := base64.RawStdEncoding.EncodeToString(padded)
			inside := encoded[4 : len(encoded)-4] // the ends mix with what stands beside them
			secrets = append(secrets, inside, strings.NewReplacer("+", "-", "/", "_").Replace(inside))
		}
	}
	return secrets
}

func scalarsOf(key crypto.Signer) [][]byte {
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return [][]byte{k.D.Bytes(), k.Primes[0].Bytes(), k.Primes[1].Bytes()}
	case *ecdsa.PrivateKey:
		return [][]byte{must(k.Bytes())}
	case ed25519.PrivateKey:
		return [][]byte{k.Seed()}
	}
	panic("a key of unknown type")
}
