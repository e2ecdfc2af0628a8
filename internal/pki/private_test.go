// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"go.yaml.in/yaml/v2"

	"perennial.dev/perennial/internal/fact"
)

func privateKey(t testing.TB, text []byte) *PrivateKey {
	t.Helper()
	key, err := ReadPrivateKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// keyTexts are one key of each algorithm in each encoding.
func keyTexts() map[string][]byte {
	return map[string][]byte{
		"RSA PKCS#1":     pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())),
		"RSA PKCS#8":     pkcs8(rsaKey()),
		"ECDSA SEC1":     sec1(someKey()),
		"ECDSA PKCS#8":   pkcs8(someKey()),
		"Ed25519 PKCS#8": pkcs8(edKey()),
	}
}

func TestReadPrivateKeyKeepsItsEncoding(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), edKey())
	for name, text := range keyTexts() {
		t.Run(name, func(t *testing.T) {
			for place, file := range map[string][]byte{
				"alone":                                 text,
				"with CRLF":                             bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")),
				"behind its parameters and certificate": append(append(pemOf("EC PARAMETERS", []byte{6, 1, 42}), certPEM(ca.Cert)...), text...),
				"before another key":                    append(bytes.Clone(text), pkcs8(newKey())...),
			} {
				key := privateKey(t, file)
				public := key.Public()
				if got := public.Algorithm + " " + public.Format; got != name {
					t.Errorf("%s: %s", place, got)
				}
				if !bytes.Contains(file, key.PEM()) {
					t.Errorf("%s: PEM does not give the text that was read", place)
				}
				if read := Read(text); read.Keys[0].Fingerprint != public.Fingerprint {
					t.Errorf("%s: fingerprint %s", place, public.Fingerprint)
				}
			}
		})
	}
}

func TestPrivateKeyPrintsRedacted(t *testing.T) {
	for name, text := range keyTexts() {
		key := privateKey(t, text)
		secrets := secretsOf(key.signer())
		secrets = append(secrets, "PRIVATE KEY-----")
		for where, out := range printed(t, key) {
			// %w is no verb of Sprintf, which then prints the fields themselves.
			if !strings.Contains(where, "inside") && !strings.Contains(where, "%w") && !strings.Contains(out, redacted) {
				t.Errorf("%s: %s does not say that there is something: %q", name, where, out)
			}
			for _, secret := range append(secrets, fmt.Sprint(text[:20])) {
				if strings.Contains(out, secret) {
					t.Fatalf("%s: %s gives away a part of the key", name, where)
				}
			}
		}
	}
}

// printed is a key in everything that turns a value into text.
func printed(t *testing.T, key *PrivateKey) map[string]string {
	type holder struct {
		Name string
		Key  *PrivateKey
		Copy PrivateKey
	}
	type hidden struct{ key PrivateKey }
	out := map[string]string{
		"JSON":   string(must(json.Marshal(holder{"a", key, *key}))),
		"XML":    string(must(xml.Marshal(holder{"a", key, *key}))),
		"YAML":   string(must(yaml.Marshal(holder{"a", key, *key}))),
		"string": key.String() + key.GoString(),
		"map":    fmt.Sprintf("%v %s %q", map[string]PrivateKey{"a": *key}, []*PrivateKey{key}, []any{key}),
		"panic": func() (message string) {
			defer func() { message = fmt.Sprint(recover()) }()
			panic(key)
		}(),
	}
	var stream, plain, object bytes.Buffer
	if err := gob.NewEncoder(&stream).Encode(holder{"a", key, *key}); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewTextHandler(&plain, nil)).Info("read", "key", key, "copy", *key, "in", holder{"a", key, *key})
	slog.New(slog.NewJSONHandler(&object, nil)).Info("read", "key", key, "copy", *key, "in", holder{"a", key, *key})
	out["gob"], out["slog text"], out["slog JSON"] = stream.String(), plain.String(), object.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%e", "%t", "%c", "%U", "%10v", "%T%v", "%w"} {
		args := []any{key, key}[:strings.Count(verb, "%")]
		out[verb] = fmt.Sprintf(verb, args...) // a pointer
		args = []any{*key, *key}[:strings.Count(verb, "%")]
		out[verb+" value"] = fmt.Sprintf(verb, args...)
		args = []any{holder{"a", key, *key}, holder{"a", key, *key}}[:strings.Count(verb, "%")]
		out[verb+" field"] = fmt.Sprintf(verb, args...)
		args = []any{hidden{*key}, &hidden{*key}}[:strings.Count(verb, "%")]
		out[verb+" inside an unexported field"] = fmt.Sprintf(verb, args...)
	}
	out["%p inside"] = fmt.Sprintf("%p", key)
	return out
}

