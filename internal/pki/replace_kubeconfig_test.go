// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	kyaml "sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/fact"
)

// configOf is a kubeconfig in some spelling, with a certificate and a key in
// the current user.
type configOf func(cert, key string) string

// spellings are kubeconfigs as people and programs write them.
func spellings(t testing.TB) map[string]configOf {
	ca := selfSigned(t, authority("kubernetes", 10), edKey())
	bundle := b64(certPEM(ca.Cert, ca.Cert))
	kubeadm := func(cert, key string) string {
		return fmt.Sprintf(`apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: %s
    server: https://10.0.0.1:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
current-context: kubernetes-admin@kubernetes
kind: Config
users:
- name: kubernetes-admin
  user:
    client-certificate-data: %s
    client-key-data: %s
`, bundle, cert, key)
	}
	others := b64(certPEM(selfSigned(t, server("other", 1), someKey()).Cert))
	return map[string]configOf{
		"kubeadm's": kubeadm,
		"CRLF":      func(cert, key string) string { return string(crlf([]byte(kubeadm(cert, key)))) },
		"BOM":       func(cert, key string) string { return "\uFEFF" + kubeadm(cert, key) },
		"no last line break": func(cert, key string) string {
			return strings.TrimRight(kubeadm(cert, key), "\n")
		},
		"several documents": func(cert, key string) string { return kubeadm(cert, key) + "---\n" + kubeadm(cert, key) },
		"quoted": func(cert, key string) string {
			return strings.NewReplacer(cert, `"`+cert+`"`, key, "'"+key+"'").Replace(kubeadm(cert, key))
		},
		"quoted names": func(cert, key string) string {
			return strings.NewReplacer("client-certificate-data:", `"client-certificate-data" :`, "client-key-data:", `'client-key-data':`).Replace(kubeadm(cert, key))
		},
		"on the next line": func(cert, key string) string {
			return strings.NewReplacer(cert, " # below\n      # here\n      "+cert, key, "\r\n        "+key).Replace(kubeadm(cert, key))
		},
		"comments everywhere": func(cert, key string) string {
			return "# client-certificate-data: " + cert + "\n" + strings.NewReplacer(cert, cert+" # until 2027", key, key+"\t# secret: yes").Replace(kubeadm(cert, key)) + "# client-key-data: " + key + "\n#end"
		},
		"tagged": func(cert, key string) string {
			return strings.NewReplacer(cert, "!!str "+cert, key, "!!str &key "+key).Replace(kubeadm(cert, key))
		},
		"literal block": func(cert, key string) string {
			return strings.NewReplacer(cert, "|\n      "+cert, key, "|- # the key\n        "+key).Replace(kubeadm(cert, key))
		},
		"folded block": func(cert, key string) string {
			return strings.NewReplacer(cert, ">-\n      "+cert, key, ">+\n\n        "+key+"\n").Replace(kubeadm(cert, key))
		},
		"JSON":        jsonConfig(bundle, ""),
		"spread JSON": jsonConfig(bundle, "\n\t\t"),
		"flow": func(cert, key string) string {
			return fmt.Sprintf("{current-context: c, contexts: [{name: c, context: {user: u, cluster: k}}], users: [{name: u, user: {client-certificate-data: %s, client-key-data: %s}}], kind: Config}", cert, key)
		},
		"several users": func(cert, key string) string {
			return fmt.Sprintf(`kind: Config
current-context: second
users: # of everyone
- {name: first, user: {client-certificate-data: %[1]s, client-key-data: %[2]s}}
- name: second
  user:
    # renewed by hand in 2025
    client-key-data: %[2]s
    x-unknown: [1, 2.50, ~, yes]
    client-certificate-data:   %[1]s
- name: third
  user:
    client-certificate-data: %[3]s
    client-key-data: %[2]s
- {name: bearer, user: {token: abc}}
contexts:
- {name: second, context: {user: second, cluster: k}}
extensions: [{name: e, extension: {a: "0x10", b: 0o7, c: 1e3}}]
`, cert, key, others)
		},
		"the same name twice": func(cert, key string) string {
			return fmt.Sprintf(`current-context: c
contexts: [{name: c, context: {user: u}}]
users:
- {name: u, user: {client-certificate-data: %[1]s, client-key-data: %[2]s}}
- {name: u, user: {client-certificate-data: %[1]s, client-key-data: %[2]s}}
`, cert, key)
		},
		"an alias of its own": func(cert, key string) string {
			return "x-cert: &cert " + cert + "\nx-key: &key " + key + "\n" + strings.NewReplacer(cert, "*cert", key, "*key # kept above").Replace(kubeadm(cert, key))
		},
	}
}

