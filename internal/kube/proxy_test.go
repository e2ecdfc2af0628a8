// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"encoding/json"
	"testing"
)

// What else is known by its DaemonSet alone.
func TestReplaces(t *testing.T) {
	for text, want := range map[string]string{
		`{"name": "cilium-agent", "args": ["--kube-proxy-replacement=strict"]}`:                          "cilium",
		`{"name": "cilium-agent", "args": ["--kube-proxy-replacement=disabled"]}`:                        "",
		`{"name": "calico-node", "env": [{"name": "FELIX_BPFENABLED", "value": "true"}]}`:                "calico",
		`{"name": "calico-node", "env": [{"name": "FELIX_BPFENABLED", "value": "false"}]}`:               "",
		`{"name": "kube-router", "args": ["--run-router=true"]}`:                                         "kube-router",
		`{"name": "kube-router", "args": ["--run-service-proxy=false"]}`:                                 "",
		`{"name": "router", "command": ["/usr/local/bin/kube-router"], "args": ["--run-service-proxy"]}`: "kube-router",
		`{"name": "ovnkube-node"}`: "ovn-kubernetes",
		`{"name": "kube-proxy", "command": ["/usr/local/bin/kube-proxy", "--config=/x"]}`: "",
		`{"name": "kube-flannel", "args": ["--ip-masq", "--kube-subnet-mgr"]}`:            "",
	} {
		var c container
		if err := json.Unmarshal([]byte(text), &c); err != nil {
			t.Fatal(err)
		}
		if got, ok := c.replaces(); got.Name != want || ok != (want != "") {
			t.Errorf("%s: %+v", text, got)
		}
	}
}
