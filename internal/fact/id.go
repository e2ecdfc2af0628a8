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

// ObjectID makes the ID of an object: manifest/group/kind/namespace/name for
// one in a document, cluster/kind/namespace/name for one that a cluster holds.
// The version is no part of it: it is what an upgrade changes. The core group
// is "core", and "-" stands where there is no namespace or no name.
func ObjectID(o Object) ID {
	parts := []string{"cluster"}
	if o.File != "" {
		group, _, ok := strings.Cut(string(o.APIVersion), "/")
		if !ok {
			group = "core"
		}
		parts = []string{"manifest", group}
	}
	for _, part := range append(parts[1:], string(o.Type), string(o.Namespace), string(o.Name)) {
		part = strings.ReplaceAll(clean(part), "/", "_")
		if part == "" {
			part = "-"
		}
		parts[0] += "/" + part
	}
	return ID(parts[0])
}
