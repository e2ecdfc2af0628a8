// SPDX-License-Identifier: Apache-2.0

// Package node makes a kubeadm node out of the real kubelet, containerd and
// runc on the machine that it runs on, in namespaces of its own: network, mounts,
// processes, host name and IPC. The static pods are real pods.
//
// One process, the holder, is the first of the node's process namespace. It
// stands where systemd stands on a real node: it mounts what makes the node's
// file system differ from the machine's, runs containerd and the kubelet, and
// starts them again when they end. When it is killed, the kernel ends everything
// of the node, and the namespaces go with it; what else there is of a node (a
// directory, a link, a named network namespace, cgroups) follows from its name.
//
// It needs root and the packages of Debian that [Packages] names. Images come
// from the lab's own programs and not from a registry.
package node
