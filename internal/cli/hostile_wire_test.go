// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/testnode"
	"perennial.dev/perennial/internal/timeline"
)

// apiServer is a TLS server that shows what an API server shows a stranger.
type apiServer struct {
	serving, loopback *testnode.Pair
	chain             []*x509.Certificate // behind the leaf
	version           http.HandlerFunc
}

func newAPIServer(n *testnode.Node) apiServer {
	dns, ips := n.ServingNames()
	return apiServer{
		serving: n.Sign(n.CAs["ca"], testnode.Leaf{Name: "kube-apiserver", DNS: dns, IPs: ips, Usage: forServers}),
		loopback: n.Sign(nil, testnode.Leaf{Name: layout.LoopbackSNI + "@1", DNS: []string{layout.LoopbackSNI}, Usage: forServers,
			End: testnode.Start.Add(3 * 366 * 24 * time.Hour)}),
		version: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"major":"1","minor":"37","gitVersion":"v1.37.0"}`)
		},
	}
}

// start serves on the loopback until the test ends and returns host:port.
func (a apiServer) start(t *testing.T) string {
	t.Helper()
	// Not httptest's own TLS: it shows its certificate to whom asks for no name.
	config := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair := a.serving
		if hello.ServerName == layout.LoopbackSNI && a.loopback != nil {
			pair = a.loopback
		}
		shown := tls.Certificate{PrivateKey: pair.Key, Certificate: [][]byte{pair.Cert.Raw}}
		for _, c := range a.chain {
			shown.Certificate = append(shown.Certificate, c.Raw)
		}
		return &shown, nil
	}}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: a.version, ErrorLog: log.New(io.Discard, "", 0)}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}

// listen accepts connections and lets a function answer each.
func listen(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answer(conn)
		}
	}()
	return listener.Addr().String()
}

// says answers every connection with a text and then waits for its end.
func says(text string) func(*testing.T, *testnode.Node) string {
	return func(t *testing.T, _ *testnode.Node) string {
		return listen(t, func(c net.Conn) {
			defer c.Close()
			_, _ = io.WriteString(c, text)
			_, _ = io.Copy(io.Discard, c)
		})
	}
}

// versioned is an API server with another answer to GET /version.
func versioned(answer http.HandlerFunc) func(*testing.T, *testnode.Node) string {
	return func(t *testing.T, n *testnode.Node) string {
		api := newAPIServer(n)
		api.version = answer
		return api.start(t)
	}
}

// certified is an API server with another serving certificate.
func certified(leaf testnode.Leaf) func(*testing.T, *testnode.Node) string {
	return func(t *testing.T, n *testnode.Node) string {
		api := newAPIServer(n)
		api.serving = n.Sign(n.CAs["ca"], leaf)
		return api.start(t)
	}
}

// badEndpoint is an endpoint that stands beside a good one. Both are named
// good and bad below, since their ports are drawn.
type badEndpoint struct {
	name   string
	start  func(*testing.T, *testnode.Node) string
	want   []string
	unseen []string
	exit   int
	says   []string
	never  []string
}

func hostileEndpoints() []badEndpoint {
	now := time.Now()
	shown := []string{"bad/apiserver CertificateExpires", "bad/apiserver-loopback LoopbackExpires"}
	all := append(shown[:2:2], "bad/release SupportEnds")
	return []badEndpoint{
		{name: "accepts and says nothing", start: says(""), unseen: []string{"Timeout bad"}, exit: 12},
		{name: "plain HTTP", start: func(t *testing.T, _ *testnode.Node) string {
			server := httptest.NewServer(http.NotFoundHandler())
			t.Cleanup(server.Close)
			return server.Listener.Addr().String()
		}, unseen: []string{"NotTLS bad"}, exit: 12, says: []string{"plain HTTP"}},
		{name: "an SSH server", start: says("SSH-2.0-OpenSSH_9.9\r\n"), unseen: []string{"NotTLS bad"}, exit: 12},
		{name: "garbage with escape codes", start: says(strings.Repeat(injection, 100)), unseen: []string{"NotTLS bad"}, exit: 12, never: injected},
		{name: "a TLS record that never ends", start: says("\x16\x03\x03\x40\x00" + strings.Repeat("\x00", 100)), unseen: []string{"Timeout bad"}, exit: 12},
		{name: "closes at once", start: func(t *testing.T, _ *testnode.Node) string {
			return listen(t, func(c net.Conn) { c.Close() })
		}, unseen: []string{"Unreachable bad"}, exit: 12},
		{name: "refuses", start: func(t *testing.T, _ *testnode.Node) string {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			return listener.Addr().String()
		}, unseen: []string{"Unreachable bad"}, exit: 12, says: []string{"connection refused"}},
		{name: "a chain of 200", start: func(t *testing.T, n *testnode.Node) string {
			api := newAPIServer(n)
			api.chain = many(n, 200)
			return api.start(t)
		}, want: all},
		{name: "no loopback certificate", start: func(t *testing.T, n *testnode.Node) string {
			api := newAPIServer(n)
			api.loopback = nil
			return api.start(t)
		}, want: []string{shown[0], all[2]}, unseen: []string{"Unsupported the loopback certificate of bad"}, exit: 12},
		{name: "an expired certificate", start: certified(testnode.Leaf{Name: "kube-apiserver", Start: now.AddDate(-2, 0, 0), End: now.AddDate(-1, 0, 0)}), want: all, exit: 11},
		{name: "escape codes in the served names", start: certified(testnode.Leaf{Name: injection, Organization: injection}), want: all, never: injected},
		{name: "a version with escape codes", start: versioned(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"gitVersion":"v1.37.0+\u001b[31m\u202e"}`)
		}), want: shown, never: injected},
		{name: "a version that is no version", start: versioned(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `{"gitVersion":"\u001b[31mlatest"}`)
		}), want: shown, never: injected},
		{name: "a version that never ends", start: versioned(func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := io.WriteString(w, strings.Repeat(" ", 4096)); err != nil {
					return
				}
			}
		}), want: shown, unseen: []string{"TooLarge bad"}, exit: 12},
		{name: "no word on the version", start: versioned(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
			want: shown, unseen: []string{"Timeout bad"}, exit: 12},
		{name: "a version that needs credentials", start: versioned(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }),
			want: shown, unseen: []string{"Denied bad"}, exit: 12},
		{name: "a redirect", start: versioned(func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/\x1b[31m", http.StatusFound)
		}), want: shown, unseen: []string{"Failed bad"}, exit: 12},
	}
}

