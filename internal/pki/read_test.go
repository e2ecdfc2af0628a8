// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
)

func TestReadKeyFormats(t *testing.T) {
	ec := newKey()
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	x25519 := must(ecdh.X25519().GenerateKey(rand.Reader))
	parameters := "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
	pkix := func(key crypto.Signer) []byte {
		return pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key.Public())))
	}
	for name, tt := range map[string]struct {
		data []byte
		want fact.Key
		key  crypto.Signer
	}{
		"RSA PKCS#1":         {pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())), fact.Key{Algorithm: "RSA", Bits: 2048, Format: "PKCS#1"}, rsaKey()},
		"RSA PKCS#8":         {pkcs8(rsaKey()), fact.Key{Algorithm: "RSA", Bits: 2048, Format: "PKCS#8"}, rsaKey()},
		"RSA mislabelled":    {pemOf("PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())), fact.Key{Algorithm: "RSA", Bits: 2048, Format: "PKCS#1"}, rsaKey()},
		"RSA PKIX":           {pkix(rsaKey()), fact.Key{Algorithm: "RSA", Bits: 2048, Format: "PKIX", Public: true}, rsaKey()},
		"RSA public PKCS#1":  {pemOf("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&rsaKey().PublicKey)), fact.Key{Algorithm: "RSA", Bits: 2048, Format: "PKCS#1", Public: true}, rsaKey()},
		"ECDSA SEC1":         {sec1(ec), fact.Key{Algorithm: "ECDSA", Bits: 256, Format: "SEC1"}, ec},
		"ECDSA after params": {append([]byte(parameters), sec1(p384)...), fact.Key{Algorithm: "ECDSA", Bits: 384, Format: "SEC1"}, p384},
		"ECDSA PKCS#8":       {pkcs8(ec), fact.Key{Algorithm: "ECDSA", Bits: 256, Format: "PKCS#8"}, ec},
		"ECDSA mislabelled":  {pemOf("RSA PRIVATE KEY", must(x509.MarshalECPrivateKey(ec))), fact.Key{Algorithm: "ECDSA", Bits: 256, Format: "SEC1"}, ec},
		"ECDSA PKIX":         {pkix(ec), fact.Key{Algorithm: "ECDSA", Bits: 256, Format: "PKIX", Public: true}, ec},
		"Ed25519 PKCS#8":     {pkcs8(edKey()), fact.Key{Algorithm: "Ed25519", Format: "PKCS#8"}, edKey()},
		"X25519 PKCS#8":      {pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(x25519))), fact.Key{Algorithm: "X25519", Format: "PKCS#8"}, nil},
		"encrypted PKCS#8":   {pemOf("ENCRYPTED PRIVATE KEY", []byte("sealed")), fact.Key{Format: "PKCS#8", Encrypted: true}, nil},
		"encrypted RSA":      {legacy("RSA PRIVATE KEY"), fact.Key{Algorithm: "RSA", Format: "PKCS#1", Encrypted: true}, nil},
		"encrypted ECDSA":    {legacy("EC PRIVATE KEY"), fact.Key{Algorithm: "ECDSA", Format: "SEC1", Encrypted: true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got := Read(tt.data)
			if got.Problem != "" || len(got.Keys) != 1 || len(got.Certs) != 0 {
				t.Fatalf("got %+v", got)
			}
			key := got.Keys[0]
			fingerprint := key.Fingerprint
			key.Fingerprint = ""
			if key != tt.want {
				t.Errorf("got %+v, want %+v", key, tt.want)
			}
			if tt.key == nil {
				return
			}
			cert := selfSigned(t, server("own", 1), tt.key)
			if fingerprint != cert.KeyFingerprint() || !KeyMatches(got.Keys[0], cert.Cert) {
				t.Errorf("fingerprint %s is not that of the key's certificate", fingerprint)
			}
			if KeyMatches(got.Keys[0], selfSigned(t, server("other", 1), someKey()).Cert) {
				t.Error("matches a certificate of another key")
			}
		})
	}
}

func legacy(kind string) []byte {
	return pem.EncodeToMemory(&pem.Block{
		Type:    kind,
		Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"},
		Bytes:   []byte("sealed"),
	})
}

