// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/wire"
)

// ample is a time-out that no test means to reach.
const ample = 20 * time.Second

// brief is one that a test means to reach.
const brief = 200 * time.Millisecond

func TestHandshakeSeesTheChain(t *testing.T) {
	pair := issue(t, "server")
	for name, config := range map[string]*tls.Config{
		"TLS 1.3": {MinVersion: tls.VersionTLS13},
		"TLS 1.2": {MaxVersion: tls.VersionTLS12},
		"TLS 1.0": {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10},
	} {
		config.Certificates = []tls.Certificate{pair}
		for _, auth := range []tls.ClientAuthType{tls.NoClientCert, tls.RequestClientCert, tls.RequireAndVerifyClientCert} {
			config := config.Clone()
			config.ClientAuth = auth
			endpoint := tlsServer(t, config)
			served, err := wire.Handshake(t.Context(), endpoint, "", ample)
			if err != nil {
				t.Errorf("%s, %v: %v", name, auth, err)
				continue
			}
			if served.Protocol != name || served.Endpoint != endpoint || served.SNI != "" || served.At.IsZero() {
				t.Errorf("%s, %v: %+v", name, auth, served)
			}
			if len(served.Certs) != 2 || !bytes.Equal(served.Certs[0].Raw, pair.Certificate[0]) || !bytes.Equal(served.Certs[1].Raw, pair.Certificate[1]) {
				t.Errorf("%s, %v: not the chain that was sent", name, auth)
			}
		}
	}
}

func TestHandshakeAsksForTheName(t *testing.T) {
	asked := make(chan string, 1)
	pair := issue(t, "server")
	endpoint := tlsServer(t, &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		asked <- hello.ServerName
		return &pair, nil
	}})
	_, port, _ := net.SplitHostPort(endpoint)
	for _, c := range []struct{ endpoint, sni, want string }{
		{endpoint, "", ""},
		{endpoint, loopbackSNI, loopbackSNI},
		{net.JoinHostPort("localhost", port), "", "localhost"},
		{net.JoinHostPort("localhost", port), loopbackSNI, loopbackSNI},
	} {
		served, err := wire.Handshake(t.Context(), c.endpoint, c.sni, ample)
		if err != nil {
			t.Fatal(err)
		}
		if got := <-asked; got != c.want || string(served.SNI) != c.sni {
			t.Errorf("%+v: asked for %q", c, got)
		}
	}
}

func TestHandshakeSendsNoCredentials(t *testing.T) {
	sent := make(chan int, 1)
	pair := issue(t, "server")
	endpoint := tlsServer(t, &tls.Config{
		Certificates:     []tls.Certificate{pair},
		ClientAuth:       tls.RequestClientCert,
		VerifyConnection: func(s tls.ConnectionState) error { sent <- len(s.PeerCertificates); return nil },
	})
	if _, err := wire.Handshake(t.Context(), endpoint, "", ample); err != nil {
		t.Fatal(err)
	}
	if n := <-sent; n != 0 {
		t.Errorf("%d certificates", n)
	}
}

func TestHandshakeOverIPv6(t *testing.T) {
	pair := issue(t, "server")
	l := listen(t, "[::1]:0")
	endpoint := serve(t, l, func(c net.Conn) {
		_ = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{pair}}).Handshake()
	})
	if served, err := wire.Handshake(t.Context(), endpoint, "", ample); err != nil || served.Endpoint != endpoint {
		t.Errorf("%+v, %v", served, err)
	}
}

// A server that shows a certificate whose key it does not hold proves nothing.
func TestHandshakeWantsProofOfTheKey(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		pair := issue(t, "server")
		other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		pair.PrivateKey = other
		endpoint := tlsServer(t, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: version, MaxVersion: version})
		if _, err := wire.Handshake(t.Context(), endpoint, "", ample); wire.Why(err) != fact.Malformed {
			t.Errorf("%s: %v (%s)", tls.VersionName(version), err, wire.Why(err))
		}
	}
}

