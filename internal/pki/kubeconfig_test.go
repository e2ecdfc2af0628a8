// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
)

func b64(data []byte) string { return base64.StdEncoding.EncodeToString(data) }

// adminConf is a kubeconfig as kubeadm writes it.
func adminConf(ca, leaf made) string {
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
preferences: {}
users:
- name: kubernetes-admin
  user:
    client-certificate-data: %s
    client-key-data: %s
`, b64(certPEM(ca.Cert)), b64(certPEM(leaf.Cert)), b64(pkcs8(leaf.key)))
}

func TestReadKubeconfigOfKubeadm(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	leaf := ca.issues(t, server("admin", 1))
	yamlText := adminConf(ca, leaf)
	jsonText := must(json.Marshal(map[string]any{
		"kind": "Config", "apiVersion": "v1", "current-context": "kubernetes-admin@kubernetes",
		"clusters": []any{map[string]any{"name": "kubernetes", "cluster": map[string]any{
			"server": "https://10.0.0.1:6443", "certificate-authority-data": certPEM(ca.Cert)}}},
		"contexts": []any{map[string]any{"name": "kubernetes-admin@kubernetes", "context": map[string]any{
			"cluster": "kubernetes", "user": "kubernetes-admin"}}},
		"users": []any{map[string]any{"name": "kubernetes-admin", "user": map[string]any{
			"client-certificate-data": certPEM(leaf.Cert), "client-key-data": pkcs8(leaf.key)}}},
	}))
	for name, text := range map[string]string{
		"YAML":            yamlText,
		"CRLF":            strings.ReplaceAll(yamlText, "\n", "\r\n"),
		"byte-order mark": "\uFEFF" + yamlText,
		"JSON":            string(jsonText),
		"indented JSON":   string(must(json.MarshalIndent(json.RawMessage(jsonText), "", "\t"))),
	} {
		t.Run(name, func(t *testing.T) {
			got, problem := ReadKubeconfig([]byte(text), "/etc/kubernetes")
			if problem != "" {
				t.Fatal(problem)
			}
			key := Read(pkcs8(leaf.key)).Keys[0]
			want := &fact.Kubeconfig{
				CurrentContext: "kubernetes-admin@kubernetes",
				Clusters:       []fact.KubeconfigCluster{{Name: "kubernetes", Current: true, Server: "https://10.0.0.1:6443", CAs: []fact.Cert{ca.Cert}}},
				Users:          []fact.KubeconfigUser{{Name: "kubernetes-admin", Current: true, Certs: []fact.Cert{leaf.Cert}, Key: &key}},
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if !KeyMatches(*got.Users[0].Key, leaf.Cert) {
				t.Error("the key does not match")
			}
			if CurrentFingerprint(got) != leaf.Fingerprint() {
				t.Error("CurrentFingerprint is not the leaf's")
			}
		})
	}
}

const several = `
kind: Config
current-context: two
contexts:
- {name: one, context: {cluster: a, user: bearer}}
- {name: two, context: {cluster: b, user: files}}
clusters:
- {name: a, cluster: {server: "https://a", certificate-authority: ../pki/ca.crt}}
- {name: b, cluster: {server: "https://b", certificate-authority: /var/ca.crt}}
users:
- {name: files, user: {client-certificate: pki/kubelet.pem, client-key: /var//key.pem}}
- {name: bearer, user: {token: s3cr3t}}
- {name: token-file, user: {tokenFile: /run/token}}
- {name: helper, user: {exec: {command: aws, args: [s3cr3t], env: [{name: A, value: s3cr3t}]}}}
- {name: provider, user: {auth-provider: {name: oidc, config: {id-token: s3cr3t}}}}
- {name: password, user: {username: admin, password: s3cr3t}}
- {name: all, user: {token: s3cr3t, exec: {command: x}, username: s3cr3t}}
- {name: empty, user: {token: "", exec: null, password: ~}}
- {name: impersonator, user: {as: root}}
- {name: nothing}
`

func TestReadKubeconfigWithSeveralUsers(t *testing.T) {
	got, problem := ReadKubeconfig([]byte(several), "/etc/kubernetes")
	if problem != "" {
		t.Fatal(problem)
	}
	want := &fact.Kubeconfig{
		CurrentContext: "two",
		Clusters: []fact.KubeconfigCluster{
			{Name: "a", Server: "https://a", CAFile: "/etc/pki/ca.crt"},
			{Name: "b", Server: "https://b", CAFile: "/var/ca.crt", Current: true},
		},
		Users: []fact.KubeconfigUser{
			{Name: "files", Current: true, CertFile: "/etc/kubernetes/pki/kubelet.pem", KeyFile: "/var/key.pem"},
			{Name: "bearer", Other: "token"},
			{Name: "token-file", Other: "token"},
			{Name: "helper", Other: "exec"},
			{Name: "provider", Other: "auth-provider"},
			{Name: "password", Other: "basic"},
			{Name: "all", Other: "token, exec, basic"},
			{Name: "empty"},
			{Name: "impersonator"},
			{Name: "nothing"},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if CurrentFingerprint(got) != "" || CurrentFingerprint(nil) != "" {
		t.Error("a fingerprint out of nothing")
	}
	if out := string(must(json.Marshal(got))); strings.Contains(out, "s3cr3t") {
		t.Error("a secret was kept")
	}
}

func TestReadKubeconfigEmbeddedWinsOverFile(t *testing.T) {
	leaf := selfSigned(t, server("a", 1), newKey())
	got, _ := ReadKubeconfig(fmt.Appendf(nil, `
clusters: [{name: a, cluster: {certificate-authority: /a, certificate-authority-data: %[1]s}}]
users: [{name: a, user: {client-certificate: /a, client-certificate-data: %[1]s, client-key: /a, client-key-data: %[2]s}}]
`, b64(certPEM(leaf.Cert)), b64(pkcs8(leaf.key))), "/")
	if got.Clusters[0].CAFile != "" || got.Users[0].CertFile != "" || got.Users[0].KeyFile != "" {
		t.Errorf("got %+v", got)
	}
}

func TestReadKubeconfigProblems(t *testing.T) {
	leaf := selfSigned(t, server("a", 1), newKey())
	user := func(fields string) string { return "users: [{name: u, user: {" + fields + "}}]" }
	for name, tt := range map[string]struct {
		data string
		want string // of the file
		user string // of its first user
	}{
		"empty":               {"", "the content is empty", ""},
		"no YAML":             {"a: b: c", "it is no YAML: mapping values are not allowed in this context", ""},
		"tab":                 {"kind: Config\nusers:\n\t- name: a\n", "it is no YAML at line 3: found character that cannot start any token", ""},
		"NUL":                 {"kind: Config\x00", "it is no YAML: control characters are not allowed", ""},
		"invalid UTF-8":       {"kind: \xff\xfe\xfd", "it is no YAML: invalid leading UTF-8 octet", ""},
		"a scalar":            {"hello", "it is no valid kubeconfig: a value has the wrong type at line 1; one more fault follows", ""},
		"a list":              {"[1, 2]", "it is no valid kubeconfig: a value has the wrong type at line 1; one more fault follows", ""},
		"another kind":        {"kind: Pod\nmetadata: {}", "it is no kubeconfig: neither clusters nor users nor contexts in it", ""},
		"kubeconfig by kind":  {"kind: Config", "it is no kubeconfig: neither clusters nor users nor contexts in it", ""},
		"wrong kind":          {"kind: Pod\nusers: []", "it is no valid kubeconfig: its kind is not Config", ""},
		"wrong type":          {"users:\n- name: u\n  user: [a]\n", "it is no valid kubeconfig: a value has the wrong type at line 3", ""},
		"no such context":     {"current-context: x\nusers: []", `the current context "x" does not exist`, ""},
		"no such cluster":     {"current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\nusers: [{name: u}]", `the current context "x" names the cluster "c", which does not exist`, ""},
		"no such user":        {"current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\nclusters: [{name: c}]", `the current context "x" names the user "u", which does not exist`, ""},
		"neither":             {"current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]", `the current context "x" names the cluster "c", which does not exist; one more fault follows`, ""},
		"without user":        {"current-context: x\ncontexts: [{name: x, context: {cluster: c}}]\nclusters: [{name: c}]", "", ""},
		"hostile name":        {"current-context: \"\\e[2J\"\nusers: []", "the current context \"\x1b[2J\" does not exist", ""},
		"unknown anchor":      {"users: *s3cr3t", "it is no YAML: its structure is broken", ""},
		"alias in itself":     {"users: &a [*a]", "it is no valid kubeconfig: a value has the wrong type at line 1", ""},
		"CA not base64":       {"clusters: [{name: c, cluster: {certificate-authority-data: '****'}}]", `cluster "c": certificate-authority-data is not base64`, ""},
		"CA of nothing":       {"clusters: [{name: c, cluster: {certificate-authority-data: aGVsbG8=}}]", `cluster "c": certificate-authority-data: there is no PEM block in it`, ""},
		"CA is a key":         {"clusters: [{name: c, cluster: {certificate-authority-data: " + b64(sec1(someKey())) + "}}]", `cluster "c": certificate-authority-data holds no certificate`, ""},
		"cert not base64":     {user("client-certificate-data: s3cr3t!, client-key: /k"), "", "client-certificate-data is not base64"},
		"cert is PEM":         {user("client-certificate-data: '-----BEGIN CERTIFICATE-----', client-key: /k"), "", "client-certificate-data is plain PEM, where base64 of it is expected"},
		"cert is a key":       {user("client-key: /k, client-certificate-data: " + b64(sec1(someKey()))), "", "client-certificate-data holds no certificate"},
		"cert cut off":        {user("client-key: /k, client-certificate-data: " + b64(certPEM(leaf.Cert)[:200])), "", "client-certificate-data: block 1 (CERTIFICATE) at line 1 has no END line: the file is cut off or was put together wrongly"},
		"key is a cert":       {user("client-certificate: /c, client-key-data: " + b64(certPEM(leaf.Cert))), "", "client-key-data holds no private key"},
		"key is public":       {user("client-certificate: /c, client-key-data: " + b64(pemOf("PUBLIC KEY", leaf.RawSubjectPublicKeyInfo))), "", "client-key-data holds no private key"},
		"certificate, no key": {user("client-certificate: /c"), "", "there is a client certificate and no key for it"},
		"key, no certificate": {user("client-key: /c"), "", "there is a client key and no certificate for it"},
	} {
		t.Run(name, func(t *testing.T) {
			got, problem := ReadKubeconfig([]byte(tt.data), "/etc/kubernetes")
			if string(problem) != tt.want {
				t.Errorf("problem:\n got %q\nwant %q", string(problem), tt.want)
			}
			if tt.user != "" && string(got.Users[0].Problem) != tt.user {
				t.Errorf("user's problem:\n got %q\nwant %q", string(got.Users[0].Problem), tt.user)
			}
			if strings.Contains(problem.String(), "\x1b") {
				t.Error("the problem is not safe to print")
			}
		})
	}
}

// A value of a wrong type costs itself, not the file.
func TestReadKubeconfigKeepsTheRest(t *testing.T) {
	got, problem := ReadKubeconfig([]byte("users:\n- name: [u]\n- name: v\n  user: {token: [1], exec: x}\nclusters: 5\n"), "/")
	if problem == "" || got == nil || len(got.Users) != 2 || got.Users[1].Name != "v" || got.Users[1].Other != "token, exec" {
		t.Errorf("got %+v, problem %q", got, problem)
	}
}

// YAML's own errors quote the file. Each secret stands where a parser
// complains about it, or near.
func TestReadKubeconfigGivesNoSecretAway(t *testing.T) {
	const secret = "s3cr3t"
	key := b64(pkcs8(someKey()))
	for _, text := range []string{
		"users: [{name: u, user: s3cr3t}]",
		"users: s3cr3t",
		"s3cr3t",
		"users: [{name: u, user: {token: s3cr3t, token: s3cr3t}}]",
		"users: [{name: u, user: {token: *s3cr3t}}]",
		"users: [{name: u, user: {token: &s3cr3t [*s3cr3t]}}]",
		"users: [{name: u, user: {token: !!int s3cr3t}}]",
		"users: [{name: u, user: {token: !!binary s3cr3t!}}]",
		"users: [{name: u, user: {client-key-data: !!binary s3cr3t!}}]",
		"users: [{name: u, user: {client-key-data: !!float s3cr3t}}]",
		"users: [{name: u, user: {client-key-data: !s3cr3t s3cr3t}}]",
		"users: [{name: u, user: {client-key-data: [s3cr3t]}}]",
		"users: [{name: u, user: {client-key-data: {s3cr3t: s3cr3t}}}]",
		"users: [{name: u, user: {client-key-data: s3cr3t}}]",
		"users: [{name: u, user: {client-certificate-data: s3cr3t}}]",
		"users: [{name: u, user: {? {s3cr3t: s3cr3t} : s3cr3t}}]",
		"users: [{name: u, user: {<<: s3cr3t}}]",
		"users: [{name: u, user: {token: \"\\s3cr3t\"}}]",
		"users: [{name: u, user: {token: \"s3cr3t",
		"users: [{name: u, user: {token: s3cr3t: s3cr3t}}]",
		"users: [{name: u, user: {token: @s3cr3t}}]",
		"users: [{name: u, user: {token: `s3cr3t}}]",
		"users: [{name: u, user: {token: %s3cr3t}}]",
		"%s3cr3t 1.1\n---\nusers: []",
		"kind: s3cr3t\nusers: []",
		"!!s3cr3t users: []",
		"users: !!s3cr3t []",
		"users:\n- name: u\n user: s3cr3t",
		"users: [{name: u, user: {client-key-data: " + key + "x}}]",
		"users: [{name: u, user: " + key + "}]",
		"users: [{name: u, user: {client-certificate-data: " + key + "}}]",
		"users: [{name: u, user: {token: " + key + ": }}}]",
		"clusters: [{name: u, cluster: {certificate-authority-data: " + key + "}}]",
		"clusters: [{name: u, cluster: {certificate-authority-data: " + key[:40] + "}}]",
		string(pkcs8(someKey())),
	} {
		got, problem := ReadKubeconfig([]byte(text), "/")
		out := string(must(json.Marshal(got))) + string(problem)
		for _, part := range append(secretsOf(someKey()), secret, key[:12], key[len(key)/2:len(key)/2+12]) {
			if strings.Contains(out, part) {
				t.Errorf("%q:\nthe output holds %q: %s", text, part, out)
			}
		}
	}
}