func TestKeyMatchesNothingUnknown(t *testing.T) {
	if KeyMatches(fact.Key{Encrypted: true}, selfSigned(t, server("a", 1), someKey()).Cert) {
		t.Error("an encrypted key matches")
	}
	if KeyMatches(fact.Key{Fingerprint: "sha256:00"}, fact.Cert{}) {
		t.Error("no certificate matches")
	}
}

func TestReadTolerates(t *testing.T) {
	ca := selfSigned(t, authority("ca", 10), someKey())
	leaf := ca.issues(t, server("leaf", 1))
	bundle := certPEM(leaf.Cert, ca.Cert)
	for name, data := range map[string][]byte{
		"plain":              bundle,
		"CRLF":               bytes.ReplaceAll(bundle, []byte("\n"), []byte("\r\n")),
		"no last newline":    bytes.TrimRight(bundle, "\n"),
		"text around":        []byte("subject=CN = leaf\n\n" + string(bundle) + "\nthe end -----\n"),
		"text between":       []byte(string(certPEM(leaf.Cert)) + "  -- next --\nCertificate:\n    Data:\n" + string(certPEM(ca.Cert))),
		"trailing spaces":    bytes.ReplaceAll(bundle, []byte("\n"), []byte(" \t\n")),
		"mark before text":   []byte("\uFEFF# bundle\n" + string(bundle)),
		"other blocks":       append(pemOf("X509 CRL", []byte("x")), bundle...),
		"stray END":          append([]byte("-----END CERTIFICATE-----\n"), bundle...),
		"NUL and binary":     append([]byte("\x00\xff\xfe\n"), bundle...),
		"one line of base64": oneLine(leaf.Cert, ca.Cert),
	} {
		t.Run(name, func(t *testing.T) {
			got := Read(data)
			if got.Problem != "" || !sameCerts(got.Certs, leaf.Cert, ca.Cert) {
				t.Errorf("got %d certificates, problem %q", len(got.Certs), got.Problem)
			}
			if !sameCerts(got.Certs, byEncodingPEM(data)...) {
				t.Error("encoding/pem sees other certificates")
			}
		})
	}
}

func oneLine(certs ...fact.Cert) []byte {
	var b strings.Builder
	for _, c := range certs {
		body := strings.Split(strings.TrimSpace(string(certPEM(c))), "\n")
		fmt.Fprintf(&b, "%s\n%s\n%s\n", body[0], strings.Join(body[1:len(body)-1], ""), body[len(body)-1])
	}
	return []byte(b.String())
}

// byEncodingPEM is what Kubernetes would see.
func byEncodingPEM(data []byte) []fact.Cert {
	var certs []fact.Cert
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return certs
		}
		if c, err := x509.ParseCertificate(b.Bytes); err == nil && b.Type == "CERTIFICATE" {
			certs = append(certs, fact.Cert{Certificate: c})
		}
	}
}

