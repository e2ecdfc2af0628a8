// SPDX-License-Identifier: Apache-2.0

// Package steer hands new connections for a server's port to another process's
// listening socket, and holds the established ones for a moment, so that a
// server can be replaced while its clients notice nothing.
//
// Lookup steers by an sk_lookup program on a network namespace. No packet is
// rewritten: the kernel's search for a listener is answered with the other
// process's socket, so a firewall sees the same port as before. On and off is
// one entry of a map. All state is pinned in a BPF file system and outlives the
// process that made it; when the socket's listener closes, the kernel takes the
// entry out by itself, and connections go where they went before.
//
// NAT does the same by nftables, for kernels and rights without sk_lookup. The
// port is rewritten before a firewall's INPUT chain sees it: Reach asks from
// another network namespace whether the firewall lets the new port pass.
//
// Hold drops what arrives on the established connections of a process, which
// their peers send again, until it is released or its deadline has passed. The
// deadline is in the program that the kernel runs, so nothing that happens to
// this process can make a hold last longer.
//
// What it needs of the kernel, and where that stands in its source:
//
//   - sk_lookup programs and links to a network namespace: Linux 5.9,
//     kernel/bpf/net_namespace.c, net/core/filter.c (bpf_sk_lookup_assign);
//     searched after established sockets and before listeners,
//     include/net/inet_hashtables.h. CAP_BPF with CAP_NET_ADMIN.
//   - listening TCP sockets in a SOCKMAP: 5.7, net/core/sock_map.c. Sockets of
//     MPTCP, Go's default for listeners since 1.24, are refused there.
//   - pidfd_getfd: 5.6, kernel/pid.c; the right of ptrace attach (CAP_SYS_PTRACE
//     for another user's process, or when seccomp and YAMA narrow it).
//   - BPF socket filters: 3.19; bpf_ktime_get_ns without a GPL program: 5.8;
//     on TCP they see each segment before it is acknowledged,
//     net/ipv4/tcp_ipv4.c (tcp_filter).
//   - NAT chains of nftables: families ip and ip6 since 3.13; fib 4.10.
//
// On systems other than Linux everything returns errors.ErrUnsupported.
package steer
