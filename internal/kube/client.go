// SPDX-License-Identifier: Apache-2.0

// Package kube asks one API server, at one address, as an administrator: whom
// the service kubernetes leads to, what is open on the server and how busy it
// is, what stands in for kube-proxy. It keeps that service from becoming empty
// while the server is replaced, which is the one thing that it changes.
//
// It uses the REST client of client-go for its connections, its credentials and
// its retries, and reads the few fields that matter into structs of its own:
// docs/decisions/0008-client-go-rest.md has the reasons.
package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"perennial.dev/perennial/internal/fact"
)

// ServerName is what the certificate of the API server has to be for, whatever
// the address: kubeadm puts it into every one (cmd/kubeadm/app/util/pkiutil
// GetAPIServerAltNames), while 127.0.0.1 is in none.
const ServerName = "kubernetes"

// What goes wrong in ways that the caller may want to tell apart.
var (
	// ErrForbidden: the server knows the credential, or does not, and refuses.
	ErrForbidden = errors.New("the credential does not have the right")
	// ErrNoEndpoints: there is no address behind the service kubernetes.
	ErrNoEndpoints = errors.New("the service kubernetes has no ready address")
)

// Limits of one question.
const (
	dialTime = 3 * time.Second
	callTime = 10 * time.Second // with all its retries
)

// Client asks the API server at one address. It keeps its connection, and with
// it the process that it asked first, also after new connections to the address
// have been steered to another one: to ask who answers now, open a new Client.
type Client struct {
	server string
	rest   *rest.RESTClient
	http   *http.Client
}

// quiet keeps client-go from writing to standard error: what goes wrong is in the
// errors that it returns.
var quiet = sync.OnceFunc(func() {
	klog.LogToStderr(false)
	klog.SetOutput(io.Discard)
})

// Open makes a client for the server at host:port, from a kubeconfig. Nothing is
// asked yet. The version is the program's own, for the User-Agent; it may be
// empty.
func Open(server string, k Kubeconfig, version string) (*Client, error) {
	quiet()
	if _, _, err := net.SplitHostPort(server); err != nil {
		return nil, fmt.Errorf("asking an API server: %q is not an address with a port", server)
	}
	tls, err := k.credentials()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", k.Path, err)
	}
	tls.ServerName = ServerName
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	config := &rest.Config{
		Host: "https://" + server, TLSClientConfig: tls, UserAgent: strings.TrimSuffix("perennial/"+version, "/"),
		ContentConfig: rest.ContentConfig{NegotiatedSerializer: serializer.NewCodecFactory(scheme).WithoutConversion()},
		// The environment's proxy would lead to another server than this one.
		Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
		Dial:  (&net.Dialer{Timeout: dialTime}).DialContext,
		QPS:   -1, // the server's own priority and fairness says when it is too much
		// They go to standard error, past the caller.
		WarningHandler: rest.NoWarnings{},
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", k.Path, told{err})
	}
	asks, err := rest.UnversionedRESTClientForConfigAndClient(config, client)
	if err != nil {
		return nil, fmt.Errorf("asking the API server at %s: %w", server, err)
	}
	return &Client{server: server, rest: asks, http: client}, nil
}

// OpenFile is Open with the kubeconfig at a path.
func OpenFile(server, path string, read func(path string) ([]byte, error), version string) (*Client, error) {
	data, err := read(path)
	if err != nil {
		return nil, err
	}
	return Open(server, Kubeconfig{Path: path, Data: data, ReadFile: read}, version)
}

// Close ends the connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Version asks for the version.
func (c *Client) Version(ctx context.Context) (fact.Version, error) {
	var answer struct {
		Git    fact.Text `json:"gitVersion"`
		EMajor fact.Text `json:"emulationMajor"` // KEP-4330
		EMinor fact.Text `json:"emulationMinor"`
	}
	if err := c.get(ctx, "for its version", &answer, "/version"); err != nil {
		return fact.Version{}, err
	}
	version := fact.Version{Endpoint: c.server, Git: answer.Git}
	if answer.EMajor != "" && answer.EMinor != "" {
		version.Emulated = answer.EMajor + "." + answer.EMinor
	}
	return version, nil
}

// request is one question; about completes "asking the API server at X".
type request struct {
	about  string
	verb   string
	path   []string
	query  map[string]string
	header map[string]string
	body   []byte
}

func (c *Client) get(ctx context.Context, about string, answer any, path ...string) error {
	return c.do(ctx, request{about: about, verb: http.MethodGet, path: path}, answer)
}

// do asks and reads the answer into a struct, or into nothing. client-go repeats
// what the server was too busy for, and reads whose connection broke, until the
// time is up.
func (c *Client) do(ctx context.Context, r request, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	result := c.build(r).Do(ctx)
	if err := result.Error(); err != nil { // that of Raw has not read the server's reason
		return c.failed(ctx, r.about, err)
	}
	if answer == nil {
		return nil
	}
	body, err := result.Raw()
	if err != nil {
		return c.failed(ctx, r.about, err)
	}
	if err := json.Unmarshal(body, answer); err != nil {
		return c.failed(ctx, r.about, errors.New("its answer is not the JSON that was asked for"))
	}
	return nil
}

func (c *Client) build(r request) *rest.Request {
	asked := c.rest.Verb(r.verb).AbsPath(r.path...).SetHeader("Accept", "application/json")
	for name, value := range r.query {
		asked.Param(name, value)
	}
	if r.body != nil {
		asked.Body(r.body)
	}
	for name, value := range r.header {
		asked.SetHeader(name, value)
	}
	return asked
}

// failed says what was asked of whom, and keeps the kind of the failure.
func (c *Client) failed(ctx context.Context, about string, err error) error {
	doing := fmt.Sprintf("asking the API server at %s %s", c.server, about)
	switch {
	case apierrors.IsForbidden(err) && !admissionSays(err) || apierrors.IsUnauthorized(err):
		return fmt.Errorf("%s: %w: %w", doing, ErrForbidden, told{err})
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s: no answer in time: %w", doing, told{err})
	}
	return fmt.Errorf("%s: %w", doing, told{err})
}

// told is an error that may quote the server, printed as what others wrote is.
type told struct{ err error }

func (t told) Error() string { return fact.Text(t.err.Error()).String() }
func (t told) Unwrap() error { return t.err }