func jsonConfig(bundle, space string) configOf {
	return func(cert, key string) string {
		return strings.ReplaceAll(fmt.Sprintf(`{"kind":"Config","apiVersion":"v1","current-context":"c",~"clusters":[{"name":"k","cluster":{"server":"https://a","certificate-authority-data":"%s"}}],"contexts":[{"name":"c","context":{"cluster":"k","user":"u"}}],"users":[{"name":"u","user":{~"client-certificate-data":%s"%s",~"client-key-data" : "%s"}}]}`,
			bundle, space, cert, key), "~", space)
	}
}

func TestReplaceKubeconfigChangesNothingElse(t *testing.T) {
	r := newRenewed(t)
	fresh := r.ca.issues(t, server("fresh", 2))
	cert, key := b64(certPEM(r.old.Cert)), b64(sec1(someKey()))
	for name, spell := range spellings(t) {
		t.Run(name, func(t *testing.T) {
			text := spell(cert, key)
			out, err := ReplaceKubeconfig([]byte(text), "", r.new.Cert, nil)
			if err != nil {
				t.Fatal(err)
			}
			onlyChanged(t, text, string(out), map[string]string{cert: b64(certPEM(r.new.Cert))})

			out, err = ReplaceKubeconfig([]byte(text), "", fresh.Cert, fresh.private(t))
			if err != nil {
				t.Fatal(err)
			}
			onlyChanged(t, text, string(out), map[string]string{cert: b64(certPEM(fresh.Cert)), key: b64(pkcs8(fresh.key))})
			_, before := ReadKubeconfig([]byte(text), "/")
			k, problem := ReadKubeconfig(out, "/")
			if leaf, ok := CurrentLeaf(k); !ok || leaf.Fingerprint() != fresh.Fingerprint() || problem != before {
				t.Errorf("read again: %v, %q", leaf.Subject, problem)
			}
		})
	}
}

// onlyChanged wants each value to be replaced in exactly one place (or in the
// place of a reference to it), and every other byte kept.
func onlyChanged(t *testing.T, text, out string, values map[string]string) {
	t.Helper()
	undone := out
	for old, new := range values {
		if n := strings.Count(out, new); n != 1 {
			t.Fatalf("the new value is there %d times", n)
		}
		reference := "*cert"
		if !strings.Contains(text, reference) {
			undone = strings.Replace(undone, new, old, 1)
			continue
		}
		if strings.Count(out, old) != 1 {
			t.Fatal("the value that was referred to is gone")
		}
		if strings.Contains(undone, "client-key-data: "+new) {
			reference = "*key"
		}
		undone = strings.Replace(undone, new, reference, 1)
	}
	if undone != text {
		t.Errorf("more has changed:\n%s\nwas\n%s", out, text)
	}
}

func TestReplaceKubeconfigTakesTheRightUser(t *testing.T) {
	r := newRenewed(t)
	cert, key := b64(certPEM(r.old.Cert)), b64(sec1(someKey()))
	text := []byte(spellings(t)["several users"](cert, key))
	for i, name := range []string{"first", "second", "third"} {
		out, err := ReplaceKubeconfig(text, name, r.new.Cert, nil)
		if err != nil {
			t.Fatal(err)
		}
		k, _ := ReadKubeconfig(out, "/")
		for j, u := range k.Users[:3] {
			if is := u.Certs[0].Fingerprint() == r.new.Fingerprint(); is != (i == j) {
				t.Errorf("for %s, %s changed: %t", name, u.Name, is)
			}
		}
	}
}

func TestReplaceKubeconfigKeepsTheChain(t *testing.T) {
	r := newRenewed(t)
	between := r.ca.issues(t, authority("between", 5)).Cert
	extra := r.ca.issues(t, authority("extra", 5)).Cert
	embedded := append([]byte("subject: old\r\n"), certPEM(r.old.Cert, between)...)
	text := spellings(t)["kubeadm's"](b64(embedded), b64(sec1(someKey())))
	out, err := ReplaceKubeconfig([]byte(text), "", r.new.Cert, nil, extra)
	if err != nil {
		t.Fatal(err)
	}
	want := append([]byte("subject: old\r\n"), certPEM(r.new.Cert, extra, between)...)
	onlyChanged(t, text, string(out), map[string]string{b64(embedded): b64(want)})
}

