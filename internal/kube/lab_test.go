// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"perennial.dev/perennial/internal/testlab"
)

// plane is a control plane of the lab, asked with its own kubeconfigs.
type plane struct{ *testlab.Plane }

// TestLab makes one control plane for each version, and what stops its server
// comes last.
func TestLab(t *testing.T) {
	testlab.Each(t, func(p *testlab.Plane) {
		for _, part := range []struct {
			name string
			test func(*plane)
		}{
			{"sessions", testSessions}, {"endpoints", testEndpoints}, {"kube-proxy", testKubeProxyReplacement}, {"leases", testLeases}, {"guard", testGuard},
		} {
			p.Part(part.name, func(p *testlab.Plane) { part.test(&plane{p}) })
		}
	})
}

// as reads one of the control plane's own kubeconfigs.
func (p *plane) as(name string) Kubeconfig {
	return Kubeconfig{Path: filepath.Join(p.KubernetesDir, name), Data: p.Read(name), ReadFile: os.ReadFile}
}

// client asks with one of the control plane's own kubeconfigs.
func (p *plane) client(name string) *Client {
	p.Helper()
	c, err := Open(p.Endpoint, p.as(name), "test")
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(c.Close)
	return c
}

func (p *plane) is(least string) bool { return minor(p.Version) >= minor(least) }

func minor(version string) (n int) {
	fmt.Sscanf(version, "1.%d", &n)
	return n
}