func TestReadProblems(t *testing.T) {
	cert := selfSigned(t, server("good", 1), someKey()).Cert
	good := string(certPEM(cert))
	lines := strings.SplitAfter(good, "\n") // a certificate of this size has more than five
	broken := lines[0] + lines[1] + "this is *not* base64\n" + strings.Join(lines[2:], "")
	wrongEnd := strings.Replace(good, "END CERTIFICATE", "END PRIVATE KEY", 1)
	noCert := string(pemOf("CERTIFICATE", []byte("nonsense")))
	noEnd := strings.Join(lines[:4], "")
	unlined := strings.ReplaceAll(string(pkcs8(someKey())), "\n", "")
	for name, tt := range map[string]struct {
		data  string
		certs int
		want  string
	}{
		"empty":               {"", 0, "the content is empty"},
		"white space":         {" \r\n\t\n", 0, "the content is empty"},
		"text":                {"hello\n", 0, "there is no PEM block in it"},
		"UTF-16":              {"\xff\xfe-\x00-\x00", 0, "the content is UTF-16 text, which Kubernetes does not read as PEM"},
		"cut off":             {good + noEnd, 1, "block 2 (CERTIFICATE) at line " + after(good) + " has no END line: the file is cut off or was put together wrongly"},
		"cut off, then whole": {noEnd + good, 1, "block 1 (CERTIFICATE) at line 1 has no END line: the file is cut off or was put together wrongly"},
		"broken base64":       {good + broken, 1, "block 2 (CERTIFICATE) at line " + after(good) + " is not base64 at line " + after(good+lines[0]+lines[1])},
		"missing line":        {strings.Replace(good, lines[2], lines[2][:10]+"\n", 1), 0, "block 1 (CERTIFICATE) at line 1 has incomplete base64: a part of it is missing"},
		"wrong END":           {wrongEnd + good, 1, "block 1 (CERTIFICATE) at line 1 has an END line of another type at line " + fmt.Sprint(strings.Count(good, "\n"))},
		"no certificate":      {noCert + good, 1, "block 1 (CERTIFICATE) at line 1 is not a certificate: x509: malformed certificate"},
		"two faults":          {noCert + noCert + good, 1, "block 1 (CERTIFICATE) at line 1 is not a certificate: x509: malformed certificate; one more fault follows"},
		"three faults":        {noCert + noCert + noEnd, 0, "block 1 (CERTIFICATE) at line 1 is not a certificate: x509: malformed certificate; 2 more faults follow"},
		"indented":            {"  " + good, 0, "block 1 (CERTIFICATE) at line 1 is indented, so Kubernetes does not see it"},
		"byte-order mark":     {"\uFEFF" + good, 1, "block 1 (CERTIFICATE) at line 1 stands behind a byte-order mark, which hides it from Kubernetes"},
		"bad key":             {string(pemOf("EC PRIVATE KEY", []byte{0x30, 0x00})), 0, "block 1 (EC PRIVATE KEY) at line 1 cannot be understood as a key"},
		"line breaks lost":    {unlined, 0, "block 1 at line 1 has more than the BEGIN mark on its first line: its line breaks were lost"},
		"only others":         {string(pemOf("CERTIFICATE REQUEST", []byte("x"))) + string(pemOf("WEDDING", []byte("x"))) + string(pemOf("WEDDING", []byte("y"))), 0, "there is no certificate and no key in it, only CERTIFICATE REQUEST, a block of unknown type"},
		"OpenSSH key":         {string(pemOf("OPENSSH PRIVATE KEY", []byte("x"))), 0, "there is no certificate and no key in it, only OPENSSH PRIVATE KEY"},
		"DER":                 {string(cert.Raw), 1, "the content is a certificate in DER, but Kubernetes reads PEM only (convert it with openssl x509 -inform der)"},
		"DER and newline":     {string(cert.Raw) + "\n", 1, "the content is a certificate in DER, but Kubernetes reads PEM only (convert it with openssl x509 -inform der)"},
		"DER of nothing":      {"\x30\x03\x02\x01\x05", 0, "the content is binary DER, but neither a certificate nor a key"},
	} {
		t.Run(name, func(t *testing.T) {
			got := Read([]byte(tt.data))
			if string(got.Problem) != tt.want {
				t.Errorf("problem:\n got %q\nwant %q", got.Problem, tt.want)
			}
			if len(got.Certs) != tt.certs {
				t.Errorf("%d certificates, want %d", len(got.Certs), tt.certs)
			}
		})
	}
}

// after is the number of the line that follows the text.
func after(text string) string { return fmt.Sprint(strings.Count(text, "\n") + 1) }

func TestReadKeyInDER(t *testing.T) {
	want := Read(sec1(someKey())).Keys[0].Fingerprint
	for name, der := range map[string][]byte{
		"SEC1":   must(x509.MarshalECPrivateKey(someKey())),
		"PKCS#8": must(x509.MarshalPKCS8PrivateKey(someKey())),
		"PKIX":   must(x509.MarshalPKIXPublicKey(someKey().Public())),
	} {
		got := Read(der)
		if len(got.Keys) != 1 || got.Keys[0].Format != name || got.Keys[0].Fingerprint != want || !strings.Contains(string(got.Problem), "in DER") {
			t.Errorf("%s: got %+v", name, got)
		}
		if got.Keys[0].Public != (name == "PKIX") {
			t.Errorf("%s: public is %v", name, got.Keys[0].Public)
		}
	}
}

