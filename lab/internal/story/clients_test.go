// SPDX-License-Identifier: Apache-2.0

package story

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// store stands in for an API server that can be made to break its word.
type store struct {
	sync.Mutex
	names       []string
	connections map[string]bool
	refuse      bool // requests
	forget      bool // what it says it has stored
	more        bool // stores what it does not say
	answered    int
}

func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.Lock()
	defer s.Unlock()
	s.connections[r.RemoteAddr] = true
	var body struct{ Metadata struct{ Name string } }
	_ = json.NewDecoder(r.Body).Decode(&body)
	maps := strings.HasSuffix(r.URL.Path, "/configmaps")
	switch {
	case s.refuse:
		w.WriteHeader(http.StatusServiceUnavailable)
	case r.Method == http.MethodGet && maps:
		var items []any
		for _, name := range append(s.names, "kube-root-ca.crt") {
			items = append(items, object("v1", "ConfigMap", name, nil))
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"items": items})
	case r.Method == http.MethodGet:
		s.answered++
	default:
		w.WriteHeader(http.StatusCreated)
		if maps && !s.forget {
			s.names = append(s.names, body.Metadata.Name)
		}
		if maps && s.more {
			s.names = append(s.names, body.Metadata.Name+"-again")
		}
	}
}

func (s *store) set(change func()) {
	s.Lock()
	defer s.Unlock()
	change()
}

func serve(t *testing.T) (*store, string) {
	t.Helper()
	s := &store{connections: map[string]bool{}}
	server := httptest.NewTLSServer(s)
	t.Cleanup(server.Close)
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
	return s, path
}

// until waits for what the clients do by themselves.
func until(t *testing.T, s *store, what func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		done := false
		s.set(func() { done = what() })
		if done {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the clients do not ask")
		}
	}
}

func TestClientsCountWhatFails(t *testing.T) {
	s, kubeconfig := serve(t)
	clients, err := Visit(t.Context(), kubeconfig, "test")
	if err != nil {
		t.Fatal(err)
	}
	until(t, s, func() bool { return len(s.names) >= 6 && s.answered >= 6 })
	s.set(func() { s.refuse = true; s.names = append(s.names, "fresh-1000000") })
	time.Sleep(10 * pause)
	var before int
	s.set(func() { s.refuse = false; before = s.answered })
	until(t, s, func() bool { return s.answered >= before+4 })
	tallies, err := clients.Stop(t.Context())
	if err != nil {
		t.Fatal(err) // what is stored of a request that failed is no lie
	}
	for _, tally := range tallies {
		if tally.Failed == 0 || tally.Failed >= tally.Asked || tally.Away == 0 || !strings.HasPrefix(tally.First, "503") {
			t.Errorf("got %+v", tally)
		}
	}
	var out bytes.Buffer
	if asked, failed := PrintTallies(&out, tallies); asked <= failed || failed < 4 {
		t.Errorf("%d of %d failed:\n%s", failed, asked, out.String())
	}
	for line := range strings.Lines(out.String()) {
		if len(strings.TrimRight(line, "\n")) > 80 {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
	s.set(func() {
		if len(s.connections) < 8 {
			t.Errorf("%d connections were made, and two of four clients make a new one each time", len(s.connections))
		}
	})
}

func TestLostAndDoubledWritesAreFound(t *testing.T) {
	for what, change := range map[string]func(*store){
		"has not": func(s *store) { s.forget = true },
		"stored,": func(s *store) { s.more = true },
	} {
		s, kubeconfig := serve(t)
		s.set(func() { change(s) })
		clients, err := Visit(t.Context(), kubeconfig, "test")
		if err != nil {
			t.Fatal(err)
		}
		until(t, s, func() bool { return s.answered >= 6 })
		if _, err := clients.Stop(t.Context()); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("want %q, got %v", what, err)
		}
	}
}
