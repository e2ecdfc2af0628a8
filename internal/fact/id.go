// SPDX-License-Identifier: Apache-2.0

package fact

import "strings"

// ID is the stable identity of what a finding is about: node/credential with
// kubeadm's names ("cp1/apiserver", "cp1/etcd-server", "cp1/admin.conf",
// "cp1/apiserver-loopback"). It survives renewal, a moved file and a new
// address. The cluster's name is no part of it.
type ID string

// NodeID makes the ID of a credential on a node. Bytes of the name that would
// make the ID ambiguous or unsafe to print are replaced by "_".
func NodeID(node, credential string) ID {
	return ID(strings.ReplaceAll(clean(node), "/", "_") + "/" + clean(credential))
}

// Node is the part before the first slash.
func (id ID) Node() string {
	node, _, _ := strings.Cut(string(id), "/")
	return node
}

// Name is the part after the first slash.
func (id ID) Name() string {
	_, name, _ := strings.Cut(string(id), "/")
	return name
}

func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '\uFFFD' || hostile(r) {
			return '_'
		}
		return r
	}, s)
}
