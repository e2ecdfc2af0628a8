// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/testnode"
)

// cluster is a CA of its own and who it has signed.
type cluster struct {
	node           *testnode.Node
	ca             *testnode.Pair
	serving, admin *testnode.Pair
}

func newCluster(t *testing.T) cluster {
	t.Helper()
	n := testnode.New(t, testnode.Options{Worker: true})
	start, end := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	ca := n.Sign(nil, testnode.Leaf{Name: "kubernetes", Start: start, End: end, Change: func(c *x509.Certificate) {
		c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign
	}})
	names, addresses := n.ServingNames()
	return cluster{
		node: n, ca: ca,
		serving: n.Sign(ca, testnode.Leaf{Name: "kube-apiserver", DNS: names, IPs: addresses, Start: start, End: end, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}),
		admin:   n.Sign(ca, testnode.Leaf{Name: "kubernetes-admin", Start: start, End: end, Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}),
	}
}

func (c cluster) kubeconfig() []byte {
	return c.node.Kubeconfig(c.ca.Cert, c.admin, "kubernetes-admin")
}

// serve answers on 127.0.0.1, which is not in the certificate, over HTTP/2 to
// clients with a certificate of the cluster.
func (c cluster) serve(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AddCert(c.ca.Cert)
	s := httptest.NewUnstartedServer(answer)
	s.EnableHTTP2 = true
	s.TLS = &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{c.serving.Cert.Raw}, PrivateKey: c.serving.Key}},
		ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: pool,
	}
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func (c cluster) open(t *testing.T, server string) *Client {
	t.Helper()
	client, err := Open(server, Kubeconfig{Path: "/etc/kubernetes/admin.conf", Data: c.kubeconfig()}, "v9.9.9")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

const versionAnswer = `{"gitVersion": "v1.37.0", "emulationMajor": "1", "emulationMinor": "36"}`

// Who asks is known to the server, and the environment's proxy is not used.
func TestOpen(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("NO_PROXY", "")
	c := newCluster(t)
	var seen *http.Request
	server := c.serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen = r
		fmt.Fprint(w, versionAnswer)
	})
	version, err := c.open(t, server).Version(t.Context())
	if err != nil || version.Git != "v1.37.0" || version.Emulated != "1.36" || version.Endpoint != server {
		t.Fatalf("%+v, %v", version, err)
	}
	if seen.UserAgent() != "perennial/v9.9.9" || seen.TLS.ServerName != ServerName || seen.TLS.PeerCertificates[0].Subject.CommonName != "kubernetes-admin" || seen.ProtoMajor != 2 {
		t.Errorf("%s, %s, %v, %s", seen.UserAgent(), seen.TLS.ServerName, seen.TLS.PeerCertificates[0].Subject, seen.Proto)
	}
}

func TestOpenWithFiles(t *testing.T) {
	c := newCluster(t)
	server := c.serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, versionAnswer) })
	files := map[string][]byte{
		"/etc/kubernetes/pki/ca.crt":    testnode.CertPEM(c.ca.Cert),
		"/etc/kubernetes/pki/admin.crt": testnode.CertPEM(c.admin.Cert),
		"/srv/admin.key":                c.node.KeyPEM(c.admin),
	}
	k := Kubeconfig{Path: "/etc/kubernetes/admin.conf", Data: []byte(`{"kind": "Config", "current-context": "c",
		"contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
		"clusters": [{"name": "k", "cluster": {"certificate-authority": "pki/ca.crt"}}],
		"users": [{"name": "u", "user": {"client-certificate": "pki/admin.crt", "client-key": "/srv/admin.key"}}]}`),
		ReadFile: func(path string) ([]byte, error) {
			if data, ok := files[path]; ok {
				return data, nil
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}}
	client, err := Open(server, k, "")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Version(t.Context()); err != nil {
		t.Error(err)
	}
	delete(files, "/srv/admin.key")
	if _, err := Open(server, k, ""); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "reading /etc/kubernetes/admin.conf: its client-key is in a file: open /srv/admin.key") {
		t.Errorf("without the key's file: %v", err)
	}
	k.ReadFile = nil
	if _, err := Open(server, k, ""); err == nil || !strings.Contains(err.Error(), "certificate-authority is in a file") {
		t.Errorf("without a way to read files: %v", err)
	}
}

