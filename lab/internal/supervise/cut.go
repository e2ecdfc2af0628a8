// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// socket is one row of /proc/PID/net/tcp, joined with its descriptor.
type socket struct {
	local, remote netip.AddrPort
	state         uint64
	inode         uint64
	descriptor    int
}

const (
	tcpEstablished = 1
	tcpListen      = 10
)

// cutLoopback shuts down the connections that the process pid has to its own
// listening ports, and returns how many.
//
// The supervisor is the parent of the process, so it may copy the process's
// sockets (pidfd_getfd(2), Linux 5.6; an ancestor may even where ptrace is
// restricted to ancestors) and shut them down. Where that is filtered away,
// the kernel is asked to destroy them, which needs CAP_NET_ADMIN.
func cutLoopback(pid int) (int, error) {
	if pid == 0 {
		return 0, errors.New("cutting the loopback connections: the component does not run")
	}
	sockets, err := socketsOf(pid)
	if err != nil {
		return 0, fmt.Errorf("cutting the loopback connections of process %d: %w", pid, err)
	}
	loopback := toItself(sockets)
	err = shutdownAll(pid, loopback)
	if err == nil {
		return len(loopback), nil
	}
	if destroyErr := destroyAll(pid, loopback); destroyErr != nil {
		return 0, fmt.Errorf("cutting the loopback connections of process %d: %w; and by ss -K: %w; it needs CAP_SYS_PTRACE or CAP_NET_ADMIN here", pid, err, destroyErr)
	}
	return len(loopback), nil
}

// destroyAll asks the kernel to destroy the sockets. ss ends with 0 whether it
// could or not, so the sockets are looked at again.
func destroyAll(pid int, sockets []socket) error {
	var said []byte
	for _, s := range sockets {
		cmd := exec.Command("ss", "-tK", "src", s.local.String(), "dst", s.remote.String())
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("running ss: %w", err)
		}
		said = append(said, bytes.TrimSpace(stderr.Bytes())...)
	}
	left, err := socketsOf(pid)
	if err == nil && containsAny(toItself(left), sockets) {
		err = fmt.Errorf("they are still open: %s", said)
	}
	return err
}

func containsAny(all, some []socket) bool {
	for _, a := range all {
		for _, s := range some {
			if a.local == s.local && a.remote == s.remote {
				return true
			}
		}
	}
	return false
}

func shutdownAll(pid int, sockets []socket) error {
	handle, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	defer unix.Close(handle)
	for _, s := range sockets {
		if err := shutdown(handle, s); err != nil {
			return err
		}
	}
	return nil
}

// shutdown shuts one socket down, unless it has been closed meanwhile and its
// descriptor perhaps given to another file.
func shutdown(handle int, s socket) error {
	own, err := unix.PidfdGetfd(handle, s.descriptor, 0)
	if err == unix.EBADF {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pidfd_getfd: %w", err)
	}
	defer unix.Close(own)
	var stat unix.Stat_t
	if err := unix.Fstat(own, &stat); err != nil || stat.Ino != s.inode {
		return err
	}
	if err := unix.Shutdown(own, unix.SHUT_RDWR); err != nil && err != unix.ENOTCONN {
		return fmt.Errorf("shutdown: %w", err)
	}
	return nil
}

// toItself picks the client ends of connections to the process's own
// listening ports.
func toItself(sockets []socket) []socket {
	listening := map[uint16]bool{}
	for _, s := range sockets {
		if s.state == tcpListen {
			listening[s.local.Port()] = true
		}
	}
	var picked []socket
	for _, s := range sockets {
		if s.state == tcpEstablished && listening[s.remote.Port()] && s.remote.Addr().Unmap() == s.local.Addr().Unmap() {
			picked = append(picked, s)
		}
	}
	return picked
}

func socketsOf(pid int) ([]socket, error) {
	descriptors, err := socketDescriptors(pid)
	if err != nil {
		return nil, err
	}
	var sockets []socket
	for _, table := range []string{"tcp", "tcp6"} {
		f, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", pid, table))
		if errors.Is(err, os.ErrNotExist) {
			continue // no IPv6
		}
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if s, ok := parseSocket(lines.Text()); ok {
				if d, own := descriptors[s.inode]; own {
					s.descriptor = d
					sockets = append(sockets, s)
				}
			}
		}
		f.Close()
	}
	return sockets, nil
}

// socketDescriptors maps the inode of each socket to its descriptor.
func socketDescriptors(pid int) (map[uint64]int, error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	found := map[uint64]int{}
	for _, entry := range entries {
		target, err := os.Readlink(filepath.Join(dir, entry.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		var inode uint64
		if _, err := fmt.Sscanf(target, "socket:[%d]", &inode); err != nil {
			continue
		}
		if d, err := strconv.Atoi(entry.Name()); err == nil {
			found[inode] = d
		}
	}
	return found, nil
}

// parseSocket reads a row of proc_net_tcp(5).
func parseSocket(row string) (socket, bool) {
	fields := strings.Fields(row)
	if len(fields) < 10 {
		return socket{}, false
	}
	local, ok := parseAddress(fields[1])
	remote, ok2 := parseAddress(fields[2])
	state, err := strconv.ParseUint(fields[3], 16, 8)
	inode, inodeErr := strconv.ParseUint(fields[9], 10, 64)
	return socket{local: local, remote: remote, state: state, inode: inode}, ok && ok2 && err == nil && inodeErr == nil
}

// parseAddress reads an address whose 32-bit words are in the machine's order,
// and a port.
func parseAddress(s string) (netip.AddrPort, bool) {
	words, portText, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(words)
	port, portErr := strconv.ParseUint(portText, 16, 16)
	if !ok || err != nil || portErr != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		nativeToNetwork(raw[i : i+4])
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr, uint16(port)), ok
}

func nativeToNetwork(word []byte) {
	binary.BigEndian.PutUint32(word, binary.NativeEndian.Uint32(word))
}
