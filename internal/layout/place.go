// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"path"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// Place is a credential that kubeadm would have made, where kubeadm would have
// put it, or the agent's own: what a file that is missing and that no flag names
// should be.
func (l Layout) Place(name string) (Credential, bool) {
	if name == AgentName {
		return agentCredential(l.Node, AgentConfig, l.CertDir), true
	}
	for _, p := range places {
		if p.name != name {
			continue
		}
		c := Credential{ID: fact.NodeID(l.Node, name), Role: p.role, Path: path.Join(l.CertDir, p.file)}
		if rest, ok := strings.CutPrefix(p.file, "../"); ok {
			c.Path = path.Join(l.KubernetesDir, rest)
		}
		if p.trust != "" {
			c.Trust = []string{path.Join(l.CertDir, p.trust)}
		}
		if p.role != Kubeconfig {
			c.Key = strings.TrimSuffix(c.Path, ".crt") + ".key"
		}
		return c, true
	}
	return Credential{}, false
}
