// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// Connections lists the established connections of a process on a port, those
// of loopback too, in the kernel's order. Who the peers are is looked for in
// the process's network namespace alone, by their own end of the connection,
// and in /proc; what cannot be read there is left out.
func Connections(p fact.Process, port uint16) ([]Connection, error) {
	found, err := connections(p, port)
	if err != nil {
		return nil, fmt.Errorf("listing the connections of process %d on port %d: %w", p.PID, port, err)
	}
	return found, nil
}

func connections(p fact.Process, port uint16) ([]Connection, error) {
	h, err := holdProcess(p)
	if err != nil {
		return nil, err
	}
	defer h.close()
	sockets, err := h.established(func(s socket) bool { return s.local.Port() == port })
	if err != nil || len(sockets) == 0 {
		return nil, err
	}
	own, err := ownAddresses(p.PID)
	if err != nil {
		return nil, err
	}
	peers, err := peersOf(p.PID, sockets)
	if err != nil {
		return nil, err
	}
	var found []Connection
	for _, s := range sockets {
		c := Connection{Local: unmapped(s.local), Remote: unmapped(s.remote)}
		c.Own = c.Remote.Addr().IsLoopback() || own[c.Remote.Addr()]
		if peer, known := peers[c.Remote]; known {
			c.PID, c.Command = peer, command(peer)
		}
		found = append(found, c)
	}
	return found, nil
}

// peersOf finds the processes at the other ends of connections, by the local
// address and port of their own sockets: where a service's address was
// translated, the two ends do not agree on the server's.
func peersOf(pid int, sockets []ownSocket) (map[netip.AddrPort]int, error) {
	wanted := map[netip.AddrPort]bool{}
	for _, s := range sockets {
		wanted[unmapped(s.remote)] = true
	}
	ends := map[uint64]netip.AddrPort{}
	err := eachSocket(pid, func(s socket) bool {
		if local := unmapped(s.local); s.state == tcpEstablished && s.inode != 0 && wanted[local] {
			ends[s.inode] = local
		}
		return true
	})
	if err != nil || len(ends) == 0 {
		return nil, err
	}
	return owners(ends)
}

func owners(ends map[uint64]netip.AddrPort) (map[netip.AddrPort]int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	found := map[netip.AddrPort]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		fds, err := socketsOf(pid)
		if err != nil {
			continue // ended, or not ours to look at
		}
		for inode := range fds {
			if end, is := ends[inode]; is {
				found[end] = pid
			}
		}
	}
	return found, nil
}

func command(pid int) string {
	name, err := os.ReadFile(procPath(pid, "comm"))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(name), "\n")
}

// ownAddresses are the addresses of the machine in the network namespace of a
// process, but for loopback's other ones.
func ownAddresses(pid int) (map[netip.Addr]bool, error) {
	own := map[netip.Addr]bool{}
	err := ownIPv4(procPath(pid, "net/fib_trie"), own)
	if err == nil {
		err = ownIPv6(procPath(pid, "net/if_inet6"), own)
	}
	if errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
		err = nil
	}
	return own, err
}

// ownIPv4 reads fib_trie (net/ipv4/fib_trie.c): an address stands on the line
// before those that say what it is.
func ownIPv4(name string, own map[netip.Addr]bool) error {
	var address netip.Addr
	return eachText(name, func(fields []string) {
		switch {
		case len(fields) == 2 && fields[0] == "|--":
			address, _ = netip.ParseAddr(fields[1])
		case len(fields) == 3 && fields[0] == "/32" && fields[2] == "LOCAL" && address.IsValid():
			own[address] = true
		}
	})
}

// ownIPv6 reads if_inet6 (net/ipv6/addrconf.c): lines that begin with an
// address in 32 hexadecimal digits.
func ownIPv6(name string, own map[netip.Addr]bool) error {
	return eachText(name, func(fields []string) {
		if len(fields) == 0 || len(fields[0]) != 32 {
			return
		}
		var text []string
		for i := 0; i < 32; i += 4 {
			text = append(text, fields[0][i:i+4])
		}
		if address, err := netip.ParseAddr(strings.Join(text, ":")); err == nil {
			own[address] = true
		}
	})
}

func eachText(name string, use func(fields []string)) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		use(strings.Fields(lines.Text()))
	}
	return lines.Err()
}

func unmapped(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
