// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// kubelet takes what the API server passes on and holds it until the test ends.
// The real API server in front of it is what is tested.
func kubelet(t *testing.T) string {
	t.Helper()
	end := make(chan struct{})
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "containerLogs") {
			fmt.Fprintln(w, "the first line")
			w.(http.Flusher).Flush()
		}
		select {
		case <-end:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(func() { close(end); s.CloseClientConnections(); s.Close() })
	return s.Listener.Addr().String()
}

// onNode makes the kubelet's node, and a pod on it, in the API.
func (p *plane) onNode(address string) {
	p.Helper()
	host, port, _ := net.SplitHostPort(address)
	p.Apply(`{"apiVersion": "v1", "kind": "List", "items": [
{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}},
{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}},
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "default"}, "spec": {"nodeName": "n1",
  "automountServiceAccountToken": false, "tolerations": [{"operator": "Exists"}], "containers": [{"name": "c", "image": "none"}]}}
]}`)
	for _, args := range [][]string{
		{"patch", "node", "n1", "--subresource=status", "--type=merge", "-p", fmt.Sprintf(`{"status":{"addresses":[{"type":"InternalIP","address":%q}],"daemonEndpoints":{"kubeletEndpoint":{"Port":%s}}}}`, host, port)},
		{"patch", "pod", "p", "--subresource=status", "--type=merge", "-p", `{"status":{"phase":"Running"}}`},
	} {
		if out, ok := p.Kubectl(args...); !ok {
			p.Fatal(out)
		}
	}
}

// asAdmin makes a client that is not ours.
func (p *plane) asAdmin() *http.Client {
	p.Helper()
	config, err := p.as("admin.conf").credentials()
	if err != nil {
		p.Fatal(err)
	}
	pair, err := tls.X509KeyPair(config.CertData, config.KeyData)
	if err != nil {
		p.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{Certificates: []tls.Certificate{pair}, InsecureSkipVerify: true}}
	p.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// hold begins a request that does not end before the test does.
func (p *plane) hold(asker *http.Client, method, path string, header map[string]string) {
	request, err := http.NewRequestWithContext(p.Context(), method, "https://"+p.Endpoint+path, nil)
	if err != nil {
		p.Fatal(err)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		answer, err := asker.Do(request)
		if err == nil {
			answer.Body.Read(make([]byte, 1<<20))
			<-p.Context().Done()
			answer.Body.Close()
		}
	}()
	p.Cleanup(func() { <-ended })
}

func testSessions(p *plane) {
	t := p.T
	c := p.client("admin.conf")
	p.onNode(kubelet(t))
	before := p.sessions(c)
	if before.Ending() != 0 || before.Watches < 20 || before.Reads < 1 || before.TooMany != 0 {
		t.Errorf("nobody is connected: %+v", before)
	}
	if age := time.Since(before.Started); age < 0 || age > time.Hour {
		t.Errorf("started %v ago", age)
	}
	asker := p.asAdmin()
	pod := "/api/v1/namespaces/default/pods/p/"
	upgrade := map[string]string{"Connection": "Upgrade", "Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": "v4.channel.k8s.io"}
	p.hold(asker, "POST", pod+"exec?command=sh&stdin=true&stdout=true", upgrade)
	p.hold(asker, "POST", pod+"exec?command=sh&stdin=true&stdout=true", upgrade)
	p.hold(asker, "POST", pod+"attach?stdin=true&stdout=true", upgrade)
	p.hold(asker, "POST", pod+"portforward", upgrade)
	p.hold(asker, "GET", pod+"log?follow=true", nil)
	p.hold(asker, "GET", "/api/v1/namespaces/default/configmaps?watch=true", nil)
	// No proxy: the server refuses to be one to a loopback address.
	want := Sessions{Exec: 2, Attach: 1, PortForward: 1, Log: 1}
	var now Sessions
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		now = p.sessions(c)
		if now.Ending() == want.Ending() && now.Watches > before.Watches {
			break
		}
	}
	if now.Exec != 2 || now.Attach != 1 || now.PortForward != 1 || now.Log != 1 || now.Watches <= before.Watches {
		t.Errorf("%v, before %v", now, before)
	}
	if more, ok := now.TooManySince(before); more != 0 || !ok {
		t.Errorf("%d more got 429, %v", more, ok)
	}
	if _, err := p.client("scheduler.conf").Sessions(t.Context()); err == nil {
		t.Error("the scheduler may read metrics")
	}
}

func (p *plane) sessions(c *Client) Sessions {
	p.Helper()
	s, err := c.Sessions(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	return s
}
