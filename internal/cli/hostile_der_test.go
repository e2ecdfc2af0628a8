// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"crypto"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"perennial.dev/perennial/internal/testnode"
)

// sanExtension holds one alternative name of a kind (2: DNS, 1: mail), with
// bytes that Go would not let into a template.
func sanExtension(kind int, name string) pkix.Extension {
	value, err := asn1.Marshal([]asn1.RawValue{{Class: asn1.ClassContextSpecific, Tag: kind, Bytes: []byte(name)}})
	if err != nil {
		panic(err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: value}
}

// signed is the outer form of a certificate (RFC 5280, 4.1).
type signed struct {
	Body      asn1.RawValue
	Algorithm pkix.AlgorithmIdentifier
	Signature asn1.BitString
}

var (
	oidSHA256 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidSHA1   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}
	oidMD5    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 4}
)

// resign signs a certificate of an RSA node with a hash that Go no longer
// signs with.
func resign(t *testing.T, n *testnode.Node, oid asn1.ObjectIdentifier, hash crypto.Hash, digest func([]byte) []byte) {
	t.Helper()
	p := proxy(n, func(*testnode.Leaf) {})
	var outer signed
	if _, err := asn1.Unmarshal(p.Cert.Raw, &outer); err != nil {
		t.Fatal(err)
	}
	body := bytes.Replace(outer.Body.FullBytes, oidBytes(oidSHA256), oidBytes(oid), 1)
	key := n.CAs["front-proxy-ca"].Key.(*rsa.PrivateKey)
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, hash, digest(body))
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(signed{asn1.RawValue{FullBytes: body},
		pkix.AlgorithmIdentifier{Algorithm: oid, Parameters: asn1.NullRawValue}, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
	if err != nil {
		t.Fatal(err)
	}
	n.WritePEM(pki+"/front-proxy-client.crt", 0o644, "CERTIFICATE", der)
}

func oidBytes(oid asn1.ObjectIdentifier) []byte {
	raw, err := asn1.Marshal(oid)
	if err != nil {
		panic(err)
	}
	return raw
}

func sha1Signature(t *testing.T, n *testnode.Node) {
	resign(t, n, oidSHA1, crypto.SHA1, func(b []byte) []byte { h := sha1.Sum(b); return h[:] })
}

func md5Signature(t *testing.T, n *testnode.Node) {
	resign(t, n, oidMD5, crypto.MD5, func(b []byte) []byte { h := md5.Sum(b); return h[:] })
}

// zeroSerial writes a certificate that Go would not make: with the serial
// number zero, by a CA that signs it as it is.
func zeroSerial(t *testing.T, n *testnode.Node) {
	p := proxy(n, func(l *testnode.Leaf) {
		l.Change = func(c *x509.Certificate) { c.SerialNumber.SetInt64(0x7f) }
	})
	var outer signed
	if _, err := asn1.Unmarshal(p.Cert.Raw, &outer); err != nil {
		t.Fatal(err)
	}
	body := bytes.Replace(outer.Body.FullBytes, []byte{2, 1, 0x7f}, []byte{2, 1, 0}, 1)
	digest := crypto.SHA256.New()
	digest.Write(body)
	signature, err := n.CAs["front-proxy-ca"].Key.Sign(rand.Reader, digest.Sum(nil), crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	outer.Body = asn1.RawValue{FullBytes: body}
	outer.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	der, err := asn1.Marshal(outer)
	if err != nil {
		t.Fatal(err)
	}
	n.WritePEM(pki+"/front-proxy-client.crt", 0o644, "CERTIFICATE", der)
}