func TestHandshakeCutsALongChain(t *testing.T) {
	pair := issue(t, "server")
	for range 300 {
		pair.Certificate = append(pair.Certificate, pair.Certificate[1])
	}
	served, err := wire.Handshake(t.Context(), tlsServer(t, &tls.Config{Certificates: []tls.Certificate{pair}}), "", ample)
	if err != nil || len(served.Certs) != wire.ChainLimit {
		t.Errorf("%d certificates, %v", len(served.Certs), err)
	}
	for range 3000 {
		pair.Certificate = append(pair.Certificate, pair.Certificate[1])
	}
	served, err = wire.Handshake(t.Context(), tlsServer(t, &tls.Config{Certificates: []tls.Certificate{pair}}), "", ample)
	if err == nil {
		t.Errorf("%d certificates of a megabyte", len(served.Certs))
	}
}

func TestHandshakeFails(t *testing.T) {
	server := func(handle func(net.Conn)) string { return serve(t, listen(t, "127.0.0.1:0"), handle) }
	silent := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	broken := issue(t, "server")
	broken.Certificate = [][]byte{[]byte("no certificate")}
	for name, c := range map[string]struct {
		endpoint string
		why      fact.Why
		says     string
	}{
		"refused":    {refused(t), fact.Unreachable, "connection refused"},
		"silent":     {server(silent), fact.Timeout, "no answer in time"},
		"closing":    {server(func(net.Conn) {}), fact.Unreachable, ""},
		"reset":      {server(func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }), fact.Unreachable, "connection reset"},
		"plain HTTP": {plainHTTP(t), fact.NotTLS, "plain HTTP"},
		"banner":     {server(func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.6\r\n"); silent(c) }), fact.NotTLS, "does not speak TLS"},
		"garbage":    {server(func(c net.Conn) { c.Write(bytes.Repeat([]byte{0xff}, 1<<16)); silent(c) }), fact.NotTLS, "does not speak TLS"},
		"half a hello": {server(func(c net.Conn) {
			readHello(c)
			c.Write([]byte{0x16, 3, 3, 0, 100, 2, 0})
		}), fact.Unreachable, "closed the connection"},
		"bad hello": {server(func(c net.Conn) {
			readHello(c)
			c.Write(append([]byte{0x16, 3, 3, 0, 8, 2, 0, 0, 4}, "evil"...))
			silent(c)
		}), fact.Malformed, ""},
		"alert":        {tlsServer(t, &tls.Config{}), fact.Failed, "refused the handshake"},
		"no such cert": {tlsServer(t, &tls.Config{Certificates: []tls.Certificate{broken}}), fact.Malformed, "parse certificate"},
		"no such name": {"name.invalid:6443", fact.Unreachable, "looking up the name"},
		"no port":      {"127.0.0.1", fact.Malformed, "missing port"},
		"no such port": {"127.0.0.1:99999", fact.Malformed, "invalid port"},
		"empty":        {"", fact.Unreachable, "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			timeout := ample
			if c.why == fact.Timeout {
				timeout = brief
			}
			served, err := wire.Handshake(t.Context(), c.endpoint, "", timeout)
			if err == nil {
				t.Fatalf("%+v", served)
			}
			if wire.Why(err) != c.why || !strings.Contains(wire.Cause(err).String(), c.says) {
				t.Errorf("%v (%s)", err, wire.Why(err))
			}
			if want := "connecting to " + c.endpoint + ": "; !strings.HasPrefix(err.Error(), want) || strings.Contains(string(wire.Cause(err)), c.endpoint) && c.endpoint != "" {
				t.Errorf("%v", err)
			}
		})
	}
}

func readHello(c net.Conn) { _, _ = c.Read(make([]byte, 4096)) }

func plainHTTP(t *testing.T) string {
	l := listen(t, "127.0.0.1:0")
	server := &http.Server{Handler: http.NotFoundHandler()}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close(); <-done })
	return l.Addr().String()
}

func TestHandshakeIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	endpoint := serve(t, listen(t, "127.0.0.1:0"), func(c net.Conn) {
		readHello(c)
		cancel()
		_, _ = io.Copy(io.Discard, c)
	})
	if _, err := wire.Handshake(ctx, endpoint, "", ample); wire.Why(err) != fact.Canceled {
		t.Error(err)
	}
}
