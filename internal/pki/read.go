// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// Limits of what is kept of one file.
const (
	MaxCerts = 1000 // certificates; the rest are counted in Content.Omitted
	MaxKeys  = 100  // keys; parsing a private key is costly, so the rest are not looked at
)

// Content is what a file of certificates and keys holds, in the order of the
// file. What can be read is there even beside a Problem.
type Content struct {
	Certs   []fact.Cert
	Keys    []fact.Key
	Problem fact.Text // one sentence, empty if all of it was understood
	Omitted int       // certificates beyond MaxCerts
}

// Read reads PEM: several blocks, any text around them, CRLF or LF. Keys may
// be PKCS#1, PKCS#8, SEC1 or PKIX. A block that Kubernetes would not see
// although it can be understood here (raw DER, a block behind a byte-order
// mark) is returned and named in Problem.
func Read(data []byte) Content {
	if len(bytes.TrimSpace(data)) == 0 {
		return Content{Problem: "the content is empty"}
	}
	if c, ok := readDER(data); ok {
		return c
	}
	var r reader
	scan(data, r.block)
	return r.content(data)
}

// reader gathers what the blocks of one file hold.
type reader struct {
	Content
	blocks    int
	otherKeys int // beyond MaxKeys
	ignored   []string
	faults    faults
}

func (r *reader) content(data []byte) Content {
	if r.otherKeys > 0 {
		r.faults.add("there are more than %d keys, the other %d were not looked at", MaxKeys, r.otherKeys)
	}
	nothing := len(r.Certs) == 0 && len(r.Keys) == 0 && r.Omitted == 0 && r.faults.first == ""
	switch {
	case nothing && r.blocks > 0:
		r.faults.add("there is no certificate and no key in it, only %s", strings.Join(r.ignored, ", "))
	case nothing && isUTF16(data):
		r.faults.add("the content is UTF-16 text, which Kubernetes does not read as PEM")
	case nothing:
		r.faults.add("there is no PEM block in it")
	}
	r.Problem = r.faults.sentence()
	return r.Content
}

func (r *reader) block(b block) {
	r.blocks++
	b.number = r.blocks
	switch {
	case b.fault != "":
		r.faults.add("%s %s", b.where(), b.fault)
		return
	case b.afterMark:
		r.faults.add("%s stands behind a byte-order mark, which hides it from Kubernetes", b.where())
	}
	switch {
	case b.kind == "CERTIFICATE":
		r.certificate(b)
	case isPrivateKind(b.kind), b.kind == "PUBLIC KEY", b.kind == "RSA PUBLIC KEY":
		r.key(b)
	default:
		r.ignore(b)
	}
}

func (r *reader) certificate(b block) {
	if len(r.Certs) >= MaxCerts {
		r.Omitted++
		return
	}
	decoded := r.decode(b)
	if decoded == nil {
		return
	}
	cert, err := x509.ParseCertificate(decoded.Bytes)
	if err != nil {
		r.faults.add("%s is not a certificate: %s", b.where(), clip(err.Error()))
		return
	}
	r.Certs = append(r.Certs, fact.Cert{Certificate: cert})
}

func (r *reader) key(b block) {
	if len(r.Keys) >= MaxKeys {
		r.otherKeys++
		return
	}
	decoded := r.decode(b)
	if decoded == nil {
		return
	}
	key, err := readKey(decoded)
	if err != nil {
		r.faults.add("%s %s", b.where(), err)
		return
	}
	r.Keys = append(r.Keys, key)
}

func (r *reader) decode(b block) *pem.Block {
	decoded, _ := pem.Decode(b.raw)
	if decoded == nil {
		r.faults.add("%s %s", b.where(), b.undecodable())
	}
	return decoded
}

// ignore remembers what else is in the file, for the sentence that says that
// there is nothing of use.
func (r *reader) ignore(b block) {
	name := b.name()
	for _, known := range r.ignored {
		if known == name {
			return
		}
	}
	r.ignored = append(r.ignored, name)
}

// readDER recognises a file that is one DER object instead of PEM.
func readDER(data []byte) (Content, bool) {
	var object asn1.RawValue
	rest, err := asn1.Unmarshal(data, &object)
	if err != nil || object.Tag != asn1.TagSequence || !object.IsCompound || len(bytes.TrimSpace(rest)) > 0 {
		return Content{}, false
	}
	// Certificates keep the bytes they were parsed from; they must not share
	// them with the caller.
	der := bytes.Clone(object.FullBytes)
	if cert, err := x509.ParseCertificate(der); err == nil {
		return Content{
			Certs:   []fact.Cert{{Certificate: cert}},
			Problem: "the content is a certificate in DER, but Kubernetes reads PEM only (convert it with openssl x509 -inform der)",
		}, true
	}
	if key, err := parsePrivate(der, ""); err == nil {
		return Content{
			Keys:    []fact.Key{key},
			Problem: "the content is a private key in DER, but Kubernetes reads PEM only (convert it with openssl pkey -inform der)",
		}, true
	}
	if key, err := parsePublic(der); err == nil {
		return Content{
			Keys:    []fact.Key{key},
			Problem: "the content is a public key in DER, but Kubernetes reads PEM only (convert it with openssl pkey -pubin -inform der)",
		}, true
	}
	return Content{Problem: "the content is binary DER, but neither a certificate nor a key"}, true
}

func isUTF16(data []byte) bool {
	return bytes.HasPrefix(data, []byte{0xFF, 0xFE}) || bytes.HasPrefix(data, []byte{0xFE, 0xFF})
}

// faults keeps the first fault in words and counts the rest, so that a file
// of a million broken blocks still makes one sentence.
type faults struct {
	first string
	more  int
}

func (f *faults) add(format string, args ...any) {
	if f.first != "" {
		f.more++
		return
	}
	f.first = fmt.Sprintf(format, args...)
}

func (f *faults) sentence() fact.Text {
	switch f.more {
	case 0:
		return fact.Text(f.first)
	case 1:
		return fact.Text(f.first + "; one more fault follows")
	}
	return fact.Text(fmt.Sprintf("%s; %d more faults follow", f.first, f.more))
}

// clip keeps a cause short: parsers may quote what they were given.
func clip(s string) string {
	const limit = 300
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "..."
}