func TestReadKubeconfigHostile(t *testing.T) {
	many := func(n int, format string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	laughs := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := range 12 {
		laughs += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.Repeat(fmt.Sprintf("*a%d, ", i), 10))
	}
	bundle := b64(certPEM(selfSigned(t, server("a", 1), newKey()).Cert))
	for name, tt := range map[string]struct{ data, want string }{
		"alias bomb":        {laughs + "users: *a12\n", "a value has the wrong type at line 12"},
		"alias bomb unused": {laughs + "users: []\n", ""},
		"bomb as names":     {laughs + "users: [{name: *a12, user: {token: *a12}}]", "a value has the wrong type at line 13"},
		"deep list":         {"users: " + strings.Repeat("[", 200_000), "it is no YAML"},
		"deep map":          {"users: " + strings.Repeat("{a: ", 90_000), "it is no YAML"},
		"deep dashes":       {"users: " + strings.Repeat("- ", 1_000_000), "it is no YAML"},
		"100,000 contexts":  {"contexts:\n" + many(100_000, "- name: c%d\n  context: {cluster: a, user: b}\n"), "too many entries"},
		"30,000 contexts":   {"contexts:\n" + many(30_000, "- name: c%d\n  context: {cluster: a, user: b}\n") + "users: []", ""},
		"5,000 users":       {"users:\n" + many(5000, "- name: u%d\n"), "there are more than 1000 users, the other 4000 were not looked at"},
		"commas":            {strings.Repeat(",", 10_000_000), "too many entries"},
		"too large":         {strings.Repeat("a", maxConfigBytes+1), "larger than 16 MiB"},
		"large":             {"users: " + strings.Repeat("a", maxConfigBytes-100), "wrong type"},
		"long key":          {strings.Repeat("a", 1_000_000) + ": 1", "mapping values are not allowed"},
		"repeated data":     {"x: &x " + strings.Repeat("A", 1_000_000) + "\nclusters:\n" + many(1000, "- {name: c%d, cluster: {certificate-authority-data: *x}}\n"), "certificate-authority-data: there is no PEM block in it; 999 more faults follow"},
		"repeated certs":    {"x: &x " + bundle + "\nclusters:\n" + many(1000, "- {name: c%d, cluster: {certificate-authority-data: *x}}\n") + "users: [{name: u, user: {client-key: /k, client-certificate-data: *x}}]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, problem := ReadKubeconfig([]byte(tt.data), "/")
			if !strings.Contains(string(problem), tt.want) || len(problem) > 500 || (problem != "") != (tt.want != "") {
				t.Errorf("problem %.600q, want %q", problem, tt.want)
			}
			if got != nil {
				checkKubeconfig(t, got)
			}
		})
	}
}

