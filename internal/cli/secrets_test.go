// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

var (
	pemKey   = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----\n?`)
	embedded = regexp.MustCompile(`client-key-data: *([A-Za-z0-9+/=]+)`)
)

// secretsBelow are the private parts of all keys below a directory, in the
// forms in which they could come out.
func secretsBelow(t *testing.T, root string) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if info, err := d.Info(); err != nil || info.Size() > 4<<20 {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range embedded.FindAllSubmatch(data, -1) {
			if body, err := base64.StdEncoding.DecodeString(string(m[1])); err == nil {
				data = append(append(data, '\n'), body...)
			}
		}
		for _, block := range pemKey.FindAll(data, -1) {
			if b, _ := pem.Decode(block); b != nil {
				all = append(all, forms(private(b.Bytes))...)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// private is the secret number of a key, empty where it cannot be parsed.
func private(der []byte) []byte {
	var key any
	if k, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		key = k
	} else if k, err := x509.ParseECPrivateKey(der); err == nil {
		key = k
	} else if k, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		key = k
	}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		if raw, err := k.Bytes(); err == nil {
			return raw
		}
	case *rsa.PrivateKey:
		return k.D.Bytes()
	case ed25519.PrivateKey:
		return k.Seed()
	}
	return nil
}

// forms are parts of a secret that are long enough to be no accident, as bytes,
// in hex and in base64 at each of the three alignments. Short parts, since
// PEM breaks lines anywhere.
func forms(secret []byte) []string {
	if len(secret) < 24 {
		return nil
	}
	secret = secret[len(secret)-24:]
	all := []string{string(secret[:12]), string(secret[12:]), hex.EncodeToString(secret[:8]), hex.EncodeToString(secret[16:])}
	for shift := range 3 {
		text := base64.RawStdEncoding.EncodeToString(secret[shift : shift+21])
		all = append(all, text[:14], text[14:])
	}
	return all
}
