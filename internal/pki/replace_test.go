// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"encoding/pem"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
)

// renewed is a leaf and the certificate that takes its place.
type renewed struct {
	ca, old, new made
}

func newRenewed(t testing.TB) renewed {
	ca := selfSigned(t, authority("kubernetes", 10), edKey())
	old := made{ca.issuesFor(t, server("old", 1), someKey().Public()), someKey()}
	return renewed{ca, old, made{ca.issuesFor(t, server("new", 2), someKey().Public()), someKey()}}
}

func crlf(text []byte) []byte { return bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n")) }

func TestReplaceLeafChangesNothingElse(t *testing.T) {
	r := newRenewed(t)
	intermediate := r.ca.issues(t, authority("between", 5))
	was, is := certPEM(r.old.Cert), certPEM(r.new.Cert)
	wrapped := func(before, after string) func([]byte) []byte {
		return func(leaf []byte) []byte { return []byte(before + string(leaf) + after) }
	}
	tight := func(leaf []byte) []byte { return bytes.TrimRight(leaf, "\n") }
	for name, file := range map[string]func(leaf []byte) []byte{
		"alone":                       wrapped("", ""),
		"without a last line break":   tight,
		"with its chain":              wrapped("", string(certPEM(intermediate.Cert, r.ca.Cert))),
		"with text around":            wrapped("# of the API server\nsubject=CN = old\n\n", "\n\n  trailing\t\n# text"),
		"with its key behind":         wrapped("", string(sec1(someKey()))),
		"with its key before":         wrapped(string(pkcs8(someKey())), ""),
		"with parameters of its key":  wrapped(string(pemOf("EC PARAMETERS", []byte{6, 1, 42}))+string(sec1(someKey())), string(certPEM(r.ca.Cert))),
		"with another kind of block":  wrapped(string(pemOf("CERTIFICATE REQUEST", []byte("x"))), ""),
		"with CRLF":                   func(leaf []byte) []byte { return crlf(wrapped("text\n", string(certPEM(r.ca.Cert)))(leaf)) },
		"with CRLF and no last break": func(leaf []byte) []byte { return bytes.TrimRight(crlf(leaf), "\r\n") },
	} {
		t.Run(name, func(t *testing.T) {
			out, err := ReplaceLeaf(file(was), r.new.Cert)
			if err != nil {
				t.Fatal(err)
			}
			if want := file(is); !bytes.Equal(out, want) {
				t.Errorf("got\n%s\nwant\n%s", out, want)
			}
			same, err := ReplaceLeaf(file(was), r.old.Cert)
			if err != nil || !bytes.Equal(same, file(was)) {
				t.Errorf("replacing it by itself changes the file: %v", err)
			}
		})
	}
}

func TestReplaceLeafAddsTheChainOnce(t *testing.T) {
	r := newRenewed(t)
	next, another := r.ca.issues(t, authority("next", 5)).Cert, r.ca.issues(t, authority("another", 5)).Cert
	file := append(certPEM(r.old.Cert, next), []byte("# end\n")...)
	out, err := ReplaceLeaf(file, r.new.Cert, next, another, another, r.new.Cert)
	if err != nil {
		t.Fatal(err)
	}
	if want := append(certPEM(r.new.Cert, another, next), []byte("# end\n")...); !bytes.Equal(out, want) {
		t.Errorf("got\n%s", out)
	}
}

func TestReplacePair(t *testing.T) {
	r := newRenewed(t)
	fresh := r.ca.issues(t, server("fresh", 2))
	for name, text := range map[string][]byte{
		"the same format":    sec1(fresh.key.(*ecdsa.PrivateKey)),
		"another format":     pkcs8(fresh.key),
		"read from CRLF":     crlf(pkcs8(fresh.key)),
		"without last break": bytes.TrimRight(pkcs8(fresh.key), "\n"),
	} {
		key := privateKey(t, text)
		wanted := append(bytes.TrimRight(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), "\n"), '\n')
		for order, file := range map[string]func(cert, key []byte) []byte{
			"certificate first": func(cert, key []byte) []byte { return append(append([]byte("a\n"), cert...), key...) },
			"key first":         func(cert, key []byte) []byte { return append(append(bytes.Clone(key), "b\n"...), cert...) },
		} {
			out, err := ReplacePair(file(certPEM(r.old.Cert), sec1(someKey())), fresh.Cert, key)
			if err != nil {
				t.Fatalf("%s, %s: %v", name, order, err)
			}
			if !bytes.Equal(out, file(certPEM(fresh.Cert), wanted)) {
				t.Errorf("%s, %s: got\n%s", name, order, out)
			}
			if _, err := tls.X509KeyPair(out, out); err != nil {
				t.Errorf("%s, %s: %v", name, order, err)
			}
		}
	}
	key := fresh.private(t)
	for want, call := range map[string]func() ([]byte, error){
		"there is no new key":                        func() ([]byte, error) { return ReplacePair(nil, fresh.Cert, nil) },
		"the new key does not belong":                func() ([]byte, error) { return ReplacePair(nil, r.new.Cert, key) },
		"there is no private key in it to be replac": func() ([]byte, error) { return ReplacePair(certPEM(r.old.Cert), fresh.Cert, key) },
	} {
		if out, err := call(); err == nil || out != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestReplaceLeafRefuses(t *testing.T) {
	r := newRenewed(t)
	leaf := certPEM(r.old.Cert)
	for want, file := range map[string][]byte{
		"the content is empty":                nil,
		"there is no certificate in it":       sec1(someKey()),
		"is a certificate authority: this is": certPEM(r.ca.Cert, r.old.Cert),
		"is not base64 at line 2":             bytes.Replace(leaf, []byte("\nM"), []byte("\n%"), 1),
		"is not one: x509":                    pemOf("CERTIFICATE", []byte("x")),
		"has no END line":                     leaf[:len(leaf)/2],
		"has PEM headers":                     pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Headers: map[string]string{"a": "b"}, Bytes: r.old.Raw}),
		"does not belong to the new":          append(bytes.Clone(leaf), pkcs8(newKey())...),
		"is encrypted":                        append(bytes.Clone(leaf), legacy("EC PRIVATE KEY")...),
		"the file is not plain PEM":           append([]byte("\uFEFF"), leaf...),
		"is indented":                         append([]byte("  "), leaf...),
		"in DER":                              r.old.Raw,
		"too large":                           append(bytes.Repeat([]byte("\n"), 1<<20), leaf...),
		"it is too large":                     append(bytes.Repeat([]byte("-----BEGIN X-----\n"), 2000), leaf...),
	} {
		out, err := ReplaceLeaf(file, r.new.Cert)
		if err == nil || out != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
			continue
		}
		noSecretIn(t, secretsOfFixedKeys(), err.Error())
	}
	if _, err := ReplaceLeaf(leaf, fact.Cert{}); err == nil {
		t.Error("replaced by nothing")
	}
}

