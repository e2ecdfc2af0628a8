// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
)

// Shown is a page as it is at the moment.
type Shown struct {
	Body  []byte // HTML
	State any    // what says whether there is a newer one, as JSON
}

// PageServer answers / with a page and /version with its state, to whoever is on
// this machine. Nothing that is asked of it changes anything. It is an
// http.Handler; Serve puts it on a loopback address.
type PageServer struct {
	mux    *http.ServeMux
	policy string
}

// NewPageServer serves the page that shown gives, under its Content-Security-Policy.
// shown is asked by several goroutines and must answer without waiting.
func NewPageServer(policy string, shown func() Shown) *PageServer {
	s := &PageServer{mux: http.NewServeMux(), policy: policy + "; frame-ancestors 'none'"}
	s.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(shown().Body) // whoever asked has gone
	})
	s.mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(shown().State) // as above
	})
	return s
}

// ServeHTTP implements http.Handler. A page that a browser shows under a name of
// somebody else's choice could be read by that one's scripts (DNS rebinding): so
// only names of this machine itself are answered.
func (s *PageServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", s.policy)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	if !ownName(r.Host) {
		http.Error(w, "this page is for this machine alone: ask for it as 127.0.0.1 or localhost", http.StatusMisdirectedRequest)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// ownName says whether a Host header names the machine itself. Any port will do:
// one may be forwarded through SSH.
func ownName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" {
		return true
	}
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}