func TestReplaceKubeconfigByReference(t *testing.T) {
	r := newRenewed(t)
	key := b64(sec1(someKey()))
	head := "current-context: c\ncontexts: [{name: c, context: {user: u}}]\nusers:\n- name: u\n  user: "
	for fields, want := range map[string]*ByReference{
		"{client-certificate: pki/a.crt, client-key: /k.key}":                                  {User: "u", CertFile: "pki/a.crt", KeyFile: "/k.key"},
		"{client-certificate: /a.crt, client-key-data: " + key + "}":                           {User: "u", CertFile: "/a.crt"},
		"{client-certificate-data: " + b64(certPEM(r.old.Cert)) + ", client-key: /k.key}":      {User: "u", KeyFile: "/k.key"},
		"{client-certificate: /a.crt, client-key: /k.key, client-key-data: " + key + ", x: 1}": {User: "u", CertFile: "/a.crt"},
	} {
		_, err := ReplaceKubeconfig([]byte(head+fields), "", r.new.Cert, r.new.private(t))
		var got *ByReference
		if !errors.As(err, &got) || *got != *want {
			t.Errorf("%s: %v", fields, err)
		}
	}
	// The key in a file stays there, so a new certificate for it is no problem.
	text := head + "{client-certificate-data: " + b64(certPEM(r.old.Cert)) + ", client-key: /k.key}"
	out, err := ReplaceKubeconfig([]byte(text), "", r.new.Cert, nil)
	if err != nil {
		t.Fatal(err)
	}
	onlyChanged(t, text, string(out), map[string]string{b64(certPEM(r.old.Cert)): b64(certPEM(r.new.Cert))})
}

func TestReplaceKubeconfigRefuses(t *testing.T) {
	r := newRenewed(t)
	cert, key := b64(certPEM(r.old.Cert)), b64(sec1(someKey()))
	kubeadm := spellings(t)["kubeadm's"](cert, key)
	with := func(old, new string) string { return strings.Replace(kubeadm, old, new, 1) }
	wrapped := cert[:64] + "\n      " + cert[64:]
	head := "current-context: c\ncontexts: [{name: c, context: {user: u}}]\n"
	both := "client-certificate-data: " + cert + ", client-key-data: " + key
	for want, text := range map[string]string{
		"it is no YAML":                      "a: b: c",
		"it is too large":                    strings.Repeat(",", 200_000),
		"has no current context":             with("current-context: ", "x-context: "),
		`current context "kubernetes-admin@`: with("  name: kubernetes-admin@kubernetes", "  name: gone"),
		`there is no user "kubernetes-admin`: with("- name: kubernetes-admin\n", "- name: gone\n"),
		`"kubernetes-admin" has no client c`: with("client-certificate-data", "x-data"),
		"current-context is given twice":     kubeadm + "current-context: a\n",
		"users is given twice":               kubeadm + "users: []\n",
		"client-certificate-data is given":   kubeadm + "    client-certificate-data: " + cert + "\n",
		"client-certificate-data is no text": with(cert, "[1]"),
		"client-certificate-data is not bas": with(cert, wrapped),
		"is not base64":                      with(cert, "!!binary "+cert),
		"name is no text":                    with("name: kubernetes-admin\n", "name: 5\n"),
		"users is no list":                   head + "users: {}",
		"user is no mapping":                 head + "users: [{name: u, user: [1]}]",
		"an entry of users is no mapping":    head + "users: [1]",
		"there is no certificate in it":      with(cert, key),
		"is a certificate authority":         with(cert, b64(certPEM(r.ca.Cert))),
		"embedded key does not belong":       with(key, b64(pkcs8(edKey()))),
		"an anchor, a merge":                 head + "users: [{name: v, user: {client-certificate-data: &c " + cert + "}}, {name: w, user: &w {client-certificate-data: *c}}, {name: u, user: *w}]",
		"a merge or an unusual":              head + "base: &b {" + both + "}\nusers: [{name: v, user: {<<: *b, x: 1}}, {name: u, user: *b}]",
		"it cannot be shown":                 head + "users: [{name: u, user: {\"client\\x2dcertificate-data\": " + cert + "}}]",
		"only the credential would change":   head + "users: [{name: u, user: {client-certificate-data: \"" + strings.Replace(cert, "L", "\\x4c", 1) + "\"}}]",
		"that only the cred":                 "x: .nan\n" + kubeadm,
		"it is no YAML: its structure":       "? {a: b}\n: c\n" + kubeadm,
	} {
		out, err := ReplaceKubeconfig([]byte(text), "", r.new.Cert, nil)
		if err == nil || out != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
			continue
		}
		noSecretIn(t, append(secretsOfFixedKeys(), key[:40]), err.Error())
	}
	if out, err := ReplaceKubeconfig([]byte(kubeadm), "", selfSigned(t, server("x", 1), edKey()).Cert, nil); err == nil || out != nil {
		t.Error("a certificate that does not belong to the embedded key was put in")
	}
	if _, err := ReplaceKubeconfig([]byte(kubeadm), "", r.new.Cert, privateKey(t, pkcs8(edKey()))); err == nil {
		t.Error("a key that does not belong to the certificate was put in")
	}
}

