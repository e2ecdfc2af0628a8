// SPDX-License-Identifier: Apache-2.0

// Package etcd asks etcd who its members are and how they are, takes a snapshot,
// and keeps an API server's address where it would be removed, with a client
// certificate of the node.
//
// It speaks the JSON gateway that every etcd since 3.4 has in front of its gRPC
// services, on the same port (--enable-grpc-gateway, on by default;
// server/etcdserver/api/v3rpc and server/embed/serve.go of etcd 3.5 to 3.7).
// etcd's own client would bring gRPC, protobuf and a logger into the program
// for a few calls. One question old gateways do not pass on; it is asked in gRPC
// then (hashkv.go).
package etcd

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Client asks one member.
type Client struct {
	endpoint string
	http     *http.Client
}

// New asks the member at host:port, with a client certificate and key in PEM
// and the CA that its certificate has to come from.
func New(endpoint string, certPEM, keyPEM, caPEM []byte) (*Client, error) {
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("reading the client certificate for etcd: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(caPEM) {
		return nil, errors.New("reading etcd's CA: there is no certificate in it")
	}
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 3 * time.Second, ResponseHeaderTimeout: 5 * time.Second, Proxy: nil,
	}
	return &Client{endpoint: endpoint, http: &http.Client{Transport: transport}}, nil
}

// At asks another member with the same credentials.
func (c *Client) At(endpoint string) *Client { return &Client{endpoint: endpoint, http: c.http} }

// Member is a member as the cluster knows it.
type Member struct {
	ID         uint64   `json:"ID,string"`
	Name       string   `json:"name"`
	ClientURLs []string `json:"clientURLs"`
	Learner    bool     `json:"isLearner"` // has no vote
}

// Members lists the members that this one knows, without asking the others.
func (c *Client) Members(ctx context.Context) ([]Member, error) {
	var answer struct {
		Members []Member `json:"members"`
	}
	if err := c.call(ctx, "/v3/cluster/member/list", map[string]bool{"linearizable": false}, &answer); err != nil {
		return nil, err
	}
	if len(answer.Members) == 0 {
		return nil, fmt.Errorf("asking etcd at %s for its members: it names none", c.endpoint)
	}
	return answer.Members, nil
}

// Healthy says whether the member answers and has a leader.
func (c *Client) Healthy(ctx context.Context) error {
	var answer struct {
		Leader uint64   `json:"leader,string"`
		Errors []string `json:"errors"`
	}
	if err := c.call(ctx, "/v3/maintenance/status", struct{}{}, &answer); err != nil {
		return err
	}
	switch {
	case answer.Leader == 0:
		return fmt.Errorf("asking etcd at %s for its health: it has no leader", c.endpoint)
	case len(answer.Errors) > 0:
		return fmt.Errorf("asking etcd at %s for its health: it reports %q", c.endpoint, answer.Errors[0])
	}
	return nil
}

const (
	callTime    = 5 * time.Second
	answerLimit = 1 << 20
)

func (c *Client) call(ctx context.Context, path string, request, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	body, err := c.post(ctx, path, request)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := json.NewDecoder(io.LimitReader(body, answerLimit)).Decode(answer); err != nil {
		return fmt.Errorf("asking etcd at %s: reading its answer: %w", c.endpoint, err)
	}
	return nil
}

func (c *Client) post(ctx context.Context, path string, request any) (io.ReadCloser, error) {
	text, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+c.endpoint+path, bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("asking etcd at %s: %w", c.endpoint, err)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("asking etcd at %s: %w", c.endpoint, err)
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		err := fmt.Errorf("asking etcd at %s: it answers %s (%s)", c.endpoint, answer.Status, reason(answer.Body))
		if answer.StatusCode == http.StatusNotFound {
			err = fmt.Errorf("%w%w", err, errNoPath)
		}
		return nil, err
	}
	return answer.Body, nil
}

// errNoPath marks what the gateway does not know; its text is that of the rest.
var errNoPath = errors.New("")

// reason is what the gateway says of a call that failed. Without one it was not
// the gateway that answered.
func reason(body io.Reader) fact.Text {
	var said struct {
		Message fact.Text `json:"message"`
	}
	if err := json.NewDecoder(io.LimitReader(body, answerLimit)).Decode(&said); err != nil || said.Message == "" {
		return "is --enable-grpc-gateway off?"
	}
	return said.Message
}

// Snapshot writes the member's database, as `etcdctl snapshot save` does. What
// was written is verified by the SHA-256 that etcd sends behind the data
// (server/etcdserver/api/v3rpc/maintenance.go). It returns the size in bytes.
func (c *Client) Snapshot(ctx context.Context, to io.Writer) (int64, error) {
	body, err := c.post(ctx, "/v3/maintenance/snapshot", struct{}{})
	if err != nil {
		return 0, err
	}
	defer body.Close()
	sum := &trailing{hash: sha256.New()}
	var size int64
	for parts := json.NewDecoder(body); ; {
		var part struct {
			Result struct {
				Blob []byte `json:"blob"`
			} `json:"result"`
			Error *struct {
				Message string `json:"message"`
			} `json:"error"`
		}
		err := parts.Decode(&part)
		if err == io.EOF {
			break
		}
		if err == nil && part.Error != nil {
			err = errors.New(part.Error.Message)
		}
		if err == nil {
			sum.add(part.Result.Blob)
			_, err = to.Write(part.Result.Blob)
		}
		if err != nil {
			return size, fmt.Errorf("taking a snapshot of etcd at %s: %w", c.endpoint, err)
		}
		size += int64(len(part.Result.Blob))
	}
	if !sum.holds() {
		return size, fmt.Errorf("taking a snapshot of etcd at %s: it is not whole: its checksum does not hold", c.endpoint)
	}
	return size, nil
}
