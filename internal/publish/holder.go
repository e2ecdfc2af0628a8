// SPDX-License-Identifier: Apache-2.0

package publish

import (
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// portHolder names a process that listens on a TCP port of this machine: "process
// 812 (node_exporter)". It is empty where /proc does not tell, as without the
// right to see the files of others.
func portHolder(proc string, port uint16) string {
	sockets := map[string]bool{}
	for _, table := range []string{"net/tcp", "net/tcp6"} {
		listening(path.Join(proc, table), port, sockets)
	}
	if len(sockets) == 0 {
		return ""
	}
	entries, err := os.ReadDir(proc)
	if err != nil {
		return ""
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || !holds(path.Join(proc, e.Name(), "fd"), sockets) {
			continue
		}
		name, err := os.ReadFile(path.Join(proc, e.Name(), "comm"))
		if err != nil {
			return fmt.Sprintf("process %d", pid)
		}
		return fmt.Sprintf("process %d (%s)", pid, fact.Text(strings.TrimSpace(string(name))))
	}
	return ""
}

// listening adds the links ("socket:[4711]") of the sockets of a table that
// listen on a port. The table's form is that of net/ipv4/tcp_ipv4.c.
func listening(table string, port uint16, sockets map[string]bool) {
	const (
		local, state, inode = 1, 3, 9
		listen              = "0A" // TCP_LISTEN, net/tcp_states.h
	)
	text, err := os.ReadFile(table)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) > inode && f[state] == listen && strings.HasSuffix(f[local], fmt.Sprintf(":%04X", port)) {
			sockets["socket:["+f[inode]+"]"] = true
		}
	}
}

// holds says whether a process has one of the sockets open.
func holds(dir string, sockets map[string]bool) bool {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		if to, err := os.Readlink(path.Join(dir, e.Name())); err == nil && sockets[to] {
			return true
		}
	}
	return false
}