func FuzzReplaceKubeconfig(f *testing.F) {
	r := newRenewed(f)
	cert, key := b64(certPEM(r.old.Cert)), b64(sec1(someKey()))
	for _, spell := range spellings(f) {
		f.Add([]byte(spell(cert, key)), "", false)
		f.Add([]byte(spell(cert, key)), "second", true)
	}
	f.Add([]byte(several), "files", true)
	head := "current-context: c\ncontexts: [{name: c, context: {user: u}}]\n"
	f.Add([]byte(head+"base: &b {client-certificate-data: "+cert+"}\nusers: [{name: v, user: {<<: *b, x: 1}}, {name: u, user: *b}]"), "", false)
	f.Add([]byte(head+"users: [{name: u, user: {client-certificate-data: &c "+cert+", x: *c}}]"), "u", false)
	for _, k := range fixedKeys() {
		f.Add([]byte(head+"users: [{name: u, user: {client-certificate-data: "+b64(pkcs8(k))+", client-key-data: "+b64(pkcs8(k))+"}}]"), "", true)
	}
	fresh := made{r.ca.issuesFor(f, server("fresh", 2), edKey().Public()), edKey()}
	private := privateKey(f, pkcs8(edKey()))
	secrets := secretsOfFixedKeys()
	f.Fuzz(func(t *testing.T, data []byte, user string, newKey bool) {
		before := bytes.Clone(data)
		leaf, key := r.new.Cert, (*PrivateKey)(nil)
		if newKey {
			leaf, key = fresh.Cert, private
		}
		out, err := ReplaceKubeconfig(data, user, leaf, key)
		if !bytes.Equal(before, data) {
			t.Fatal("the input was changed")
		}
		if err != nil {
			noSecretIn(t, secrets, err.Error())
			if out != nil || len(err.Error()) > 2000 {
				t.Fatalf("%d bytes beside an error of %d bytes", len(out), len(err.Error()))
			}
			return
		}
		onlyCredentialChanged(t, data, out, leaf, newKey)
	})
}

func FuzzRetargetKubelet(f *testing.F) {
	r := newRenewed(f)
	for _, spell := range spellings(f) {
		f.Add([]byte(spell(b64(certPEM(r.old.Cert)), b64(sec1(someKey())))), "/var/lib/kubelet/pki/kubelet-client-current.pem")
	}
	f.Add([]byte(spellings(f)["JSON"](b64(certPEM(r.old.Cert)), b64(sec1(someKey())))), "/ä \"'{#x")
	f.Add([]byte(several), "/var/key.pem")
	secrets := secretsOfFixedKeys()
	f.Fuzz(func(t *testing.T, data []byte, current string) {
		out, err := RetargetKubelet(data, current)
		if err != nil {
			noSecretIn(t, secrets, err.Error())
			return
		}
		was, _ := ReadKubeconfig(data, "/")
		is, _ := ReadKubeconfig(out, "/")
		for i, u := range is.Users {
			if o := was.Users[i]; u.Name != o.Name || u.Other != o.Other || !u.Current && (u.CertFile != o.CertFile || len(u.Certs) != len(o.Certs)) {
				t.Fatalf("user %s changed", o.Name)
			}
			if u.Current && (u.CertFile != current || u.KeyFile != current || len(u.Certs) > 0 || u.Key != nil) {
				t.Fatalf("got %+v", u)
			}
		}
	})
}

