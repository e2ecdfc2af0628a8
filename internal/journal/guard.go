// SPDX-License-Identifier: Apache-2.0

package journal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"regexp"
)

// errSecret is why a record is refused.
var errSecret = errors.New("it holds a private key, which belongs into a file of its own")

var (
	keyBlock = regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY`)
	// encodedBlock begins as "-----BEGIN" does in base64: what a kubeconfig
	// holds as client-key-data, and what JSON makes of a []byte.
	encodedBlock = regexp.MustCompile(`LS0tLS1CRUdJTi[A-Za-z0-9+/_-]*`)
)

// refuseKeys fails where a private key in PEM is in any string of a JSON text,
// plainly or in base64, however JSON escapes it. Keys in other encodings it
// does not know.
func refuseKeys(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // a number too large for a float is no fault here
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if s, ok := token.(string); ok && secret(s) {
			return errSecret
		}
	}
}

func secret(s string) bool {
	if keyBlock.MatchString(s) {
		return true
	}
	for _, found := range encodedBlock.FindAllString(s, -1) {
		// Whole groups of four, so that no padding is needed.
		found = found[:len(found)/4*4]
		for _, alphabet := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			// Up to the first strange byte is enough.
			decoded, _ := alphabet.DecodeString(found)
			if keyBlock.Match(decoded) {
				return true
			}
		}
	}
	return false
}
