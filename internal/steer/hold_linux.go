// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"perennial.dev/perennial/internal/fact"
)

// Held are connections that are held. While they are, the kernel keeps copies
// of them open for this process: a connection that its server closes is closed
// for its peer only when it is released.
type Held struct {
	copies []int
	missed int
}

// Count is how many connections are held.
func (h *Held) Count() int { return len(h.copies) }

// Missed is how many connections could not be held: those of MPTCP, and those
// beyond the limit of open files.
func (h *Held) Missed() int { return h.missed }

// Release lets everything through again. It may be called more than once.
func (h *Held) Release() error {
	var worst error
	for _, fd := range h.copies {
		if err := detachFilter(fd); err != nil {
			worst = fmt.Errorf("releasing a connection: %w", err)
		}
		unix.Close(fd)
	}
	h.copies = nil
	return worst
}

// Hold holds the established connections of a process that the target takes:
// whatever arrives on them is dropped unacknowledged, and their peers send it
// again. What the process sends goes out. The limit, HoldLimit at most, counts
// from the call; when it has passed the kernel lets everything through by
// itself, whether this process lives or not. Connections that end meanwhile,
// or that nobody has accepted yet, are not held. ErrNoHold says that nothing
// can be held here, and nothing is.
func Hold(p fact.Process, t Target, limit time.Duration) (*Held, error) {
	held, err := hold(p, t, limit)
	if err != nil {
		return nil, fmt.Errorf("holding the connections of process %d on port %d: %w", p.PID, t.Port, err)
	}
	return held, nil
}

func hold(p fact.Process, t Target, limit time.Duration) (*Held, error) {
	if err := t.check(); err != nil {
		return nil, err
	}
	if limit <= 0 || limit > HoldLimit {
		return nil, fmt.Errorf("a hold of %s is none of up to %s", limit, HoldLimit)
	}
	filter, err := loadFilter(limit)
	if err != nil {
		return nil, err
	}
	defer filter.Close() // each socket holds it
	h, err := holdProcess(p)
	if err != nil {
		return nil, err
	}
	defer h.close()
	connections, err := h.established(func(s socket) bool { return s.taken(t) })
	if err != nil {
		return nil, err
	}
	allowFiles(len(connections))
	return h.filter(connections, filter)
}

func (h *heldProcess) filter(connections []ownSocket, filter *ebpf.Program) (*Held, error) {
	held := &Held{}
	for _, c := range connections {
		fd, err := h.copy(c.fd, c.inode)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if errors.Is(err, unix.EMFILE) {
			held.missed++
			continue
		}
		if err != nil {
			return nil, errors.Join(err, held.Release())
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, filter.FD()); err != nil {
			held.missed++
			unix.Close(fd)
			continue
		}
		held.copies = append(held.copies, fd)
	}
	return held, nil
}

// AbleToHold says why connections cannot be held here: ErrNoHold, or nothing.
func AbleToHold() error {
	filter, err := loadFilter(time.Nanosecond)
	if err != nil {
		return err
	}
	return filter.Close()
}

// loadFilter loads a filter that drops everything until a time from now, and
// nothing after it. The kernel's clock for programs is CLOCK_MONOTONIC.
func loadFilter(limit time.Duration) (*ebpf.Program, error) {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return nil, err
	}
	filter, err := load(ebpf.SocketFilter, ebpf.AttachNone, asm.Instructions{
		asm.FnKtimeGetNs.Call(),
		asm.LoadImm(asm.R1, now.Nano()+limit.Nanoseconds(), asm.DWord),
		asm.JGE.Reg(asm.R0, asm.R1, "through"),
		asm.Mov.Imm(asm.R0, 0),
		asm.Return(),
		asm.Mov.Imm32(asm.R0, -1).WithSymbol("through"), // the segment's whole length
		asm.Return(),
	})
	if err != nil {
		return nil, fmt.Errorf("%w: loading a socket filter: %w", ErrNoHold, refused(err, capBPF))
	}
	return filter, nil
}

// allowFiles raises the limit of open files, as far as it goes.
func allowFiles(more int) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return
	}
	want := uint64(more) + 256
	if limit.Cur >= want {
		return
	}
	limit.Cur = want
	limit.Max = max(limit.Max, want)
	_ = unix.Setrlimit(unix.RLIMIT_NOFILE, &limit) // without it the last ones are missed
}

// HeldSockets counts the connections of a process that the target takes and
// that carry a BPF filter: left by a hold whose process died. Its deadline has
// passed or soon will, so they are not in danger.
func HeldSockets(p fact.Process, t Target) (int, error) {
	n, err := eachFiltered(p, t, func(int) error { return nil })
	if err != nil {
		return 0, fmt.Errorf("looking for held connections of process %d on port %d: %w", p.PID, t.Port, err)
	}
	return n, nil
}

// ReleaseLeft takes the BPF filters off the connections that HeldSockets
// counts, and returns how many there were.
func ReleaseLeft(p fact.Process, t Target) (int, error) {
	n, err := eachFiltered(p, t, detachFilter)
	if err != nil {
		return n, fmt.Errorf("releasing the connections of process %d on port %d: %w", p.PID, t.Port, err)
	}
	return n, nil
}

func eachFiltered(p fact.Process, t Target, do func(fd int) error) (int, error) {
	h, err := holdProcess(p)
	if err != nil {
		return 0, err
	}
	defer h.close()
	connections, err := h.established(func(s socket) bool { return s.taken(t) })
	if err != nil {
		return 0, err
	}
	count := 0
	for _, c := range connections {
		fd, err := h.copy(c.fd, c.inode)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return count, err
		}
		if filtered(fd) {
			count++
			err = do(fd)
		}
		unix.Close(fd)
		if err != nil {
			return count, err
		}
	}
	return count, nil
}

func detachFilter(fd int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_FILTER, 0)
	if errors.Is(err, unix.ENOENT) { // there is none
		return nil
	}
	return err
}

// filtered says whether a socket carries a BPF filter. The kernel gives a
// classic filter's length, 0 for none, and since Linux 4.4 EACCES for one that
// has no classic form (sk_get_filter in net/core/filter.c). Nothing is copied
// for a length of 0.
func filtered(fd int) bool {
	var length uint32
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_GET_FILTER, 0, uintptr(unsafe.Pointer(&length)), 0)
	return errno == unix.EACCES
}
