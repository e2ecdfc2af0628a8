// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Identity is a process that cannot be mistaken for a later one with the same
// number.
type Identity struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot (proc(5), stat, field 22)
	Boot  string `json:"boot"`  // the kernel's id of this boot
}

// Identify reads the identity of a live process.
func Identify(pid int) (Identity, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Identity{}, err
	}
	// The name in field 2 may hold anything, a closing bracket too.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || string(fields[0]) == "Z" {
		return Identity{}, fmt.Errorf("identifying process %d: it has ended", pid)
	}
	start, err := strconv.ParseUint(string(fields[19]), 10, 64)
	if err != nil {
		return Identity{}, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return Identity{PID: pid, Start: start, Boot: strings.TrimSpace(string(boot))}, err
}

// Alive says whether this very process still runs.
func (id Identity) Alive() bool {
	now, err := Identify(id.PID)
	return err == nil && id.PID != 0 && now == id
}

// Signal sends a signal to this very process, which has to be there.
func (id Identity) Signal(signal unix.Signal) error {
	handle, err := unix.PidfdOpen(id.PID, 0)
	if err != nil {
		return fmt.Errorf("signalling process %d: %w", id.PID, err)
	}
	defer unix.Close(handle)
	if !id.Alive() {
		return fmt.Errorf("signalling process %d: it has ended", id.PID)
	}
	return unix.PidfdSendSignal(handle, signal, nil, 0)
}

// Kill ends this very process and waits until it is gone. The handle is taken
// before the identity is checked, so that no other process can be hit.
func (id Identity) Kill(signal unix.Signal, patience time.Duration) error {
	if id.PID == 0 {
		return nil
	}
	handle, err := unix.PidfdOpen(id.PID, 0)
	if err != nil {
		return nil // gone
	}
	defer unix.Close(handle)
	if !id.Alive() {
		return nil
	}
	if err := unix.PidfdSendSignal(handle, signal, nil, 0); err != nil && err != unix.ESRCH {
		return fmt.Errorf("signalling process %d: %w", id.PID, err)
	}
	for deadline := time.Now().Add(patience); id.Alive(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("ending process %d: it still runs %v after signal %d", id.PID, patience, signal)
		}
	}
	return nil
}
