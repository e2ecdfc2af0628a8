// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"path"
	"slices"

	"perennial.dev/perennial/internal/fact"
)

// AgentConfig is where the agent's kubeconfig lies: with it the agent asks the API
// as itself, with its own rights, and not as the node's administrator.
const AgentConfig = "/etc/perennial/agent.conf"

// AgentName is the name of the agent's kubeconfig among the node's credentials. It
// has no consumers that would have to be restarted: it is read anew for each use.
const AgentName = "perennial-agent.conf"

// identities are the kubeconfigs by which a program of this kind asks the API. The
// machine's own belongs to the cluster at kubeadm's place.
func (d *discovery) identities() []string {
	var all []string
	if d.Scope.Root != "" && (d.KubernetesDir == DefaultKubernetesDir || !d.running()) {
		all = append(all, AgentConfig)
	}
	if named := d.Scope.Identity; named != "" && !slices.Contains(all, named) {
		all = append(all, named)
	}
	return all
}

// wantIdentities looks at them. One that was named has to be there; at the agent's
// own place one is only where an agent was installed.
func (d *discovery) wantIdentities() {
	for _, conf := range d.identities() {
		d.want(Want{Verb: LookFile, Path: conf, Required: conf != AgentConfig})
	}
}

// applyIdentities adds those that are there, and one that was named and is not. An
// administrator's kubeconfig that was named keeps its own name.
func (d *discovery) applyIdentities() {
	for _, conf := range d.identities() {
		if f, seen := d.files[conf]; seen && (!f.Missing || conf != AgentConfig) {
			d.add(d.agentCredential(conf))
		}
	}
}

func (d *discovery) agentCredential(conf string) Credential {
	return agentCredential(d.Node, conf, d.certDir())
}

func agentCredential(node, conf, certDir string) Credential {
	return Credential{ID: fact.NodeID(node, AgentName), Role: Kubeconfig, Path: conf, Trust: []string{path.Join(certDir, "ca.crt")}}
}