// An alias makes a large value out of two bytes, so what is read of embedded
// data is counted, and what is beyond that is named.
func TestReadKubeconfigCountsWhatIsEmbedded(t *testing.T) {
	text := "x: &x " + strings.Repeat("A", 1_000_000) + "\nusers:\n" +
		strings.Repeat("- {user: {client-key: /k, client-certificate-data: *x}}\n", 20)
	got, _ := ReadKubeconfig([]byte(text), "/")
	first, last := got.Users[0].Problem, got.Users[19].Problem
	if first != "client-certificate-data: there is no PEM block in it" || last != "client-certificate-data was not looked at: the kubeconfig embeds too much" {
		t.Errorf("first %q, last %q", first, last)
	}
}

func TestReadKubeconfigCountsCertificates(t *testing.T) {
	bundle := strings.Repeat(string(certPEM(selfSigned(t, server("a", 1), newKey()).Cert)), MaxCerts-1)
	text := "x: &x " + b64([]byte(bundle)) + "\nusers:\n" +
		strings.Repeat("- {user: {client-key: /k, client-certificate-data: *x}}\n", 3)
	got, _ := ReadKubeconfig([]byte(text), "/")
	for i, want := range []struct {
		certs   int
		problem fact.Text
	}{
		{MaxCerts - 1, ""},
		{1, "client-certificate-data was not looked at as a whole: the kubeconfig embeds too many certificates"},
		{0, "client-certificate-data was not looked at: the kubeconfig embeds too much"},
	} {
		if u := got.Users[i]; len(u.Certs) != want.certs || u.Problem != want.problem {
			t.Errorf("user %d: %d certificates, problem %q", i, len(u.Certs), u.Problem)
		}
	}
}

