// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"path"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

func fixedKeys() []crypto.Signer { return []crypto.Signer{rsaKey(), someKey(), edKey()} }

func secretsOfFixedKeys() (secrets []string) {
	for _, key := range fixedKeys() {
		secrets = append(secrets, secretsOf(key)...)
	}
	return secrets
}

func noSecretIn(t *testing.T, secrets []string, out string) {
	t.Helper()
	for _, secret := range secrets {
		if strings.Contains(out, secret) {
			t.Fatal("the output holds a part of a private key")
		}
	}
}

// pemSeeds are files as they stand on nodes, whole and damaged.
func pemSeeds(t testing.TB) [][]byte {
	ca := selfSigned(t, authority("kubernetes", 10), edKey())
	leaf := ca.issues(t, server("leaf", 1))
	bundle := certPEM(leaf.Cert, ca.Cert)
	seeds := [][]byte{
		nil, []byte("text"), bundle, bundle[:len(bundle)/3], bundle[1:], leaf.Raw,
		bytes.ReplaceAll(bundle, []byte("\n"), []byte("\r\n")),
		append([]byte("\uFEFF"), bundle...),
		append([]byte("  "), bundle...),
		bytes.ReplaceAll(bundle, []byte("\n"), nil),
		legacy("RSA PRIVATE KEY"), legacy("EC PRIVATE KEY"),
		pemOf("ENCRYPTED PRIVATE KEY", []byte("x")),
		pemOf("EC PARAMETERS", []byte("x")),
		pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey())), x509.MarshalPKCS1PrivateKey(rsaKey()),
		sec1(someKey()),
	}
	for _, key := range fixedKeys() {
		private := pkcs8(key)
		seeds = append(seeds, private, append(bundle[:len(bundle):len(bundle)], private...),
			bytes.ReplaceAll(private, []byte("\n"), nil),
			bytes.ReplaceAll(private, []byte("PRIVATE KEY"), []byte("CERTIFICATE")),
			must(x509.MarshalPKCS8PrivateKey(key)),
			pemOf("PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key.Public()))))
	}
	return seeds
}

func FuzzRead(f *testing.F) {
	for _, seed := range pemSeeds(f) {
		f.Add(seed)
	}
	secrets := secretsOfFixedKeys()
	f.Fuzz(func(t *testing.T, data []byte) {
		got := Read(data)
		if len(got.Certs) > MaxCerts || len(got.Keys) > MaxKeys {
			t.Fatalf("%d certificates, %d keys", len(got.Certs), len(got.Keys))
		}
		if len(got.Certs)+len(got.Keys) == 0 && got.Problem == "" {
			t.Fatal("nothing found, and no problem")
		}
		if len(got.Problem) > 1000 || strings.Contains(string(got.Problem), "\n") {
			t.Fatalf("problem is no sentence: %q", got.Problem)
		}
		seen := byEncodingPEM(data)
		if got.Problem == "" && got.Omitted == 0 && !sameCerts(got.Certs, seen...) {
			t.Fatalf("%d certificates, but encoding/pem sees %d", len(got.Certs), len(seen))
		}
		if !strings.Contains(string(got.Problem), "DER") && len(got.Certs)+got.Omitted < len(seen) {
			t.Fatalf("%d certificates, but encoding/pem sees %d", len(got.Certs), len(seen))
		}
		noSecretIn(t, secrets, string(must(json.Marshal(got)))+string(got.Problem))
		for _, c := range got.Certs[:min(len(got.Certs), 3)] {
			askAll(t, c, got)
		}
	})
}

// askAll puts a certificate through every function that takes one.
func askAll(t *testing.T, c fact.Cert, from Content) {
	d := Describe(c)
	if d.Fingerprint == "" || d.Serial == "" || d.Key == "" || len(d.SANs) > finding.SANLimit {
		t.Fatalf("description %+v", d)
	}
	for _, out := range []string{d.Subject.String(), d.Issuer.String(), fmt.Sprint(d.SANs)} {
		if strings.ContainsAny(out, "\x1b\n\r\u202e") {
			t.Fatalf("not safe to print: %q", out)
		}
	}
	Covers(c, "localhost")
	FindIssuer(c, from.Certs)
	for _, key := range from.Keys {
		KeyMatches(key, c)
	}
	chain := Verify(c, from.Certs, from.Certs, x509.ExtKeyUsageAny)
	if len(chain.Certs) == 0 || chain.End.After(c.NotAfter) || !chain.End.Equal(chain.Ends.NotAfter) {
		t.Fatalf("chain %+v", chain)
	}
}

func FuzzReadKubeconfig(f *testing.F) {
	ca := selfSigned(f, authority("kubernetes", 10), edKey())
	whole := adminConf(ca, made{ca.issuesFor(f, server("admin", 1), someKey().Public()), someKey()})
	f.Add([]byte(whole))
	f.Add([]byte(strings.ReplaceAll(whole, "\n", "\r\n")))
	f.Add([]byte(whole[:len(whole)-100]))
	f.Add([]byte(several))
	f.Add([]byte(`{"kind":"Config","current-context":"a","contexts":[{"name":"a","context":{"cluster":"b","user":"c"}}],"users":[{"name":"c","user":{"client-key":"d"}}]}`))
	f.Add([]byte("a: &a [1]\nb: &b [*a, *a]\nusers: [*b, {<<: {name: x}}]\nclusters: !!binary aGk=\n"))
	f.Add([]byte("users:\n- name: !!float 1\n  user: {token: [x], exec: {}, client-key-data: !!binary YQ==}\n"))
	for _, key := range fixedKeys() {
		f.Add(fmt.Appendf(nil, "users: [{name: a, user: {client-key-data: %[1]s, client-certificate-data: %[1]s, token: %[1]s}}]", b64(pkcs8(key))))
		f.Add(pkcs8(key))
	}
	secrets := secretsOfFixedKeys()
	f.Fuzz(func(t *testing.T, data []byte) {
		IsKubeconfig(data)
		got, problem := ReadKubeconfig(data, "/etc/kubernetes")
		if got == nil && problem == "" {
			t.Fatal("nothing found, and no problem")
		}
		if len(problem) > 2000 {
			t.Fatalf("problem of %d bytes", len(problem))
		}
		noSecretIn(t, secrets, string(must(json.Marshal(got)))+string(problem))
		if got != nil {
			checkKubeconfig(t, got)
		}
	})
}

func checkKubeconfig(t *testing.T, k *fact.Kubeconfig) {
	t.Helper()
	files, current := []string{}, 0
	certs := 0
	for _, c := range k.Clusters {
		files = append(files, c.CAFile)
		certs += len(c.CAs)
		if c.Current {
			current++
		}
	}
	if current > 1 {
		t.Fatalf("%d current clusters", current)
	}
	current = 0
	for _, u := range k.Users {
		files = append(files, u.CertFile, u.KeyFile)
		certs += len(u.Certs)
		if u.Current {
			current++
		}
		if u.Key != nil && u.Key.Public {
			t.Fatal("a public key as the user's key")
		}
	}
	if current > 1 {
		t.Fatalf("%d current users", current)
	}
	if certs > MaxCerts || len(k.Users) > MaxEntries+1 || len(k.Clusters) > MaxEntries+1 {
		t.Fatal("a limit is not kept")
	}
	for _, file := range files {
		if file != "" && !path.IsAbs(file) {
			t.Fatalf("%q is not absolute", file)
		}
	}
	CurrentFingerprint(k)
}

func BenchmarkRead(b *testing.B) {
	ca := selfSigned(b, authority("kubernetes", 10), newKey())
	for name, data := range map[string][]byte{
		"certificate":      certPEM(ca.Cert),
		"pair":             append(certPEM(ca.Cert), sec1(someKey())...),
		"RSA key":          pkcs8(rsaKey()),
		"10k certificates": bytes.Repeat(certPEM(ca.Cert), 10_000),
		"16 MiB of text":   bytes.Repeat([]byte("no certificate in this line\n"), 16<<20/28),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				Read(data)
			}
		})
	}
}

func BenchmarkReadKubeconfig(b *testing.B) {
	ca := selfSigned(b, authority("kubernetes", 10), newKey())
	data := []byte(adminConf(ca, ca))
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		ReadKubeconfig(data, "/etc/kubernetes")
	}
}

func BenchmarkVerifyAmong10kAnchors(b *testing.B) {
	issuer := crowd()[many-7]
	child := issuer.issues(b, server("child", 1)).Cert
	var all []fact.Cert
	for _, c := range crowd() {
		all = append(all, c.Cert)
	}
	for b.Loop() {
		if got := Verify(child, all, all, x509.ExtKeyUsageAny); got.Err != nil {
			b.Fatal(got.Err)
		}
	}
}
