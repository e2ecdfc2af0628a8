// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"perennial.dev/perennial/internal/fact"
)

// redacted is what a private key prints as.
const redacted = "[redacted]"

// PrivateKey is a private key together with the PEM text that it was read
// from or that was made for it. However it is printed, logged or marshalled
// comes out as "[redacted]"; PEM is the only way to its bytes. It may be
// copied. The zero PrivateKey holds no key.
type PrivateKey struct {
	public fact.Key
	// open is a function and no value: printers that look into unexported
	// fields of what holds a key end at the address of its code.
	open func() openKey
}

// openKey is what stays behind PrivateKey.open.
type openKey struct {
	signer crypto.Signer
	text   []byte // PEM
}

func newPrivateKey(signer crypto.Signer, format string, text []byte) (*PrivateKey, error) {
	public, err := describeKey(signer.Public(), format)
	if err != nil {
		return nil, err
	}
	return &PrivateKey{public: public, open: func() openKey { return openKey{signer, text} }}, nil
}

// ReadPrivateKey reads the private key that Kubernetes would use of a PEM
// file: the first one, with anything around it. The errors are sentences that
// hold nothing of the input.
func ReadPrivateKey(data []byte) (*PrivateKey, error) {
	key, err := readPrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("reading a private key: %w", err)
	}
	return key, nil
}

func readPrivateKey(data []byte) (*PrivateKey, error) {
	found, ok := firstKeyBlock(data)
	if !ok {
		if problem := Read(data).Problem; problem != "" {
			return nil, errors.New(problem.String())
		}
		return nil, errors.New("there is no private key in it")
	}
	if found.fault != "" {
		return nil, fmt.Errorf("%s %s", found.where(), found.fault)
	}
	decoded, _ := pem.Decode(found.raw)
	if decoded == nil {
		return nil, fmt.Errorf("%s %s", found.where(), found.undecodable())
	}
	public, err := readKey(decoded)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s %w", found.where(), err)
	case public.Encrypted:
		return nil, fmt.Errorf("%s is encrypted, and there is nobody to ask for its password (openssl pkey writes it without one)", found.where())
	}
	private, _ := decodePrivate(decoded.Bytes, public.Format)
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s is a key that cannot sign", found.where())
	}
	return newPrivateKey(signer, public.Format, bytes.Clone(found.raw))
}

// firstKeyBlock finds the block that holds the private key, as crypto/tls
// does: the first one of a type that can.
func firstKeyBlock(data []byte) (block, bool) {
	var first block
	number, found := 0, false
	scan(data, func(b block) {
		number++
		if !found && isPrivateKind(b.kind) {
			b.number = number
			first, found = b, true
		}
	})
	return first, found
}

// Public describes the public side of the key.
func (k *PrivateKey) Public() fact.Key {
	if k == nil {
		return fact.Key{}
	}
	return k.public
}

// PEM gives the key as PEM, for writing it to a file: the text that it was
// read from, or was made with. Nothing else gives away the private side.
func (k *PrivateKey) PEM() []byte {
	if k.empty() {
		return nil
	}
	return bytes.Clone(k.open().text)
}

func (k *PrivateKey) empty() bool { return k == nil || k.open == nil }

func (k *PrivateKey) signer() crypto.Signer { return k.open().signer }

// Format implements fmt.Formatter for every verb.
func (PrivateKey) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// String implements fmt.Stringer.
func (PrivateKey) String() string { return redacted }

// GoString implements fmt.GoStringer.
func (PrivateKey) GoString() string { return redacted }

// MarshalText implements encoding.TextMarshaler.
func (PrivateKey) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalBinary implements encoding.BinaryMarshaler, which encoding/gob uses.
func (PrivateKey) MarshalBinary() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON implements json.Marshaler.
func (PrivateKey) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// MarshalYAML implements yaml.Marshaler.
func (PrivateKey) MarshalYAML() (any, error) { return redacted, nil }

// LogValue implements slog.LogValuer.
func (PrivateKey) LogValue() slog.Value { return slog.StringValue(redacted) }