func TestHostileEndpoints(t *testing.T) {
	for _, b := range hostileEndpoints() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			n := testnode.New(t, testnode.Options{})
			good, evil := newAPIServer(n).start(t), b.start(t, n)
			names := strings.NewReplacer(good, "good", evil, "bad")
			seen, outputs, exit := look(t, "--endpoint", good, "--endpoint", evil, "--timeout", "5s") // what is healthy must answer on a busy machine, too
			b.compare(t, seen, exit, names)
			bad{says: b.says, never: b.never}.clean(t, outputs, secretsBelow(t, n.Root))
		})
	}
}

func (b badEndpoint) compare(t *testing.T, seen timeline.Timeline, exit int, names *strings.Replacer) {
	t.Helper()
	items, unseen := summary(seen)
	want := append([]string{"good/apiserver CertificateExpires", "good/apiserver-loopback LoopbackExpires", "good/release SupportEnds"}, b.want...)
	if got := names.Replace(strings.Join(items, "\n")); len(minus(strings.Split(got, "\n"), want))+len(minus(want, strings.Split(got, "\n"))) > 0 {
		t.Errorf("items\n got %s\nwant %s", got, strings.Join(want, "\n"))
	}
	if got := names.Replace(strings.Join(unseen, "\n")); got != strings.Join(b.unseen, "\n") {
		t.Errorf("unseen\n got %s\nwant %s", got, strings.Join(b.unseen, "\n"))
	}
	if exit != b.exit {
		t.Errorf("exit code %d, want %d: %s", exit, b.exit, seen.Headline)
	}
}