// onlyCredentialChanged compares what ReadKubeconfig, which knows nothing of
// the edit, sees before and after.
func onlyCredentialChanged(t *testing.T, data, out []byte, leaf fact.Cert, newKey bool) {
	t.Helper()
	was, problem := ReadKubeconfig(data, "/")
	is, after := ReadKubeconfig(out, "/")
	if is == nil || was == nil || problem != after || len(is.Users) != len(was.Users) || len(is.Clusters) != len(was.Clusters) {
		t.Fatalf("%q became %q", problem, after)
	}
	changed := 0
	for i, u := range is.Users {
		o := was.Users[i]
		if u.Name != o.Name || u.Current != o.Current || u.CertFile != o.CertFile || u.KeyFile != o.KeyFile || u.Other != o.Other || len(u.Certs) != len(o.Certs) {
			t.Fatalf("user %s changed", o.Name)
		}
		keyChanged := (u.Key == nil) != (o.Key == nil) || u.Key != nil && *u.Key != *o.Key
		if sameCerts(u.Certs, o.Certs...) && !keyChanged {
			continue
		}
		if changed++; u.Certs[0].Fingerprint() != leaf.Fingerprint() || !sameCerts(u.Certs[1:], o.Certs[1:]...) || keyChanged && !newKey {
			t.Fatalf("user %s has another credential", o.Name)
		}
		if u.Key != nil && !KeyMatches(*u.Key, leaf) {
			t.Fatalf("user %s has a certificate and another one's key", o.Name)
		}
	}
	for i, c := range is.Clusters {
		if o := was.Clusters[i]; c.Name != o.Name || c.Server != o.Server || c.CAFile != o.CAFile || !sameCerts(c.CAs, o.CAs...) {
			t.Fatalf("cluster %s changed", o.Name)
		}
	}
	if changed > 1 {
		t.Fatalf("%d users changed", changed)
	}
	if a, b := bytes.Count(data, []byte("\n")), bytes.Count(out, []byte("\n")); b > a {
		t.Fatalf("%d lines became %d", a, b)
	}
	asClientGoSeesIt(t, data, out, newKey)
}

// asClientGoSeesIt goes by way of JSON, as client-go does.
func asClientGoSeesIt(t *testing.T, data, out []byte, newKey bool) {
	t.Helper()
	var before, after any
	if err := kyaml.Unmarshal(data, &before); err != nil {
		return
	}
	if err := kyaml.Unmarshal(out, &after); err != nil {
		t.Fatal(err)
	}
	limit := 1
	if newKey {
		limit = 2
	}
	if n := differences(before, after); n > limit {
		t.Fatalf("%d values changed", n)
	}
}

func differences(a, b any) int {
	n := 0
	switch a := a.(type) {
	case map[string]any:
		b, _ := b.(map[string]any)
		for name := range b {
			if _, ok := a[name]; !ok {
				n++
			}
		}
		for name := range a {
			n += differences(a[name], b[name])
		}
		return n
	case []any:
		b, _ := b.([]any)
		if len(a) != len(b) {
			return 1000
		}
		for i := range a {
			n += differences(a[i], b[i])
		}
		return n
	}
	if reflect.DeepEqual(a, b) {
		return 0
	}
	return 1
}

