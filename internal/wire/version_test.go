// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/wire"
)

func TestGetVersion(t *testing.T) {
	for body, want := range map[string]fact.Version{
		`{"major":"1","minor":"32","gitVersion":"v1.32.2"}`:                                                {Git: "v1.32.2"},
		`{"gitVersion":"v1.37.0","emulationMajor":"1","emulationMinor":"37"}`:                              {Git: "v1.37.0"},
		`{"gitVersion":"v1.37.0","emulationMajor":"1","emulationMinor":"36","minCompatibilityMinor":"36"}`: {Git: "v1.37.0", Emulated: "1.36"},
		`{"gitVersion":"v1.28.2+k3s1"}`:                                                                    {Git: "v1.28.2+k3s1"},
	} {
		endpoint := apiServer(t, issue(t, "server"), func(w http.ResponseWriter, r *http.Request) {
			if r.Method != "GET" || r.URL.Path != "/version" || r.Header.Get("Authorization") != "" || len(r.TLS.PeerCertificates) > 0 {
				t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
			}
			io.WriteString(w, body)
		})
		want.Endpoint = endpoint
		if got, err := wire.GetVersion(t.Context(), endpoint, ample); err != nil || got != want {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
}

func TestGetVersionFails(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		why     fact.Why
		says    string
	}{
		"401":       {answer(401, `{"gitVersion":"v1.1.1"}`), fact.Denied, "anonymous access is off (HTTP status 401)"},
		"403":       {answer(403, ""), fact.Denied, "anonymous access is off (HTTP status 403)"},
		"503":       {answer(503, ""), fact.Failed, "HTTP status 503"},
		"HTML":      {answer(200, "<html>"), fact.Malformed, "the answer is no version"},
		"empty":     {answer(200, "{}"), fact.Malformed, "no gitVersion"},
		"wrong":     {answer(200, `{"gitVersion":7}`), fact.Malformed, "the answer is no version"},
		"long name": {answer(200, `{"gitVersion":"`+strings.Repeat("v", 1000)+`"}`), fact.Malformed, "the answer is no version"},
		"large":     {answer(200, strings.Repeat(" ", 65<<10)), fact.TooLarge, "larger than 64 KiB"},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/version" {
				t.Error("the redirect was followed")
			}
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, fact.Failed, "HTTP status 302"},
		"large header": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 100<<10))
		}, fact.Failed, ""},
		"silent": {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, fact.Timeout, "no answer in time"},
	} {
		t.Run(name, func(t *testing.T) {
			timeout := ample
			if c.why == fact.Timeout {
				timeout = brief
			}
			endpoint := apiServer(t, issue(t, "server"), c.handler)
			version, err := wire.GetVersion(t.Context(), endpoint, timeout)
			if wire.Why(err) != c.why || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%+v, %v (%s)", version, err, wire.Why(err))
			}
			if !strings.HasPrefix(err.Error(), "asking for the version of "+endpoint+": ") {
				t.Error(err)
			}
		})
	}
}

func TestGetVersionOfNoAPIServer(t *testing.T) {
	if _, err := wire.GetVersion(t.Context(), refused(t), ample); wire.Why(err) != fact.Unreachable || wire.Cause(err) != "connection refused" {
		t.Error(err)
	}
	if _, err := wire.GetVersion(t.Context(), plainHTTP(t), ample); wire.Why(err) != fact.NotTLS || wire.Cause(err) != "the port speaks plain HTTP" {
		t.Error(err)
	}
	closing := serve(t, listen(t, "127.0.0.1:0"), func(c net.Conn) { readHello(c) })
	if _, err := wire.GetVersion(t.Context(), closing, ample); wire.Why(err) != fact.Unreachable {
		t.Error(err)
	}
	if _, err := wire.GetVersion(t.Context(), "a b:1", ample); wire.Why(err) != fact.Malformed {
		t.Error(err)
	}
}

// The environment may name a proxy, which would see and answer instead.
func TestGetVersionUsesNoProxy(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://"+refused(t))
	endpoint := apiServer(t, issue(t, "server"), func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"gitVersion":"v1.37.0"}`)
	})
	_, port, _ := net.SplitHostPort(endpoint)
	if _, err := wire.GetVersion(t.Context(), "localhost:"+port, ample); err != nil {
		t.Error(err)
	}
}
