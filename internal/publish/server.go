// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"perennial.dev/perennial/internal/fact"
)

// Health is asked by whoever watches the process. Both are asked at once by
// several goroutines and must answer without waiting.
type Health interface {
	Live() error  // an error: the process does nothing any more and should be started again
	Ready() error // an error: what is told is not what is
}

// Limits of the server. Whoever is on the machine may connect, and must not be
// able to make the program large.
const (
	connections    = 16
	requestHeaders = 8 << 10 // bytes
	headersTimeout = 5 * time.Second
	requestTimeout = 10 * time.Second
	answerTimeout  = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	endTimeout     = 3 * time.Second
)

// Server answers /metrics in Prometheus' text format, and /healthz and /readyz
// with 200 or, with the cause in a line of text, 503. It is an http.Handler.
type Server struct{ mux *http.ServeMux }

// NewServer serves metrics, with those of the process and the Go runtime, and how
// the program is.
func NewServer(m *Metrics, health Health) (*Server, error) {
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{})} {
		if err := registry.Register(c); err != nil {
			return nil, fmt.Errorf("registering the metrics: %w", err)
		}
	}
	s := &Server{mux: http.NewServeMux()}
	// On a loopback address compressing costs memory and saves nothing.
	s.mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true, MaxRequestsInFlight: 4}))
	s.mux.Handle("GET /healthz", answer(health.Live))
	s.mux.Handle("GET /readyz", answer(health.Ready))
	return s, nil
}

// answer is what a check found.
func answer(check func() error) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if err := check(); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = fmt.Fprintln(w, fact.Text(err.Error())) // whoever asked has gone
			return
		}
		_, _ = io.WriteString(w, "ok\n")
	}
}

// ServeHTTP implements http.Handler. No answer is kept, guessed at or shown
// inside of another page.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	s.mux.ServeHTTP(w, r)
}

// Serve serves on a loopback address (host:port, the host an address or
// "localhost") until the context ends, and then returns nil. It returns at once,
// with the reason, where it cannot listen there.
func (s *Server) Serve(ctx context.Context, addr string) error {
	listener, err := Listen(ctx, addr)
	if err != nil {
		return err
	}
	return Serve(ctx, listener, "metrics", s)
}

// Listen listens on a loopback address (host:port, the host an address or
// "localhost"), or says why it cannot.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	listener, err := listen(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", fact.Text(addr), err)
	}
	return listener, nil
}

// Serve lets a handler answer, within the limits for whoever is on the machine,
// until the context ends, and then returns nil.
func Serve(ctx context.Context, listener net.Listener, what string, h http.Handler) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headersTimeout, ReadTimeout: requestTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: requestHeaders,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(netutil.LimitListener(listener, connections)) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving %s on %s: %w", what, listener.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	if server.Shutdown(grace) != nil {
		_ = server.Close() // who still asks is cut off
	}
	<-ended
	return nil
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	addr, err := loopback(addr)
	if err != nil {
		return nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, taken(addr)
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return nil, op.Err // it repeats the address
	}
	return listener, err
}

// loopback is an address to listen on, by number: a name may stand for any.
func loopback(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("want a form like 127.0.0.1:9464: %w", err)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsLoopback() {
		return "", errors.New("it is no loopback address such as 127.0.0.1 or [::1]; for readers elsewhere put a proxy in front that asks who they are, or write a textfile")
	}
	return net.JoinHostPort(ip.String(), port), nil
}

// taken says by whom a port is taken, where that can be told.
func taken(addr string) error {
	at, err := netip.ParseAddrPort(addr)
	if holder := portHolder("/proc", at.Port()); err == nil && holder != "" {
		return fmt.Errorf("the port is taken by %s; end that, or set another one", holder)
	}
	return errors.New("the port is taken; `ss -ltnp` as root tells by whom")
}
