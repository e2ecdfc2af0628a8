// SPDX-License-Identifier: Apache-2.0

// Package wire looks at what ports serve, as a client without credentials.
//
// It verifies nothing: the certificate that a client would refuse is exactly
// the one to be seen, and what is read here is judged elsewhere. It sends
// nothing either that it would not send to a stranger: no client certificate,
// no token, and no request but GET /version.
package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// ChainLimit is the number of certificates of a chain that are kept. A longer
// one is cut; crypto/tls bounds its bytes at 256 KiB before.
const ChainLimit = 32

// Handshake connects to endpoint (host:port) and returns the chain that the
// server presents to a client that asks for sni. With an empty sni the host is
// asked for where it is a name, as any client does, and nothing where it is an
// address. All of it takes at most timeout.
//
// A server that wants a client certificate ends the handshake after it has
// shown its own; that is still a chain seen.
func Handshake(ctx context.Context, endpoint, sni string, timeout time.Duration) (fact.Served, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	served, err := handshake(ctx, endpoint, sni)
	if err != nil {
		return fact.Served{}, &Error{Doing: "connecting to", Endpoint: endpoint, Err: err}
	}
	return served, nil
}

func handshake(ctx context.Context, endpoint, sni string) (fact.Served, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", endpoint)
	if err != nil {
		return fact.Served{}, err
	}
	defer raw.Close()
	var seen *tls.ConnectionState
	config := config(endpoint, sni)
	config.VerifyConnection = func(state tls.ConnectionState) error {
		seen = &state
		return nil
	}
	err = tls.Client(raw, config).HandshakeContext(ctx)
	switch {
	case seen == nil && err == nil:
		return fact.Served{}, errNoChain
	case seen == nil, err != nil && !endedByServer(err):
		return fact.Served{}, err
	}
	return fact.Served{
		Endpoint: endpoint,
		SNI:      fact.Text(sni),
		Certs:    chain(seen.PeerCertificates),
		Protocol: tls.VersionName(seen.Version),
		At:       time.Now().UTC(),
	}, nil
}

var errNoChain = errors.New("the server presented no certificate")

// endedByServer tells the server's refusal of a client without a certificate
// from a failure of its own proof, such as a signature by another key. Only
// the first leaves the chain worth believing.
func endedByServer(err error) bool {
	var op *net.OpError // crypto/tls makes one of an alert, too
	if errors.As(err, &op) {
		return op.Op != "local error" // an alert that this side sent
	}
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, context.DeadlineExceeded)
}

func chain(certs []*x509.Certificate) []fact.Cert {
	out := make([]fact.Cert, 0, min(len(certs), ChainLimit))
	for _, c := range certs[:cap(out)] {
		out = append(out, fact.Cert{Certificate: c})
	}
	return out
}

// config accepts every certificate and every protocol and cipher that Go has,
// since what is old or broken is what has to be seen.
func config(endpoint, sni string) *tls.Config {
	name := sni
	if name == "" {
		name, _, _ = net.SplitHostPort(endpoint) // crypto/tls sends no name for an address
	}
	return &tls.Config{
		InsecureSkipVerify: true,
		ServerName:         name,
		MinVersion:         tls.VersionTLS10,
		CipherSuites:       everySuite(),
		// Without the post-quantum exchange the greeting fits one packet,
		// which old middleboxes insist on. Nothing secret is exchanged.
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521},
	}
}

func everySuite() []uint16 {
	var ids []uint16
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		ids = append(ids, s.ID)
	}
	return ids
}

// Error is what went wrong at which endpoint.
type Error struct {
	Doing    string
	Endpoint string
	Err      error
}

func (e *Error) Error() string { return fmt.Sprintf("%s %s: %s", e.Doing, e.Endpoint, Cause(e.Err)) }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }
