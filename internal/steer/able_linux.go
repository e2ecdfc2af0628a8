// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Able says what is missing for steering and holding the connections of a
// process in a network namespace with this Lookup: ErrKernel or ErrRights, and
// everything else at once. It finds out by trying: a program is loaded and
// linked for an instant, without an effect; a mount is made that is attached
// nowhere; a file descriptor is asked for that the process has not.
func (l Lookup) Able(netns string, pid int) error {
	return errors.Join(mountable(l.Dir), ableToLink(netns), ableToCopy(pid))
}

func ableToLink(netns string) error {
	ns, err := openNetNS(netns)
	if err != nil {
		return err
	}
	defer ns.Close()
	// Its map of sockets is empty, so for the instant that it is linked it
	// hands over nothing.
	p, err := linked(ns, Target{Port: 1})
	if err != nil {
		return err
	}
	p.close()
	return nil
}

// noFD is a file descriptor that no process has: it is above the kernel's
// limit. Whether one may be copied is decided before it is looked for.
const noFD = 1 << 30

func ableToCopy(pid int) error {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		defer unix.Close(pidfd)
		_, err = unix.PidfdGetfd(pidfd, noFD, 0)
	}
	switch {
	case errors.Is(err, unix.EBADF):
		return nil
	case errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("%w copy a file descriptor of another process (Linux 5.6 can): %w", ErrKernel, err)
	default:
		return fmt.Errorf("copying a file descriptor of process %d: %w", pid, refused(err, capSysPtrace))
	}
}