// The current entries are kept, wherever they stand.
func TestReadKubeconfigKeepsTheCurrent(t *testing.T) {
	text := "current-context: c\ncontexts: [{name: c, context: {cluster: last, user: last}}]\nclusters:\n" +
		strings.Repeat("- {name: x}\n", 2000) + "- {name: last}\nusers:\n" + strings.Repeat("- {name: x}\n", 2000) + "- {name: last}\n"
	got, _ := ReadKubeconfig([]byte(text), "/")
	if n := len(got.Users); n != MaxEntries+1 || !got.Users[n-1].Current || got.Users[n-1].Name != "last" {
		t.Errorf("%d users", n)
	}
	if n := len(got.Clusters); n != MaxEntries+1 || !got.Clusters[n-1].Current {
		t.Errorf("%d clusters", n)
	}
}

func TestIsKubeconfig(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), newKey())
	for text, want := range map[string]bool{
		adminConf(ca, ca): true,
		strings.ReplaceAll(adminConf(ca, ca), "\n", "\r\n"): true,
		several:                              true,
		`{"kind": "Config", "clusters": []}`: true,
		"\n {\"users\": [], \"kind\":\"Config\"}\n":       true,
		"\"kind\": 'Config' # x\nusers: []":               true,
		"\uFEFFkind: Config\nusers: []":                   true,
		`{"kind": "Pod", "users": []}`:                    false,
		`{"items": [{"kind": "Config", "clusters": []}]}`: false,
		"kind: Config":               false,
		"kind: ConfigMap\nusers: []": false,
		"kind: Pod\ndata:\n  conf: |\n    kind: Config\n    clusters: []\n": false,
		"clusters: []\nusers: []":            false,
		"":                                   false,
		"{":                                  false,
		string(certPEM(ca.Cert)):             false,
		strings.Repeat("{\"a\":", 1_000_000): false,
	} {
		if got := IsKubeconfig([]byte(text)); got != want {
			t.Errorf("%.80q: %v", text, got)
		}
	}
}
