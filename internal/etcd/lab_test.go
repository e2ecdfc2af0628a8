// SPDX-License-Identifier: Apache-2.0

package etcd

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/testlab"
)

// These tests ask the etcd of real control planes of the lab. They run where
// PERENNIAL_LAB names the lab's program and LAB_TEST_VERSIONS the versions.

// plane is a control plane of the lab.
type plane struct{ *testlab.Plane }

func onPlanes(t *testing.T, test func(*plane)) {
	testlab.Each(t, func(p *testlab.Plane) { test(&plane{p}) })
}

func (p *plane) client() *Client {
	p.Helper()
	var pem [3][]byte
	for i, name := range []string{"healthcheck-client.crt", "healthcheck-client.key", "ca.crt"} {
		var err error
		if pem[i], err = os.ReadFile(filepath.Join(p.KubernetesDir, "pki/etcd", name)); err != nil {
			p.Fatal(err)
		}
	}
	c, err := New(fmt.Sprintf("127.0.0.1:%d", p.Ports.Etcd), pem[0], pem[1], pem[2])
	if err != nil {
		p.Fatal(err)
	}
	return c
}

// server is the lab's API server.
var server = APIServer{Address: netip.MustParseAddr("192.0.2.10")}

// populated says whether the Endpoints of the service kubernetes, as they lie in
// etcd, hold the server's address.
func (p *plane) populated(c *Client) bool {
	p.Helper()
	stored, err := c.value(p.Context(), []byte("/registry/services/endpoints/default/kubernetes"))
	if err != nil || stored == nil || !plainObject(stored.Value) {
		p.Fatalf("%+v, %v", stored, err)
	}
	return bytes.Contains(stored.Value, []byte(server.Address.String()))
}

func (p *plane) eventually(what string, holds func() bool) {
	p.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.Fatalf("not within a minute: %s", what)
		}
	}
}

func (p *plane) state(c *Client) Held {
	p.Helper()
	state, err := c.AddressHeld(p.Context(), server)
	if err != nil {
		p.Fatal(err)
	}
	return state
}

// An API server that stops takes the last address away from the service
// kubernetes, and does not when its address is held.
func TestLabHoldAddress(t *testing.T) {
	onPlanes(t, func(p *plane) {
		c := p.client()
		p.eventually("the server's own address", func() bool { return p.state(c).Own && p.populated(c) })
		if err := c.call(p.Context(), "/v3/lease/revoke", lease{ID: 1}, &struct{}{}); err == nil || !strings.Contains(err.Error(), "requested lease not found") {
			p.Errorf("etcd's own reason is not told: %v", err)
		}
		if state := p.state(c); state.Present {
			p.Fatalf("held before: %+v", state)
		}
		if err := c.ReleaseAddress(p.Context(), server); err != nil {
			p.Errorf("releasing what is not held: %v", err)
		}
		p.Do("stop", "kube-apiserver")
		var minor int
		fmt.Sscanf(p.Version, "1.%d", &minor)
		if populated := p.populated(c); populated != (minor < 28) {
			p.Errorf("without a hold, after the server has stopped: populated is %v", populated)
		}
		if err := c.HoldAddress(p.Context(), server); !errors.Is(err, ErrNoAddress) {
			p.Errorf("holding what is not there: %v", err)
		}
		p.Do("start", "kube-apiserver")
		p.eventually("the server's own address again", func() bool { return p.state(c).Own && p.populated(c) })
		p.held(c)
	})
}

func (p *plane) held(c *Client) {
	if err := c.HoldAddress(p.Context(), server); err != nil {
		p.Fatal(err)
	}
	own, err := c.value(p.Context(), server.own())
	if err != nil {
		p.Fatal(err)
	}
	held, err := c.value(p.Context(), server.held())
	if err != nil || held == nil || len(held.Value) == 0 || own == nil || held.Lease == own.Lease {
		p.Fatalf("%+v beside %+v, %v", held, own, err)
	}
	time.Sleep(2 * time.Second)
	if err := c.HoldAddress(p.Context(), server); err != nil { // again, for longer
		p.Fatal(err)
	}
	if state := p.state(c); !state.Present || !state.Own || state.Left < HoldTime-2*time.Second || state.Left > HoldTime {
		p.Errorf("%+v", state)
	}
	time.Sleep(11 * time.Second) // the server's own rounds with both keys there
	if !p.populated(c) {
		p.Error("empty, with both keys there")
	}
	p.Do("stop", "kube-apiserver")
	if state := p.state(c); state.Own || !state.Present || !p.populated(c) {
		p.Errorf("held, after the server has stopped: %+v, populated is %v", state, p.populated(c))
	}
	if err := c.ReleaseAddress(p.Context(), server); !errors.Is(err, ErrNoAddress) || !p.state(c).Present {
		p.Errorf("released while it is needed: %v", err)
	}
	p.Do("start", "kube-apiserver")
	p.eventually("the server's own address at last", func() bool { return p.state(c).Own })
	for range 2 {
		if err := c.ReleaseAddress(p.Context(), server); err != nil {
			p.Error(err)
		}
	}
	time.Sleep(11 * time.Second)
	if state := p.state(c); state.Present || !state.Own || !p.populated(c) {
		p.Errorf("at the end: %+v, populated is %v", state, p.populated(c))
	}
}

// What encryption at rest has sealed is not copied: it opens under its own key
// only.
func TestPlainObject(t *testing.T) {
	for value, want := range map[string]bool{
		"k8s\x00\n\x0f": true, `{"kind":"Endpoints"}`: true, "k8s:enc:aescbc:v1:key1:x": false, "k8s:enc:kms:v2:x": false, "": false,
	} {
		if plainObject([]byte(value)) != want {
			t.Errorf("%q: want %v", value, want)
		}
	}
}
