// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// sick is a program that is as it is set.
type sick struct{ live, ready atomic.Pointer[error] }

func (s *sick) Live() error  { return said(&s.live) }
func (s *sick) Ready() error { return said(&s.ready) }

func said(p *atomic.Pointer[error]) error {
	if err := p.Load(); err != nil {
		return *err
	}
	return nil
}

func server(t *testing.T) (*Server, *sick) {
	t.Helper()
	health := &sick{}
	s, err := NewServer(NewMetrics("1.2.3", "go1.26.8", time.Unix(1793491200, 0)), health)
	if err != nil {
		t.Fatal(err)
	}
	return s, health
}

func ask(t *testing.T, s http.Handler, method, path string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	return w.Result()
}

func text(t *testing.T, r io.Reader) string {
	t.Helper()
	body, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func TestServerAnswers(t *testing.T) {
	s, health := server(t)
	r := ask(t, s, "GET", "/metrics")
	body := text(t, r.Body)
	for _, want := range []string{"\nperennial_build_info{goversion=\"go1.26.8\",version=\"1.2.3\"} 1\n", "\nprocess_resident_memory_bytes ", "\ngo_goroutines "} {
		if r.StatusCode != 200 || !strings.Contains(body, want) {
			t.Errorf("%d, no %q in\n%s", r.StatusCode, want, body)
		}
	}
	if kind := r.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
		t.Errorf("the metrics are %q", kind)
	}

	bad := errors.New("reading \x1b[31m/etc/x:\nno")
	health.ready.Store(&bad)
	for _, c := range []struct {
		path, want string
		code       int
	}{
		{"/healthz", "ok\n", 200},
		{"/readyz", `reading \x1b[31m/etc/x:\x0ano` + "\n", 503},
		{"/", "404 page not found\n", 404},
		{"/metrics/", "404 page not found\n", 404},
	} {
		r := ask(t, s, "GET", c.path)
		if body := text(t, r.Body); r.StatusCode != c.code || body != c.want {
			t.Errorf("%s: %d %q", c.path, r.StatusCode, body)
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" || r.Header.Get("Cache-Control") != "no-store" || r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: headers %v", c.path, r.Header)
		}
	}
	health.live.Store(&bad)
	if r := ask(t, s, "GET", "/healthz"); r.StatusCode != 503 {
		t.Errorf("a hung program is told to be alive: %d", r.StatusCode)
	}
}

func TestServerOnlyReads(t *testing.T) {
	s, _ := server(t)
	for _, path := range []string{"/metrics", "/healthz", "/readyz"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
			if r := ask(t, s, method, path); r.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d", method, path, r.StatusCode)
			}
		}
	}
}

func TestServeRefusesOtherAddresses(t *testing.T) {
	s, _ := server(t)
	for _, addr := range []string{":9464", "0.0.0.0:0", "[::]:0", "192.0.2.1:0", "example.com:80", "[::ffff:192.0.2.1]:0", "127.0.0.1", "127.0.0.1:x", "", "127.0.0.1:99999"} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if err := s.Serve(ctx, addr); err == nil || !strings.HasPrefix(err.Error(), "listening on ") {
			t.Errorf("%q: %v", addr, err)
		}
		if ctx.Err() != nil {
			t.Errorf("%q was served", addr)
		}
		cancel()
	}
	for addr, want := range map[string]string{"localhost:1": "127.0.0.1:1", "127.9.9.9:2": "127.9.9.9:2", "[::1]:3": "[::1]:3", "[::ffff:127.0.0.1]:4": "[::ffff:127.0.0.1]:4"} {
		if got, err := loopback(addr); err != nil || got != want {
			t.Errorf("%q: %q, %v", addr, got, err)
		}
	}
}

func TestServeNamesWhoHasThePort(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s, _ := server(t)
	err = s.Serve(t.Context(), other.Addr().String())
	if err == nil {
		t.Fatal("two listen on one port")
	}
	if _, missing := os.Stat("/proc/net/tcp"); missing != nil {
		t.Skip("no /proc that tells who listens: ", missing)
	}
	if want := fmt.Sprintf("listening on %s: the port is taken by process %d (publish.test)", other.Addr(), os.Getpid()); !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if holder := portHolder(t.TempDir(), 1); holder != "" {
		t.Errorf("without /proc the holder is %q", holder)
	}
}

func TestServeEndsWithItsContext(t *testing.T) {
	s, _ := server(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, listener, "metrics", s) }()

	r, err := http.Get("http://" + listener.Addr().String() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	if body := text(t, r.Body); body != "ok\n" {
		t.Errorf("%q", body)
	}
	r.Body.Close()
	// Somebody who never finishes asking does not keep it from ending.
	slow, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	if _, err := io.WriteString(slow, "GET /metrics HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		c.Close()
		t.Error("it listens still")
	}
}

// Whoever may connect opens as many connections as he likes; some wait.
func TestServeLimitsConnections(t *testing.T) {
	s, _ := server(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, listener, "metrics", s) }()
	defer func() { cancel(); <-ended }()

	// Each connection is answered and stays open, up to the limit.
	open := make([]net.Conn, connections+1)
	for n := range open {
		if open[n], err = net.Dial("tcp", listener.Addr().String()); err != nil {
			t.Fatal(err)
		}
		defer open[n].Close()
		if _, err := io.WriteString(open[n], "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if n == connections {
			break
		}
		if r, err := http.ReadResponse(bufio.NewReader(open[n]), nil); err != nil || r.StatusCode != 200 {
			t.Fatalf("connection %d: %v", n, err)
		}
	}
	last := open[connections]
	if err := last.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := last.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("one connection too many is served: %d bytes, %v", n, err)
	}
	if err := last.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	open[0].Close()
	if r, err := http.ReadResponse(bufio.NewReader(last), nil); err != nil || r.StatusCode != 200 {
		t.Errorf("when one has ended, the next is not served: %v", err)
	}
}
