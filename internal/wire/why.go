// SPDX-License-Identifier: Apache-2.0

package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"perennial.dev/perennial/internal/fact"
)

// Why is the class of cause of an error of this package.
func Why(err error) fact.Why {
	class, _ := classify(err)
	return class
}

// Cause says in words why a look failed, without the endpoint.
func Cause(err error) fact.Text {
	_, words := classify(err)
	return fact.Text(words)
}

func classify(err error) (fact.Why, string) {
	var known *answerError
	var record tls.RecordHeaderError
	var netErr net.Error
	var op *net.OpError
	var dns *net.DNSError
	var address *net.AddrError
	isOp := errors.As(err, &op)
	switch {
	case errors.As(err, &known):
		return known.why, known.words
	case errors.Is(err, context.Canceled):
		return fact.Canceled, "the look was ended before"
	case errors.As(err, &record):
		return notTLS(string(record.RecordHeader[:]) == "HTTP/")
	case errors.Is(err, http.ErrSchemeMismatch): // what net/http makes of the same
		return notTLS(true)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netErr) && netErr.Timeout():
		return fact.Timeout, "no answer in time"
	case errors.As(err, &address):
		return fact.Malformed, "the endpoint is not of the form host:port: " + address.Err
	case errors.As(err, &dns):
		return fact.Unreachable, "looking up the name: " + dns.Err
	case errors.Is(err, syscall.ECONNREFUSED):
		return fact.Unreachable, "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fact.Unreachable, "connection reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fact.Unreachable, "the server closed the connection without an answer"
	case isOp && op.Op == "remote error":
		return fact.Failed, "the server refused the handshake: " + strings.TrimPrefix(op.Err.Error(), "tls: ")
	case isOp && op.Op == "local error": // an alert that this side sent
		return fact.Malformed, text(op.Err)
	case isOp && op.Op == "dial":
		return fact.Unreachable, op.Err.Error()
	case strings.HasPrefix(text(err), "tls: "), strings.HasPrefix(text(err), "x509: "):
		return fact.Malformed, text(err)
	}
	return fact.Failed, text(err)
}

func notTLS(http bool) (fact.Why, string) {
	if http {
		return fact.NotTLS, "the port speaks plain HTTP"
	}
	return fact.NotTLS, "the port does not speak TLS"
}

// text is the error's own text, without the endpoint that Error puts before.
func text(err error) string {
	var own *Error
	for errors.As(err, &own) {
		err = own.Err
	}
	return err.Error()
}

// answerError is an answer that is none of the expected, with its class.
type answerError struct {
	why   fact.Why
	words string
}

func (e *answerError) Error() string { return e.words }
