// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"perennial.dev/perennial/internal/fact"
)

// heldProcess is a process behind a pidfd: as long as that is open nobody else
// can be taken for it.
type heldProcess struct {
	pid, pidfd int
}

// holdProcess opens a pidfd and then makes sure that the process is still the
// one that was looked at, by its command line when there is one to compare.
func holdProcess(p fact.Process) (*heldProcess, error) {
	if p.PID <= 0 {
		return nil, fmt.Errorf("%w: there is no PID %d", ErrAnother, p.PID)
	}
	pidfd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ENOSYS) {
		return nil, fmt.Errorf("%w open a pidfd (Linux 5.3 can): %w", ErrKernel, err)
	}
	if err != nil {
		return nil, err
	}
	held := &heldProcess{pid: p.PID, pidfd: pidfd}
	if err := held.is(p.Args); err != nil {
		held.close()
		return nil, err
	}
	return held, nil
}

func (h *heldProcess) close() { _ = unix.Close(h.pidfd) }

func (h *heldProcess) is(args []string) error {
	if len(args) == 0 {
		return nil
	}
	line, err := os.ReadFile(procPath(h.pid, "cmdline"))
	if err != nil {
		return err
	}
	if !slices.Equal(strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00"), args) {
		return fmt.Errorf("%w: it has another command line", ErrAnother)
	}
	return nil
}

// copy gets a copy of one of the process's sockets. What has been closed
// meanwhile is fs.ErrNotExist.
func (h *heldProcess) copy(fd int, inode uint64) (int, error) {
	got, err := unix.PidfdGetfd(h.pidfd, fd, 0)
	switch {
	case errors.Is(err, unix.EBADF):
		return -1, fs.ErrNotExist
	case errors.Is(err, unix.ENOSYS):
		return -1, fmt.Errorf("%w copy a file descriptor (Linux 5.6 can): %w", ErrKernel, err)
	case err != nil:
		return -1, refused(err, capSysPtrace)
	}
	if is, err := inodeOf(got); err != nil || is != inode {
		unix.Close(got) // the number was given out again
		return -1, errors.Join(fs.ErrNotExist, err)
	}
	return got, nil
}

// listener gets a copy of the socket with which the process listens on a port.
func (h *heldProcess) listener(port uint16, t Target) (int, error) {
	listeners, err := h.listeners(port)
	if err != nil {
		return -1, err
	}
	worst := ErrNoListener
	for _, s := range listeners {
		got, err := h.copy(s.fd, s.inode)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return -1, err
		}
		if worst = serves(got, s.socket, t); worst == nil {
			return got, nil
		}
		unix.Close(got)
	}
	return -1, worst
}

// serves says whether a listener can be given the target's connections.
func serves(fd int, s socket, t Target) error {
	v4, v6 := t.families()
	if !s.local.Addr().Is6() || s.local.Addr().Is4In6() {
		if v6 {
			return fmt.Errorf("the listener on %s cannot take IPv6", s.local)
		}
		return nil
	}
	only6, err := unix.GetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	if err == nil && only6 != 0 && v4 {
		return fmt.Errorf("the listener on %s cannot take IPv4", s.local)
	}
	return nil
}

// ownSocket is a socket and where the process has it.
type ownSocket struct {
	socket
	fd int
}

// sockets lists those of the process's TCP sockets that are wanted. The search
// goes on as long as more is true: listeners come first in the kernel's lists,
// which on a busy machine are long.
func (h *heldProcess) sockets(want, more func(socket) bool) ([]ownSocket, error) {
	fds, err := socketsOf(h.pid)
	if err != nil {
		return nil, refused(err, capSysPtrace)
	}
	var found []ownSocket
	err = eachSocket(h.pid, func(s socket) bool {
		if fd, own := fds[s.inode]; own && want(s) {
			found = append(found, ownSocket{socket: s, fd: fd})
		}
		return more(s)
	})
	return found, err
}

// established lists the process's connections that are wanted.
func (h *heldProcess) established(want func(socket) bool) ([]ownSocket, error) {
	return h.sockets(
		func(s socket) bool { return s.state == tcpEstablished && want(s) },
		func(socket) bool { return true })
}

// listeners lists the sockets with which the process listens on a port.
func (h *heldProcess) listeners(port uint16) ([]ownSocket, error) {
	listens := func(s socket) bool { return s.state == tcpListen }
	return h.sockets(func(s socket) bool { return listens(s) && s.local.Port() == port }, listens)
}

// taken says whether the target takes a connection.
func (s socket) taken(t Target) bool {
	return s.local.Port() == t.Port && t.Takes(s.local.Addr(), s.remote.Addr())
}

func inodeOf(fd int) (uint64, error) {
	var info unix.Stat_t
	err := unix.Fstat(fd, &info)
	return info.Ino, err
}

func inodeOfPath(path string) (uint64, error) {
	var info unix.Stat_t
	if err := unix.Stat(path, &info); err != nil {
		return 0, fmt.Errorf("looking at %s: %w", path, refused(err, capSysPtrace))
	}
	return info.Ino, nil
}