func FuzzReplaceLeaf(f *testing.F) {
	for _, seed := range pemSeeds(f) {
		f.Add(seed)
	}
	r := newRenewed(f)
	for _, text := range keyTexts() {
		f.Add(append(certPEM(r.old.Cert, r.ca.Cert), text...))
		f.Add(append(crlf(text), crlf(certPEM(r.old.Cert))...))
	}
	secrets := secretsOfFixedKeys()
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		out, err := ReplaceLeaf(data, r.new.Cert, r.ca.Cert)
		if !bytes.Equal(before, data) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			noSecretIn(t, secrets, err.Error())
			if out != nil || len(err.Error()) > 1000 {
				t.Fatalf("%d bytes beside an error of %d bytes", len(out), len(err.Error()))
			}
			return
		}
		onlyLeafChanged(t, data, out, r)
	})
}

// onlyLeafChanged compares a changed file with the original by encoding/pem,
// and byte by byte: they differ in one stretch, from one BEGIN to one END.
func onlyLeafChanged(t *testing.T, data, out []byte, r renewed) {
	t.Helper()
	old, now := byEncodingPEM(data), byEncodingPEM(out)
	if len(now) < len(old) || len(now) > len(old)+1 || !bytes.Equal(now[0].Raw, r.new.Raw) {
		t.Fatalf("%d certificates became %d", len(old), len(now))
	}
	if added := len(now) - len(old); !sameCerts(now[1+added:], old[1:]...) {
		t.Fatal("other certificates changed")
	}
	head := 0
	for head < min(len(data), len(out)) && data[head] == out[head] {
		head++
	}
	tail := 0
	for tail < min(len(data), len(out))-head && data[len(data)-1-tail] == out[len(out)-1-tail] {
		tail++
	}
	if changed := data[head : len(data)-tail]; bytes.Count(changed, begin) > 0 || bytes.Contains(changed, []byte("PRIVATE")) {
		t.Fatalf("more than the certificate changed: %q", changed)
	}
	if key, err := ReadPrivateKey(out); err == nil {
		if _, err := tls.X509KeyPair(out, key.PEM()); err != nil {
			t.Fatal(err)
		}
	}
}
