// SPDX-License-Identifier: Apache-2.0

package pki

import "crypto/x509"

// AgentGroup is the group of all agents, whose rights docs/rights/agent.yaml binds
// to it. Like the groups of kubeadm it is in no namespace that Kubernetes keeps for
// itself ("system:").
const AgentGroup = "perennial:agents"

// AgentUser is the name of a node's agent in the cluster. It names the node, so
// that an audit log tells whose it was.
func AgentUser(node string) string { return "perennial:agent:" + node }

// AgentSpec describes the client certificate of a node's agent. Its credential has
// the given name.
func AgentSpec(credential, node string) Spec {
	return Spec{
		Name: credential, CA: "ca", CommonName: AgentUser(node), Organizations: []string{AgentGroup},
		Usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}
