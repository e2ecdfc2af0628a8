// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/testnode"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// bare is a machine without any kubeconfig.
func bare(t *testing.T) {
	t.Helper()
	// That of the home directory is found once, when the program starts.
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"} {
		t.Setenv(name, "")
	}
}

// tokens answers with the bearer token that it was shown, over a certificate of
// the cluster.
func (c cluster) tokens(t *testing.T) (server string) {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"gitVersion": %q}`, r.URL.Path+" "+r.Header.Get("Authorization")+" "+r.Header.Get("Impersonate-User"))
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{c.serving.Cert.Raw}, PrivateKey: c.serving.Key}}}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func (c cluster) file(server, user string) string {
	return fmt.Sprintf(`{"kind": "Config", "apiVersion": "v1", "current-context": "one",
		"contexts": [{"name": "one", "context": {"cluster": "k", "user": "u"}}, {"name": "two", "context": {"cluster": "k", "user": "v"}}],
		"clusters": [{"name": "k", "cluster": {"server": %q, "tls-server-name": "kubernetes", "certificate-authority-data": %q}}],
		"users": [{"name": "u", "user": %s}, {"name": "v", "user": {"token": "second"}}]}`,
		server, base64.StdEncoding.EncodeToString(testnode.CertPEM(c.ca.Cert)), user)
}

// A context is found as kubectl finds it: an explicit file, or several in
// KUBECONFIG that complete each other; with a token, a credential plugin, another
// user's name, a path in front of the API.
func TestOpenContext(t *testing.T) {
	c := newCluster(t)
	server := c.tokens(t)
	ask := func(at Context) string {
		t.Helper()
		client, err := OpenContext(at, "v9")
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if "https://"+client.Server() != server && "https://"+client.Server() != server+"/k8s/clusters/c-1" {
			t.Errorf("the server is %s, want that of %s", client.Server(), server)
		}
		version, err := client.Version(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return string(version.Git)
	}
	bare(t)
	explicit := write(t, "explicit", c.file(server, `{"token": "first", "as": "jane"}`))
	if got := ask(Context{Kubeconfig: explicit}); got != "/version Bearer first jane" {
		t.Errorf("an explicit file: %s", got)
	}
	if got := ask(Context{Kubeconfig: explicit, Name: "two"}); got != "/version Bearer second " {
		t.Errorf("another context: %s", got)
	}
	plugin := write(t, "plugin", "#!/bin/sh\n"+`echo '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": "made"}}'`)
	user := fmt.Sprintf(`{"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": %q, "interactiveMode": "Never"}}`, plugin)
	if got := ask(Context{Kubeconfig: write(t, "c", c.file(server, user))}); got != "/version Bearer made " {
		t.Errorf("a credential plugin: %s", got)
	}
	if got := ask(Context{Kubeconfig: write(t, "c", c.file(server+"/k8s/clusters/c-1", `{"token": "path"}`))}); got != "/k8s/clusters/c-1/version Bearer path " {
		t.Errorf("a path in front of the API: %s", got)
	}
	first := write(t, "a", `{"kind": "Config", "apiVersion": "v1", "current-context": "two"}`)
	t.Setenv("KUBECONFIG", first+string(filepath.ListSeparator)+filepath.Join(t.TempDir(), "missing")+string(filepath.ListSeparator)+explicit)
	if got := ask(Context{}); got != "/version Bearer second " {
		t.Errorf("several files: %s", got)
	}
}

// A proxy of the kubeconfig is used.
func TestOpenContextProxy(t *testing.T) {
	c := newCluster(t)
	bare(t)
	asked := ""
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Method + " " + r.Host
		http.Error(w, "no", http.StatusBadGateway)
	}))
	t.Cleanup(proxy.Close)
	text := strings.Replace(c.file("https://cluster.invalid:6443", `{"token": "t"}`), `"server":`, fmt.Sprintf(`"proxy-url": %q, "server":`, proxy.URL), 1)
	client, err := OpenContext(Context{Kubeconfig: write(t, "c", text)}, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Version(t.Context()); err == nil || !Unreachable(err) || asked != "CONNECT cluster.invalid:6443" {
		t.Errorf("%v; the proxy was asked %q", err, asked)
	}
}

// Why there is no client is said, without a word of what is secret.
func TestOpenContextRefuses(t *testing.T) {
	c := newCluster(t)
	bare(t)
	const secret = "c2VjcmV0LWtleS1tYXRlcmlhbA"
	good := c.file("https://127.0.0.1:1", `{"token": "`+secret+`"}`)
	for name, k := range map[string]struct {
		at   Context
		want string
	}{
		"nothing":            {Context{}, "set --kubeconfig, or the variable KUBECONFIG"},
		"a missing file":     {Context{Kubeconfig: "/no/such/file"}, "reading /no/such/file: stat /no/such/file: no such file"},
		"a missing context":  {Context{Kubeconfig: write(t, "c", good), Name: "three"}, "the context three of "},
		"no YAML":            {Context{Kubeconfig: write(t, "c", good+"\n\t{"+secret)}, "no kubeconfig that client-go understands"},
		"another type":       {Context{Kubeconfig: write(t, "c", strings.Replace(good, `"`+secret+`"`, `["`+secret+`"]`, 1))}, "no kubeconfig that client-go understands"},
		"a wrong CA":         {Context{Kubeconfig: write(t, "c", strings.Replace(good, `"certificate-authority-data": "`, `"certificate-authority-data": "`+secret+`!!`, 1))}, "no kubeconfig that client-go understands"},
		"a missing key file": {Context{Kubeconfig: write(t, "c", c.file("https://127.0.0.1:1", `{"client-certificate": "/no/a.crt", "client-key": "/no/a.key"}`))}, "/no/a.crt"},
	} {
		_, err := OpenContext(k.at, "")
		if err == nil || !strings.Contains(err.Error(), k.want) || !strings.HasPrefix(err.Error(), "reading ") {
			t.Errorf("%s: %v, want %q", name, err, k.want)
		} else if strings.Contains(err.Error(), secret[:12]) {
			t.Errorf("%s: a secret is in the error: %v", name, err)
		}
	}
	if _, err := OpenContext(Context{}, ""); !errors.Is(err, ErrNoKubeconfig) {
		t.Errorf("nothing: %v", err)
	}
}
