// SPDX-License-Identifier: Apache-2.0

// Package api talks to a lab's API server with the client certificate of a
// kubeconfig, over plain net/http: the lab needs a handful of requests and
// their exact answers.
package api

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// Client sends requests as one identity.
type Client struct {
	server string
	http   *http.Client
	end    time.Time
}

// End is when the client certificate expires.
func (c *Client) End() time.Time { return c.end }

// Answer is a complete response.
type Answer struct {
	Code int
	Body []byte
}

// Message is the message of an API Status, or the body's beginning.
func (a Answer) Message() string {
	var status struct{ Message string }
	if json.Unmarshal(a.Body, &status) == nil && status.Message != "" {
		return status.Message
	}
	return string(a.Body[:min(len(a.Body), 300)])
}

type kubeconfig struct {
	Clusters []struct {
		Cluster struct {
			Server string
			CA     []byte `json:"certificate-authority-data"`
		}
	}
	Users []struct {
		User struct {
			Certificate []byte `json:"client-certificate-data"`
			Key         []byte `json:"client-key-data"`
		}
	}
}

// FromKubeconfig reads a kubeconfig as kubeadm writes it: one cluster and one
// user, with embedded data.
func FromKubeconfig(path string) (*Client, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	var config kubeconfig
	if err := yaml.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("reading the kubeconfig %s: %w", path, err)
	}
	if len(config.Clusters) != 1 || len(config.Users) != 1 {
		return nil, fmt.Errorf("reading the kubeconfig %s: want one cluster and one user", path)
	}
	pair, err := tls.X509KeyPair(config.Users[0].User.Certificate, config.Users[0].User.Key)
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig %s: %w", path, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(config.Clusters[0].Cluster.CA) {
		return nil, fmt.Errorf("reading the kubeconfig %s: no CA", path)
	}
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}},
		ForceAttemptHTTP2: true,
	}
	return &Client{
		server: strings.TrimSuffix(config.Clusters[0].Cluster.Server, "/"),
		http:   &http.Client{Transport: transport, Timeout: 30 * time.Second},
		end:    pair.Leaf.NotAfter,
	}, nil
}

// Forget closes idle connections, so that the next request makes a new one.
func (c *Client) Forget() { c.http.CloseIdleConnections() }

// Do sends one request; body is marshalled to JSON unless nil. An error means
// that there was no answer: any status code is an answer. headers are pairs.
func (c *Client) Do(ctx context.Context, method, path string, body any, headers ...string) (Answer, error) {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return Answer{}, err
		}
		content = bytes.NewReader(data)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.server+path, content)
	if err != nil {
		return Answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := c.http.Do(request)
	if err != nil {
		return Answer{}, err
	}
	defer response.Body.Close()
	answer := Answer{Code: response.StatusCode}
	answer.Body, err = io.ReadAll(response.Body)
	return answer, err
}

// LoopbackName is the server name under which an API server serves the
// certificate of its own loopback client (k8s.io/apiserver
// pkg/server/options/serving_with_loopback.go, all versions up to 1.37).
const LoopbackName = "apiserver-loopback-client"

// Loopback reads the API server's loopback certificate by a handshake.
func Loopback(ctx context.Context, endpoint string) (*x509.Certificate, error) {
	dialer := tls.Dialer{
		NetDialer: &net.Dialer{Timeout: 30 * time.Second},
		// It is read, not trusted.
		Config: &tls.Config{ServerName: LoopbackName, InsecureSkipVerify: true},
	}
	connection, err := dialer.DialContext(ctx, "tcp", endpoint)
	if err != nil {
		return nil, fmt.Errorf("reading the loopback certificate on %s: %w", endpoint, err)
	}
	defer connection.Close()
	chain := connection.(*tls.Conn).ConnectionState().PeerCertificates
	if !strings.HasPrefix(chain[0].Subject.CommonName, LoopbackName) {
		return nil, fmt.Errorf("reading the loopback certificate on %s: got one for %s", endpoint, chain[0].Subject)
	}
	return chain[0], nil
}
