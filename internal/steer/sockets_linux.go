// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// States of TCP sockets, net/tcp_states.h.
const (
	tcpEstablished = 1
	tcpListen      = 10
)

// socket is a line of /proc/PID/net/tcp or tcp6.
type socket struct {
	local, remote netip.AddrPort
	state         int
	inode         uint64 // 0 for a connection that nobody has accepted yet
}

// tables are the TCP tables of a network namespace, IPv6 first: a listener for
// both families is there.
var tables = []string{"net/tcp6", "net/tcp"}

// eachSocket goes through the TCP sockets in the network namespace of a
// process, until use returns false for one of a table. The kernel lists the
// listening ones first. A kernel without IPv6 has no table of it.
func eachSocket(pid int, use func(socket) bool) error {
	for _, table := range tables {
		err := eachLine(procPath(pid, table), use)
		if errors.Is(err, fs.ErrNotExist) && table == tables[0] {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func eachLine(name string, use func(socket) bool) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Scan() // the head
	for lines.Scan() {
		s, err := parseSocket(lines.Text())
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		if !use(s) {
			return nil
		}
	}
	return lines.Err()
}

// parseSocket reads a line as net/ipv4/tcp_ipv4.c writes it.
func parseSocket(line string) (socket, error) {
	fields := strings.Fields(line)
	if len(fields) < 10 {
		return socket{}, fmt.Errorf("a line of %d fields", len(fields))
	}
	local, err := parseAddress(fields[1])
	if err != nil {
		return socket{}, err
	}
	remote, err := parseAddress(fields[2])
	if err != nil {
		return socket{}, err
	}
	state, err := strconv.ParseUint(fields[3], 16, 8)
	if err != nil {
		return socket{}, err
	}
	inode, err := strconv.ParseUint(fields[9], 10, 64)
	if err != nil {
		return socket{}, err
	}
	return socket{local: local, remote: remote, state: int(state), inode: inode}, nil
}

// parseAddress reads an address and port: the address as words of the host's
// byte order in hexadecimal digits, the port as a number in them.
func parseAddress(text string) (netip.AddrPort, error) {
	address, number, _ := strings.Cut(text, ":")
	port, err := strconv.ParseUint(number, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	raw, err := hex.DecodeString(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	for word := 0; word+4 <= len(raw); word += 4 {
		binary.NativeEndian.PutUint32(raw[word:], binary.BigEndian.Uint32(raw[word:]))
	}
	ip, ok := netip.AddrFromSlice(raw)
	if !ok {
		return netip.AddrPort{}, fmt.Errorf("an address of %d bytes", len(raw))
	}
	return netip.AddrPortFrom(ip, uint16(port)), nil
}

// Listening says whether somebody listens on a TCP port in the network
// namespace of a process. It is false too when the process has ended. It reads
// the listening sockets only, so it may be asked often.
func Listening(pid int, port uint16) bool {
	found := false
	err := eachSocket(pid, func(s socket) bool {
		found = found || s.state == tcpListen && s.local.Port() == port
		return s.state == tcpListen && !found
	})
	return found && err == nil
}

// sockets finds the file descriptors of a process by the inodes of its sockets.
func socketsOf(pid int) (map[uint64]int, error) {
	dir := procPath(pid, "fd")
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	found := map[uint64]int{}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		to, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		if inode, ok := socketInode(to); ok {
			found[inode] = fd
		}
	}
	return found, nil
}

func socketInode(link string) (uint64, bool) {
	number, isSocket := strings.CutPrefix(link, "socket:[")
	if !isSocket {
		return 0, false
	}
	inode, err := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
	return inode, err == nil
}

func procPath(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}
