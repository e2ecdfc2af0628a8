// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openNetwork opens a network namespace by its name, until the test ends.
func openNetwork(t *testing.T, name string) *os.File {
	t.Helper()
	file, err := os.Open("/run/netns/" + name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return file
}

// dialFrom connects from another network namespace. A socket stays in the one
// where it was made, so the thread is back before the connection is there: only
// the making is done elsewhere, and no thread waits in another network.
func dialFrom(t *testing.T, netns string) dialFunc {
	t.Helper()
	there := openNetwork(t, netns)
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { here.Close() })
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		runtime.LockOSThread()
		back := sync.OnceFunc(func() {
			if err := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); err != nil {
				panic(fmt.Sprintf("a thread is lost in the network of %s: %v", netns, err))
			}
			runtime.UnlockOSThread()
		})
		defer back()
		if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
			return nil, fmt.Errorf("entering the network of %s: %w", netns, err)
		}
		dialer := net.Dialer{Timeout: probeTimeout, Control: func(string, string, syscall.RawConn) error { back(); return nil }}
		return dialer.DialContext(ctx, network, address)
	}
}

// from is the client somewhere else, asking the server at another address.
func (c apiClient) from(dial dialFunc, address string) apiClient {
	c.dial, c.server = dial, "https://"+address
	return c
}

// addressIPv6 is where the node's API server is reached over IPv6: it listens on
// all addresses, of both families.
func (n *realNode) addressIPv6() string {
	n.t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(n.Endpoint, "https://"))
	if err != nil {
		n.t.Fatal(err)
	}
	for _, word := range strings.Fields(n.run("ip", "-6", "-oneline", "address", "show", "dev", "eth0", "scope", "global")) {
		if prefix, err := netip.ParsePrefix(word); err == nil {
			return net.JoinHostPort(prefix.Addr().String(), port)
		}
	}
	n.t.Fatal("the node has no address of IPv6")
	return ""
}

// loopbackCertificate is the one that a server made for itself at its start:
// it tells which process answers, and needs no credentials. It is no probe, and
// is asked for until there is an answer.
func loopbackCertificate(t *testing.T, dial dialFunc, address string) *x509.Certificate {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		certificate, err := handshakeLoopback(t.Context(), dial, address)
		if err == nil {
			return certificate
		}
		if time.Now().After(deadline) {
			t.Fatalf("looking for the loopback certificate on %s: %v", address, err)
		}
	}
}

func handshakeLoopback(ctx context.Context, dial dialFunc, address string) (*x509.Certificate, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	conn, err := dial(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	server := tls.Client(conn, &tls.Config{ServerName: "apiserver-loopback-client", InsecureSkipVerify: true})
	if err := server.HandshakeContext(ctx); err != nil {
		return nil, err
	}
	return server.ConnectionState().PeerCertificates[0], nil
}
