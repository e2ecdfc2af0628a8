// SPDX-License-Identifier: Apache-2.0

package execute_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/testnode"
)

// The agent's own identity is made, found again, and renewed like any other
// kubeconfig of the node, without a restart.
func TestAgentIdentity(t *testing.T) {
	n := newNode(t, testnode.Options{})
	if err := os.MkdirAll(n.Path("/etc/perennial"), 0o700); err != nil {
		t.Fatal(err)
	}
	n.now = testnode.Start.Add(time.Hour)
	n.does(plan.RenewOptions{Create: true, Names: []string{layout.AgentName}}, "create "+layout.AgentName)
	made := n.leaf(layout.AgentName)
	if made.Subject != "CN=perennial:agent:cp1,O=perennial:agents" || strings.Join(made.Usages, " ") != "digitalSignature keyEncipherment clientAuth" {
		t.Errorf("made %+v", made)
	}
	if left := made.NotAfter.Sub(n.now); left > pki.UsualLife || left < pki.UsualLife-time.Hour {
		t.Errorf("it lives %v", left)
	}
	info, err := os.Stat(n.Path(layout.AgentConfig))
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	text := string(n.Read(layout.AgentConfig))
	if !strings.Contains(text, "server: https://192.0.2.10:6443") || !strings.Contains(text, "certificate-authority-data: ") || !strings.Contains(text, "client-key-data: ") {
		t.Error("it has not all that a kubeconfig needs embedded")
	}
	n.healthy()
	for _, s := range n.plan(plan.RenewOptions{}).Steps {
		t.Errorf("nothing is due, and yet %s", s.Title)
	}
	n.now = made.NotAfter.Add(-24 * time.Hour)
	p := n.plan(plan.RenewOptions{Names: []string{string(fact.NodeID("cp1", layout.AgentName))}})
	if got := steps(p); len(got) != 1 || got[0] != "renew "+layout.AgentName {
		t.Fatalf("a day before its end: %v, %v", got, p.Notes)
	}
	n.does(plan.RenewOptions{Names: []string{layout.AgentName}}, "renew "+layout.AgentName)
	if again := n.leaf(layout.AgentName); again.Subject != made.Subject || !again.NotAfter.After(made.NotAfter) {
		t.Errorf("renewed %+v", again)
	}
}
