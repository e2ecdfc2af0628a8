// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/wire"
)

var generous = wire.FleetLimits{Dial: ample, Total: 3 * ample}

func count(answers []wire.Answer) (n int) {
	for _, a := range answers {
		n += a.Count
	}
	return n
}

// Also an even number: alternating names would show each name one half.
func TestFleetBehindABalancer(t *testing.T) {
	for _, size := range []int{1, 2, 3, 4, 7} {
		shared := issue(t, "kubernetes")
		var backends []string
		for range size {
			backends = append(backends, apiServer(t, shared, http.NotFound))
		}
		endpoint := balance(t, backends...)
		fleet, err := wire.FindFleet(t.Context(), endpoint, loopbackSNI, generous)
		if err != nil {
			t.Fatal(err)
		}
		if len(fleet.Loopback) != size || len(fleet.Serving) != 1 || !fleet.Settled || fleet.Failed != 0 || fleet.Err != nil {
			t.Errorf("%d API servers: saw %d and %d chains, %+v", size, len(fleet.Loopback), len(fleet.Serving), fleet)
		}
		if count(fleet.Loopback)+count(fleet.Serving) != fleet.Dials {
			t.Errorf("%d dials, %d answers", fleet.Dials, count(fleet.Loopback)+count(fleet.Serving))
		}
		for i, a := range fleet.Loopback {
			leaf := a.Served.Certs[0]
			if leaf.Subject.CommonName != loopbackSNI || string(a.Served.SNI) != loopbackSNI || a.Served.Endpoint != endpoint {
				t.Errorf("%+v", a.Served)
			}
			if i > 0 && leaf.NotBefore.Before(fleet.Loopback[i-1].Served.Certs[0].NotBefore) {
				t.Error("not sorted")
			}
		}
	}
}

func TestFleetWithServingCertificatesOfTheirOwn(t *testing.T) {
	endpoint := balance(t, apiServer(t, issue(t, "cp1"), http.NotFound), apiServer(t, issue(t, "cp2"), http.NotFound))
	fleet, err := wire.FindFleet(t.Context(), endpoint, loopbackSNI, generous)
	if err != nil || len(fleet.Loopback) != 2 || len(fleet.Serving) != 2 {
		t.Errorf("%+v, %v", fleet, err)
	}
}

func TestFleetWithADeadServer(t *testing.T) {
	endpoint := balance(t, apiServer(t, issue(t, "cp1"), http.NotFound), refused(t), apiServer(t, issue(t, "cp3"), http.NotFound))
	fleet, err := wire.FindFleet(t.Context(), endpoint, loopbackSNI, generous)
	if err != nil || len(fleet.Loopback) != 2 || fleet.Failed == 0 || wire.Why(fleet.Err) != fact.Unreachable || !fleet.Settled {
		t.Errorf("%+v, %v", fleet, err)
	}
}

func TestFleetKeepsItsLimits(t *testing.T) {
	endpoint := apiServer(t, issue(t, "cp1"), http.NotFound)
	limits := generous
	limits.Dials = 5
	fleet, err := wire.FindFleet(t.Context(), endpoint, loopbackSNI, limits)
	if err != nil || fleet.Dials != 10 || fleet.Settled {
		t.Errorf("%+v, %v", fleet, err)
	}
	// A server that never shows the same certificate twice.
	endless := tlsServer(t, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		pair := issue(t, "new")
		return &pair, nil
	}})
	fleet, err = wire.FindFleet(t.Context(), endless, loopbackSNI, generous)
	if err != nil || len(fleet.Loopback) != 200 || fleet.Settled {
		t.Errorf("%d chains, settled %v, %v", len(fleet.Loopback), fleet.Settled, err)
	}
}

func TestFleetOfNothing(t *testing.T) {
	if _, err := wire.FindFleet(t.Context(), refused(t), loopbackSNI, generous); wire.Why(err) != fact.Unreachable {
		t.Error(err)
	}
	silent := serve(t, listen(t, "127.0.0.1:0"), func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	if _, err := wire.FindFleet(t.Context(), silent, loopbackSNI, wire.FleetLimits{Dial: brief, Total: ample}); wire.Why(err) != fact.Timeout {
		t.Error(err)
	}
	if _, err := wire.FindFleet(t.Context(), silent, loopbackSNI, wire.FleetLimits{Dial: ample, Total: brief}); wire.Why(err) != fact.Timeout {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := wire.FindFleet(ctx, silent, loopbackSNI, generous); wire.Why(err) != fact.Canceled {
		t.Error(err)
	}
}
