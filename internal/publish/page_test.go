// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func pageServer() *PageServer {
	return NewPageServer("default-src 'none'", func() Shown {
		return Shown{Body: []byte("<!DOCTYPE html><title>x</title>"), State: map[string]string{"version": "7"}}
	})
}

func TestPageServerAnswers(t *testing.T) {
	for _, c := range []struct {
		method, path string
		status       int
		kind, body   string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8", "<title>x</title>"},
		{"GET", "/version", 200, "application/json", `{"version":"7"}`},
		{"GET", "/x", 404, "", ""},
		{"GET", "/index.html", 404, "", ""},
		{"POST", "/", 405, "", ""},
		{"PUT", "/version", 405, "", ""},
		{"DELETE", "/", 405, "", ""},
		{"OPTIONS", "/", 405, "", ""},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Host = "127.0.0.1:9465"
		w := httptest.NewRecorder()
		pageServer().ServeHTTP(w, r)
		if w.Code != c.status || c.kind != "" && w.Header().Get("Content-Type") != c.kind || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s %s: %d %s %q", c.method, c.path, w.Code, w.Header().Get("Content-Type"), w.Body)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Access-Control-Allow-Origin": ""} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s %s: %s is %q, want %q", c.method, c.path, name, got, want)
			}
		}
	}
}

func TestPageServerKnowsItsOwnNames(t *testing.T) {
	for host, want := range map[string]int{
		"127.0.0.1": 200, "127.0.0.1:1": 200, "localhost:8080": 200, "[::1]:9465": 200, "[::1]": 200, "127.1.2.3:5": 200,
		"evil.example": 421, "evil.example:9465": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example:9465": 421, "10.0.0.1:9465": 421, "[::]:9465": 421,
		"": 421, "localhost@evil.example": 421, "0.0.0.0:9465": 421,
	} {
		for _, path := range []string{"/", "/version", "/x"} {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			pageServer().ServeHTTP(w, r)
			if path == "/x" && want == 200 {
				continue
			}
			if w.Code != want {
				t.Errorf("%q asks for %s: %d, want %d", host, path, w.Code, want)
			}
			if want != 200 && strings.Contains(w.Body.String(), "<title>") {
				t.Errorf("%q gets the page", host)
			}
		}
	}
}