// What cannot be used is said, without a word of what is secret in it.
func TestOpenRefuses(t *testing.T) {
	c, other := newCluster(t), newCluster(t)
	good := string(c.kubeconfig())
	field := func(name, value string) string {
		return regexp.MustCompile(name+`: .*`).ReplaceAllLiteralString(good, name+": "+value)
	}
	foreign := string(c.node.Kubeconfig(c.ca.Cert, &testnode.Pair{Cert: c.admin.Cert, Key: other.admin.Key}, "u"))
	key := regexp.MustCompile(`client-key-data: (\S+)`).FindStringSubmatch(good)[1]
	for name, k := range map[string]struct{ text, want string }{
		"empty":              {"", "the content is empty"},
		"no YAML":            {good + "\n\t{" + key, "it is no YAML"},
		"another kind":       {"kind: Pod\nmetadata: {}\n", "it is no kubeconfig"},
		"a list for a field": {strings.Replace(good, key, "["+key+"]", 1), "wrong type"},
		"no context":         {strings.Replace(good, "current-context: kubernetes-admin@kubernetes", "current-context: ''", 1), "no current context"},
		"a lost context":     {strings.Replace(good, "current-context: kubernetes-admin@kubernetes", "current-context: gone", 1), `"gone" does not exist`},
		"no CA":              {strings.Replace(good, "certificate-authority-data:", "unknown:", 1), "has no certificate-authority"},
		"no key":             {strings.Replace(good, "client-key-data:", "unknown:", 1), "a client certificate and no key for it"},
		"no client":          {strings.Replace(strings.Replace(good, "client-key-data:", "token:", 1), "client-certificate-data:", "unknown:", 1), "has no client-certificate"},
		"key is no base64":   {field("client-key-data", key+"!"), "client-key-data is not base64"},
		"key is cut":         {field("client-key-data", key[:len(key)/8*4]), "client-key"},
		"CA is no PEM":       {field("certificate-authority-data", "aGVsbG8="), "certificate-authority-data: there is no PEM block in it"},
		"a key of another":   {foreign, "its client-key does not belong to its client-certificate"},
		"unverified":         {strings.Replace(good, "server:", "insecure-skip-tls-verify: true\n    server:", 1), "insecure-skip-tls-verify"},
		"a helper program":   {strings.Replace(good, "client-key-data:", "exec: {apiVersion: client.authentication.k8s.io/v1, command: touch, args: [/tmp/no]}\n    client-key-data:", 1), "helper program"},
		"another's name":     {strings.Replace(good, "client-key-data:", "as: somebody\n    client-key-data:", 1), "acts as another"},
	} {
		_, err := Open("127.0.0.1:6443", Kubeconfig{Path: "/etc/kubernetes/admin.conf", Data: []byte(k.text)}, "")
		if err == nil || !strings.Contains(err.Error(), k.want) || !strings.HasPrefix(err.Error(), "reading /etc/kubernetes/admin.conf: ") {
			t.Errorf("%s: %v, want %q", name, err, k.want)
		} else if strings.Contains(err.Error(), key[:24]) {
			t.Errorf("%s: the key is in the error: %v", name, err)
		}
	}
	if _, err := Open("127.0.0.1", Kubeconfig{Data: []byte(good)}, ""); err == nil || !strings.Contains(err.Error(), "not an address with a port") {
		t.Errorf("no port: %v", err)
	}
}

// Servers fail in ways that real ones seldom show.
func TestFaults(t *testing.T) {
	c := newCluster(t)
	hold := make(chan struct{})
	t.Cleanup(func() { close(hold) }) // before the servers close, which wait for it
	busy := 0
	for name, f := range map[string]struct {
		answer http.HandlerFunc
		is     error
		want   string // in the error; none is success
	}{
		"hangs": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		}, context.DeadlineExceeded, "no answer in time"},
		"forbids":          {status(403, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","message":"not you\u001b[31m","code":403}`), ErrForbidden, `not you\x1b[31m`},
		"does not know us": {status(401, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","message":"Unauthorized","code":401}`), ErrForbidden, "Unauthorized"},
		"is busy once": {func(w http.ResponseWriter, r *http.Request) {
			if busy++; busy == 1 {
				w.Header().Set("Retry-After", "1")
				status(429, "Too many requests, please try again later.")(w, r)
				return
			}
			fmt.Fprint(w, versionAnswer)
		}, nil, ""},
		"is busy for ever": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "1")
			status(429, "Too many requests, please try again later.")(w, r)
		}, nil, "no answer in time"},
		"breaks":            {status(500, "panic: \x1b[2J"), nil, "for its version: an error on the server"},
		"answers a page":    {status(200, "<html>hello</html>"), nil, "not the JSON that was asked for"},
		"stops in between":  {status(200, `{"gitVersion": "v1.`), nil, "not the JSON that was asked for"},
		"answers something": {status(200, `["v1.37.0"]`), nil, "not the JSON that was asked for"},
	} {
		t.Run(name, func(t *testing.T) {
			server := c.serve(t, f.answer)
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
			defer cancel()
			_, err := c.open(t, server).Version(ctx)
			if f.want == "" && err != nil || f.want != "" && (err == nil || !strings.Contains(err.Error(), f.want)) || f.is != nil && !errors.Is(err, f.is) {
				t.Errorf("%v, want %q", err, f.want)
			}
			if err != nil && (strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), server)) {
				t.Errorf("%q", err)
			}
		})
	}
	if busy != 2 {
		t.Errorf("asked a busy server %d times", busy)
	}
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		fmt.Fprint(w, body)
	}
}

// A server of another cluster is not believed, and is shown no certificate of
// ours that it could not verify.
func TestAnotherCluster(t *testing.T) {
	ours, theirs := newCluster(t), newCluster(t)
	asked := false
	server := theirs.serve(t, func(http.ResponseWriter, *http.Request) { asked = true })
	_, err := ours.open(t, server).Version(t.Context())
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) || asked {
		t.Errorf("%v, asked: %v", err, asked)
	}
}
