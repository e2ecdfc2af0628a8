// SPDX-License-Identifier: Apache-2.0

// Package layout finds out how a cluster is laid out on a node from what runs
// there, as a pure function: manifests, command lines and configuration files
// in; credentials, their consumers, endpoints and what to look at next out.
// Nothing is assumed to lie where kubeadm puts it, except where nothing that
// runs says otherwise.
package layout