func TestReadPrivateKeyRefuses(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), edKey())
	ec := sec1(someKey())
	x25519 := pemOf("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(must(ecdh.X25519().GenerateKey(rand.Reader)))))
	for want, file := range map[string][]byte{
		"the content is empty":                       nil,
		"there is no PEM block":                      []byte("text"),
		"there is no private key in it":              certPEM(ca.Cert),
		"is encrypted":                               legacy("RSA PRIVATE KEY"),
		"there is nobody to ask for its":             pemOf("ENCRYPTED PRIVATE KEY", []byte("x")),
		"is not base64 at line 2":                    bytes.Replace(ec, []byte("\nM"), []byte("\n%"), 1),
		"has no END line":                            ec[:len(ec)-40],
		"its line breaks were lost":                  bytes.ReplaceAll(ec, []byte("\n"), nil),
		"cannot be understood as a key":              pemOf("PRIVATE KEY", []byte("x")),
		"is a key that cannot sign":                  x25519,
		"in DER, but Kubernetes reads PEM only":      must(x509.MarshalPKCS8PrivateKey(someKey())),
		"only OPENSSH PRIVATE KEY":                   pemOf("OPENSSH PRIVATE KEY", []byte("x")),
		"is indented, so Kubernetes does not":        append([]byte("  "), ec...),
		"the content is UTF-16 text":                 []byte("\xff\xfeM\x00"),
		"block 1 (RSA PRIVATE KEY) at line 1 cannot": bytes.ReplaceAll(legacy("RSA PRIVATE KEY"), []byte("Proc-Type"), []byte("Proc-Typo")),
	} {
		_, err := ReadPrivateKey(file)
		if err == nil || !strings.HasPrefix(err.Error(), "reading a private key: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func FuzzReadPrivateKey(f *testing.F) {
	for _, seed := range pemSeeds(f) {
		f.Add(seed)
	}
	secrets := secretsOfFixedKeys()
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := ReadPrivateKey(data)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			noSecretIn(t, secrets, err.Error())
			return
		}
		noSecretIn(t, secrets, fmt.Sprintf("%v %+v %#v", key, key.Public(), *key))
		again, err := ReadPrivateKey(key.PEM())
		if err != nil || again.Public() != key.Public() {
			t.Fatalf("what PEM gives is read as %v, %v", again, err)
		}
	})
}

func TestNewPrivateKeyIsLikeTheOld(t *testing.T) {
	for name, text := range keyTexts() {
		old := privateKey(t, text)
		made, err := NewPrivateKey(old.Public(), rand.Reader)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		was, is := old.Public(), made.Public()
		if is.Fingerprint == was.Fingerprint {
			t.Errorf("%s: the new key is the old one", name)
		}
		is.Fingerprint = was.Fingerprint
		if is != was {
			t.Errorf("%s: %+v is not like %+v", name, is, was)
		}
		if first, _, _ := bytes.Cut(text, []byte("\n")); !bytes.HasPrefix(made.PEM(), first) {
			t.Errorf("%s: another type of PEM block", name)
		}
		if read := privateKey(t, made.PEM()); read.Public() != made.Public() {
			t.Errorf("%s: reading it gives %+v", name, read.Public())
		}
		signs(t, made)
	}
}

func TestNewPrivateKeyByName(t *testing.T) {
	for name, want := range map[string]string{
		"RSA-2048": "RSA 2048 PKCS#1", "RSA-3072": "RSA 3072 PKCS#1",
		"ECDSA-P256": "ECDSA 256 SEC1", "ECDSA-P384": "ECDSA 384 SEC1", "Ed25519": "Ed25519 0 PKCS#8",
	} {
		kind, err := KeyNamed(name)
		if err != nil {
			t.Fatal(err)
		}
		key, err := NewPrivateKey(kind, rand.Reader)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		public := key.Public()
		if got := fmt.Sprintf("%s %d %s", public.Algorithm, public.Bits, public.Format); got != want {
			t.Errorf("%s: %s", name, got)
		}
		signs(t, key)
	}
	if _, err := KeyNamed("RSA-1"); err == nil || !strings.Contains(err.Error(), "RSA-1 is not known") {
		t.Error(err)
	}
}

func TestNewPrivateKeyOfOddKinds(t *testing.T) {
	cert := selfSigned(t, authority("kubernetes", 10), someKey()).Cert
	for name, c := range map[string]struct {
		like fact.Key
		want string
	}{
		"a certificate's":         {KeyOf(cert), "ECDSA 256 SEC1"},
		"RSA that is too short":   {fact.Key{Algorithm: "RSA", Bits: 1024, Format: "PKCS#8"}, "RSA 2048 PKCS#8"},
		"a curve that is too":     {fact.Key{Algorithm: "ECDSA", Bits: 224, Format: "SEC1"}, "ECDSA 256 SEC1"},
		"the largest curve":       {fact.Key{Algorithm: "ECDSA", Bits: 521}, "ECDSA 521 SEC1"},
		"a format of another one": {fact.Key{Algorithm: "ECDSA", Bits: 256, Format: "PKCS#1"}, "ECDSA 256 PKCS#8"},
	} {
		key, err := NewPrivateKey(c.like, rand.Reader)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		public := key.Public()
		if got := fmt.Sprintf("%s %d %s", public.Algorithm, public.Bits, public.Format); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	for _, like := range []fact.Key{{}, {Algorithm: "DSA"}, {Algorithm: "X25519"}, {Algorithm: "RSA", Bits: 1 << 20}, {Encrypted: true}} {
		if key, err := NewPrivateKey(like, rand.Reader); err == nil {
			t.Errorf("%+v became %+v", like, key.Public())
		}
	}
	if _, err := NewPrivateKey(fact.Key{Algorithm: "Ed25519"}, nil); err == nil {
		t.Error("a key without randomness")
	}
}

// signs proves with crypto/tls that a key is usable as a pair's.
func signs(t *testing.T, key *PrivateKey) {
	t.Helper()
	cert := selfSigned(t, server("localhost", 1), key.signer())
	if _, err := tls.X509KeyPair(certPEM(cert.Cert), key.PEM()); err != nil {
		t.Error(err)
	}
}

func TestZeroPrivateKeyIsHarmless(t *testing.T) {
	var none *PrivateKey
	for _, key := range []*PrivateKey{none, {}} {
		if key.PEM() != nil || key.Public() != (fact.Key{}) || !key.empty() {
			t.Error("a key without a key gives something")
		}
	}
	if got := fmt.Sprint(none); strings.Contains(got, "PANIC") {
		t.Error(got)
	}
}
