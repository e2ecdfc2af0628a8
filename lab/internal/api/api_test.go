// SPDX-License-Identifier: Apache-2.0

package api

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRequestsThroughAKubeconfig(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"kind":"Status","message":"%s %s as %s"}`, r.Method, r.URL.Path, r.Header.Get("Impersonate-User"))
	}))
	defer server.Close()
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte) string {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	certificate := encode("CERTIFICATE", server.Certificate().Raw)
	path := filepath.Join(t.TempDir(), "admin.conf")
	config := fmt.Sprintf("clusters:\n- cluster: {server: %q, certificate-authority-data: %s}\nusers:\n- user: {client-certificate-data: %s, client-key-data: %s}\n",
		server.URL, certificate, certificate, encode("PRIVATE KEY", key))
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := FromKubeconfig(path)
	if err != nil {
		t.Fatal(err)
	}
	if !client.End().Equal(server.Certificate().NotAfter) {
		t.Errorf("the client's end is %v", client.End())
	}
	answer, err := client.Do(context.Background(), http.MethodPost, "/x", map[string]string{}, "Impersonate-User", "u")
	if err != nil || answer.Code != http.StatusForbidden || answer.Message() != "POST /x as u" {
		t.Errorf("got %d %s, %v", answer.Code, answer.Body, err)
	}

	// A server that is no API server has no loopback certificate.
	if _, err := Loopback(context.Background(), server.Listener.Addr().String()); err == nil || !strings.Contains(err.Error(), "got one for") {
		t.Errorf("got %v", err)
	}
}

func TestKubeconfigWithoutCredentials(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "no YAML": "\t:", "no user": "clusters: [{}]\n"} {
		path := filepath.Join(t.TempDir(), "admin.conf")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := FromKubeconfig(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v, want an error that names the file", name, err)
		}
	}
}