func TestReadKeepsNothingOfTheInput(t *testing.T) {
	cert := selfSigned(t, server("a", 1), someKey()).Cert
	for _, data := range [][]byte{bytes.Clone(cert.Raw), certPEM(cert)} {
		got := Read(data)
		clear(data)
		if !sameCerts(got.Certs, cert) {
			t.Error("a certificate shares its bytes with the input")
		}
	}
}

func TestReadLimits(t *testing.T) {
	cert := selfSigned(t, server("a", 1), someKey()).Cert
	got := Read(bytes.Repeat(certPEM(cert), 10_000))
	if len(got.Certs) != MaxCerts || got.Omitted != 10_000-MaxCerts || got.Problem != "" {
		t.Errorf("%d certificates, %d omitted, problem %q", len(got.Certs), got.Omitted, got.Problem)
	}
	got = Read(bytes.Repeat(sec1(someKey()), MaxKeys+5))
	if len(got.Keys) != MaxKeys || got.Problem != "there are more than 100 keys, the other 5 were not looked at" {
		t.Errorf("%d keys, problem %q", len(got.Keys), got.Problem)
	}
	got = Read(bytes.Repeat([]byte("-----BEGIN CERTIFICATE-----\n"), 100_000))
	if len(got.Problem) > 300 || !strings.HasSuffix(string(got.Problem), "; 99999 more faults follow") {
		t.Errorf("problem %q", got.Problem)
	}
}

// Validating a private key takes time that grows with the square of its
// modulus, so hostile ones are recognised before.
func TestReadDoesNotValidateHugeKeys(t *testing.T) {
	one := big.NewInt(1)
	huge := must(asn1.Marshal([]*big.Int{new(big.Int), new(big.Int).Lsh(one, 8192), one, one, one, one, one, one, one}))
	wrapped := must(asn1.Marshal(struct {
		Version   int
		Algorithm pkix.AlgorithmIdentifier
		Key       []byte
	}{0, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, Parameters: asn1.NullRawValue}, huge}))
	for kind, der := range map[string][]byte{"RSA PRIVATE KEY": huge, "PRIVATE KEY": wrapped} {
		got := Read(pemOf(kind, der))
		want := "block 1 (" + kind + ") at line 1 is an RSA key of more than 8192 bits, which Go programs refuse"
		if len(got.Keys) != 0 || string(got.Problem) != want {
			t.Errorf("got %+v", got)
		}
	}
}

// A key on a line of its own text, in a block of another name, in a broken
// block: wherever it stands, none of it comes out.
func TestReadGivesNoKeyAway(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey(), "ECDSA": someKey(), "Ed25519": edKey()} {
		whole := string(pkcs8(key))
		lines := strings.SplitAfter(whole, "\n")
		secrets := secretsOf(key)
		for place, data := range map[string]string{
			"whole":         whole,
			"DER":           string(must(x509.MarshalPKCS8PrivateKey(key))),
			"unlined":       strings.ReplaceAll(whole, "\n", ""),
			"spaced":        strings.ReplaceAll(whole, "\n", " "),
			"as cert":       strings.ReplaceAll(whole, "PRIVATE KEY", "CERTIFICATE"),
			"as type":       "-----BEGIN " + strings.Join(lines[1:len(lines)-2], "") + "-----\n",
			"as short type": "-----BEGIN " + strings.TrimSpace(lines[1]) + "-----\nAAAA\n-----END X-----\n",
			"as header":     lines[0] + "Key: " + strings.Join(lines[1:], ""),
			"cut off":       strings.Join(lines[:len(lines)-2], ""),
			"bad character": strings.Replace(whole, lines[1], "!"+lines[1], 1),
		} {
			content := Read([]byte(data))
			out := string(must(json.Marshal(content))) + fmt.Sprintf("%+v %q", content, content.Problem)
			for _, secret := range secrets {
				if strings.Contains(out, secret) {
					t.Errorf("%s, %s: the output holds a part of the key", name, place)
				}
			}
			for _, line := range lines[1 : len(lines)-2] {
				if strings.Contains(out, strings.TrimSpace(line)) {
					t.Errorf("%s, %s: the output holds a line of the key", name, place)
				}
			}
		}
	}
}
