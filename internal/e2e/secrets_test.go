// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// No private part of any key of the control plane may be in anything that is
// written: reports in every format, explanations, the record, errors.
func TestNoKeyBytes(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			p := up(t, version)
			keys := privateKeys(t, p.KubernetesDir)
			if len(keys) < 12 {
				t.Fatalf("only %d private keys found", len(keys))
			}
			record := filepath.Join(t.TempDir(), "record.jsonl")
			var written strings.Builder
			for _, args := range [][]string{
				{"check", "-o", "table"}, {"check", "-o", "wide"}, {"check", "-o", "json"}, {"check", "-o", "yaml", "--record", record},
				{"explain", "apiserver"}, {"explain", "sa"}, {"explain", "admin.conf"},
			} {
				out, errs, _ := p.perennial(append(args, "--kubernetes-dir", p.KubernetesDir)...)
				written.WriteString(out + errs)
			}
			recorded, err := os.ReadFile(record)
			if err != nil {
				t.Fatal(err)
			}
			written.Write(recorded)
			for _, k := range keys {
				for _, form := range k.forms {
					if strings.Contains(written.String(), form) {
						t.Errorf("the key in %s was written in some form", k.path)
					}
				}
			}
			t.Logf("%d private keys, %d bytes of output searched", len(keys), written.Len())
		})
	}
}

type privateKey struct {
	path  string
	forms []string // as they could appear in text
}

var embeddedKey = regexp.MustCompile(`client-key-data: (\S+)`)

func privateKeys(t *testing.T, dir string) []privateKey {
	t.Helper()
	var all []privateKey
	walk(t, dir, func(path string, data []byte) {
		if m := embeddedKey.FindSubmatch(data); m != nil {
			var err error
			if data, err = base64.StdEncoding.DecodeString(string(m[1])); err != nil {
				t.Fatal(err)
			}
		}
		block, _ := pem.Decode(data)
		if block == nil || !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return
		}
		all = append(all, privateKey{path, forms(secrets(t, block))})
	})
	return all
}

func secrets(t *testing.T, block *pem.Block) []*big.Int {
	t.Helper()
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return rsaSecrets(key)
	}
	if key, err := x509.ParseECPrivateKey(block.Bytes); err == nil {
		return ecdsaSecrets(t, key)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return rsaSecrets(key)
	case *ecdsa.PrivateKey:
		return ecdsaSecrets(t, key)
	}
	t.Fatalf("a key of type %T", key)
	return nil
}

func ecdsaSecrets(t *testing.T, key *ecdsa.PrivateKey) []*big.Int {
	t.Helper()
	scalar, err := key.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	return []*big.Int{new(big.Int).SetBytes(scalar)}
}

func rsaSecrets(key *rsa.PrivateKey) []*big.Int { return append([]*big.Int{key.D}, key.Primes...) }

// forms are 24 bytes out of the middle of each number as hex, and as base64
// in each of the three alignments; and its decimal digits.
func forms(numbers []*big.Int) []string {
	var all []string
	for _, n := range numbers {
		b := n.Bytes()
		middle := b[len(b)/2-8:]
		middle = middle[:min(24, len(middle))]
		all = append(all, string(middle), hex.EncodeToString(middle), strings.ToUpper(hex.EncodeToString(middle)), n.String())
		for shift := range 3 {
			encoded := base64.StdEncoding.EncodeToString(middle[shift : shift+(len(middle)-shift)/3*3])
			all = append(all, encoded, strings.NewReplacer("+", "-", "/", "_").Replace(encoded))
		}
	}
	return all
}
