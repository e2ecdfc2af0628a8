// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"strings"
	"testing"

	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/workload"
)

// TestCheckpointRights asks a real API server for a checkpoint with the rights that
// are written down for it, and then with one less at a time. The pod's node is nobody:
// a server that lets the question pass finds that its address is none to ask.
func TestCheckpointRights(t *testing.T) {
	for _, version := range versions(t) {
		if minor, err := release.ParseMinor(version); err != nil || !workload.TimeZoneServed(minor) { // of the same minor
			continue
		}
		t.Run(version, func(t *testing.T) {
			p := up(t, version)
			p.accounts("default")
			p.Apply(`apiVersion: v1
kind: Node
metadata: {name: worker}
status:
  addresses: [{type: InternalIP, address: 127.0.0.1}]
  daemonEndpoints: {kubeletEndpoint: {Port: 1}}
---
apiVersion: v1
kind: Pod
metadata: {name: web-0, namespace: default}
spec: {nodeName: worker, containers: [{name: app, image: x}]}
`)
			running := `{"status":{"phase":"Running","containerStatuses":[{"name":"app","image":"x","imageID":"x","ready":true,"restartCount":0,"state":{"running":{}}}]}}`
			if out, ok := p.Kubectl("patch", "pod", "web-0", "--subresource=status", "--type=merge", "-p", running); !ok {
				t.Fatal(out)
			}
			p.rights("checkpoint")
			w := &worker{plane: p, name: "taker", roles: []string{"clusterrole/perennial-checkpoint"}, seen: func() string { return "" }}
			w.enter()
			w.try = func() (string, string, int) {
				out, errs, code := p.perennial("checkpoint", "create", "web-0", "--yes", "--kubeconfig", w.conf)
				if code == 1 && (strings.Contains(errs, "address not allowed") || strings.Contains(errs, "connection refused")) {
					code = 0
				}
				return out, errs, code
			}
			w.exactly()
		})
	}
}