func TestRetargetKubelet(t *testing.T) {
	const current = "/var/lib/kubelet/pki/kubelet-client-current.pem"
	r := newRenewed(t)
	cert, key := b64(certPEM(r.old.Cert)), b64(sec1(someKey()))
	for name, spell := range spellings(t) {
		if strings.Contains(name, "several users") || strings.Contains(name, "twice") {
			continue
		}
		t.Run(name, func(t *testing.T) {
			text := spell(cert, key)
			out, err := RetargetKubelet([]byte(text), current)
			if name == "literal block" { // there is a comment in it
				if err == nil || !strings.Contains(err.Error(), "a comment inside") {
					t.Fatal(err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			_, before := ReadKubeconfig([]byte(text), "/")
			k, problem := ReadKubeconfig(out, "/")
			var u fact.KubeconfigUser
			for _, user := range k.Users {
				if user.Current {
					u = user
				}
			}
			if u.CertFile != current || u.KeyFile != current || len(u.Certs) > 0 || u.Key != nil || u.Problem != "" || problem != before {
				t.Errorf("got %+v, %q", u, problem)
			}
			again, err := RetargetKubelet(out, current)
			if err != nil || !bytes.Equal(again, out) {
				t.Errorf("a second time: %v", err)
			}
		})
	}
	text := spellings(t)["kubeadm's"](cert, key)
	out, err := RetargetKubelet([]byte(text), current)
	want := strings.NewReplacer("client-certificate-data: "+cert, "client-certificate: "+current, "client-key-data: "+key, "client-key: "+current).Replace(text)
	if err != nil || string(out) != want {
		t.Errorf("%v, got\n%s", err, out)
	}
}

func TestRetargetKubeletWithOddPaths(t *testing.T) {
	r := newRenewed(t)
	for _, current := range []string{`/var/lib/my kubelet: "x" #1\a'b.pem`, "/ü/{a}.pem", "/a, b"} {
		for name, spell := range spellings(t) {
			if !strings.Contains("kubeadm's quoted JSON flow", name) {
				continue
			}
			out, err := RetargetKubelet([]byte(spell(b64(certPEM(r.old.Cert)), b64(sec1(someKey())))), current)
			if err != nil {
				t.Errorf("%s, %s: %v", name, current, err)
				continue
			}
			if k, _ := ReadKubeconfig(out, "/"); k.Users[0].CertFile != current || k.Users[0].KeyFile != current {
				t.Errorf("%s: %s became %s and %s", name, current, k.Users[0].CertFile, k.Users[0].KeyFile)
			}
		}
	}
}

func TestRetargetKubeletRefuses(t *testing.T) {
	r := newRenewed(t)
	cert, key := b64(certPEM(r.old.Cert)), b64(sec1(someKey()))
	kubeadm := spellings(t)["kubeadm's"](cert, key)
	for want, c := range map[string]struct{ text, path string }{
		"a/b is no absolute path": {kubeadm, "a/b"},
		`/a\x0ab is no absolute`:  {kubeadm, "/a\nb"},
		"/a/../b is no absolute":  {kubeadm, "/a/../b"},
		"refers to a file too":    {kubeadm + "    client-key: /k\n", "/a"},
		"refers to /k":            {strings.Replace(kubeadm, "client-key-data: "+key, "client-key: /k", 1), "/a"},
		"has no client key":       {strings.Replace(kubeadm, "client-key-data: "+key, "x: y", 1), "/a"},
		"it is no YAML":           {"\t", "/a"},
	} {
		out, err := RetargetKubelet([]byte(c.text), c.path)
		if err == nil || out != nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
			continue
		}
		noSecretIn(t, append(secretsOfFixedKeys(), key[:40]), err.Error())
	}
}

// A file of a thousand users with one credential is no way to keep a node busy.
func TestReplaceKubeconfigHostile(t *testing.T) {
	r := newRenewed(t)
	cert, key := b64(certPEM(r.old.Cert)), b64(sec1(someKey()))
	var users strings.Builder
	for i := range 1500 {
		fmt.Fprintf(&users, "- {name: u%d, user: {client-certificate-data: %s}}\n", i, cert)
	}
	kubeadm := spellings(t)["kubeadm's"](cert, key)
	for name, text := range map[string]string{
		"twins":            kubeadm + users.String(),
		"fields in blocks": kubeadm + "x: |\n" + strings.Repeat("  client-certificate-data: |\n", 90_000),
		"fields in text":   kubeadm + "#" + strings.Repeat("client-certificate-data: ", 90_000),
		"aliases":          "a: &a [x, x]\nb: &b [*a, *a]\n" + kubeadm + "#" + strings.Repeat("client-certificate-data: *a", 1000),
		"deep":             kubeadm + "x: " + strings.Repeat("[", 90_000),
	} {
		if out, err := ReplaceKubeconfig([]byte(text), "", r.new.Cert, nil); err == nil {
			onlyChanged(t, text, string(out), map[string]string{cert: b64(certPEM(r.new.Cert))})
		} else if len(err.Error()) > 500 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}
