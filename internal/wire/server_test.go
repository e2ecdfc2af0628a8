// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// loopbackSNI is the server name of kube-apiserver's loopback certificate.
const loopbackSNI = "apiserver-loopback-client"

var serial atomic.Int64

// issue makes a leaf and the CA that signed it, as a server would hold them.
func issue(t *testing.T, names ...string) tls.Certificate {
	t.Helper()
	caKey, caDER := sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "ca"}, IsCA: true, BasicConstraintsValid: true,
	}, nil, nil)
	ca, err := x509.ParseCertificate(caDER)
	if err != nil {
		t.Fatal(err)
	}
	key, der := sign(t, &x509.Certificate{Subject: pkix.Name{CommonName: names[0]}, DNSNames: names}, ca, caKey)
	return tls.Certificate{Certificate: [][]byte{der, caDER}, PrivateKey: key}
}

func sign(t *testing.T, template, parent *x509.Certificate, signer crypto.Signer) (crypto.Signer, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if parent == nil {
		parent, signer = template, key
	}
	n := serial.Add(1)
	template.SerialNumber = big.NewInt(n)
	template.NotBefore = time.Date(2020, 1, 1, 0, 0, int(n), 0, time.UTC)
	template.NotAfter = template.NotBefore.AddDate(1, 0, 0) // long over: it has to be seen nevertheless
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("listening on %s: %v", address, err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// serve accepts until the listener is closed, and waits for what it started.
func serve(t *testing.T, l net.Listener, handle func(net.Conn)) string {
	t.Helper()
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer c.Close()
				handle(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		group.Wait()
	})
	return l.Addr().String()
}

// tlsServer shakes hands and waits for the client to go.
func tlsServer(t *testing.T, config *tls.Config) string {
	return serve(t, listen(t, "127.0.0.1:0"), func(c net.Conn) {
		s := tls.Server(c, config)
		if s.Handshake() == nil {
			_, _ = io.Copy(io.Discard, s)
		}
	})
}

// apiServer serves like kube-apiserver: its own certificate for its loopback
// name, another one for every other name, and an HTTP handler.
func apiServer(t *testing.T, serving tls.Certificate, handler http.HandlerFunc) string {
	t.Helper()
	loopback := issue(t, loopbackSNI)
	config := &tls.Config{
		Certificates: []tls.Certificate{serving},
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName == loopbackSNI {
				return &loopback, nil
			}
			return &serving, nil
		},
	}
	server := &http.Server{Handler: handler}
	l := listen(t, "127.0.0.1:0")
	var group sync.WaitGroup
	group.Go(func() { _ = server.Serve(tls.NewListener(l, config)) })
	t.Cleanup(func() {
		server.Close()
		group.Wait()
	})
	return l.Addr().String()
}

// balance forwards each connection to the next of the backends in turn.
func balance(t *testing.T, backends ...string) string {
	var turn atomic.Int64
	return serve(t, listen(t, "127.0.0.1:0"), func(c net.Conn) {
		backend := backends[int(turn.Add(1))%len(backends)]
		b, err := net.Dial("tcp", backend)
		if err != nil {
			return
		}
		defer b.Close()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = io.Copy(b, c)
			b.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.Copy(c, b)
		c.Close()
		<-done
	})
}

// refused is an endpoint on which nobody listens.
func refused(t *testing.T) string {
	l := listen(t, "127.0.0.1:0")
	l.Close()
	return l.Addr().String()
}
