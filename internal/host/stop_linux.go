// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"perennial.dev/perennial/internal/fact"
)

// Stop ends a process: SIGTERM, and after the grace SIGKILL. It returns when
// the process has ended, or with the context's error when that ends first; a
// signal that was sent stays sent.
//
// The process is held by a pidfd (Linux 5.3) while its start and its command
// line are compared with those that were looked at, so the signals reach that
// process and no later one of the same PID. Gone says that it had ended before;
// ErrAnother that its PID is another's.
func Stop(ctx context.Context, p fact.Process, grace time.Duration) (Ending, error) {
	ending, err := stop(ctx, p, grace)
	if err != nil {
		return "", processFailure("ending process %d: %w", p.PID, err)
	}
	return ending, nil
}

func stop(ctx context.Context, p fact.Process, grace time.Duration) (Ending, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if p.PID <= 1 || len(p.Args) == 0 {
		return "", fmt.Errorf("%w: PID %d without a command line is nothing that is ended here", ErrAnother, p.PID)
	}
	held, err := holdProcess(p)
	if err != nil {
		return "", err
	}
	defer unix.Close(held)
	if err := signal(held, unix.SIGTERM); err != nil {
		return "", err
	}
	if ended, err := wait(ctx, held, grace); ended || err != nil {
		return Terminated, err
	}
	// What ended just now is gone for the signal; the grace was enough.
	if err := signal(held, unix.SIGKILL); errors.Is(err, unix.ESRCH) {
		return Terminated, nil
	} else if err != nil {
		return "", err
	}
	for {
		if ended, err := wait(ctx, held, time.Hour); ended || err != nil {
			return Killed, err
		}
	}
}

// holdProcess opens a pidfd. As long as the process behind it lives, nobody
// else gets its PID, so what /proc says under the PID is said of it.
func holdProcess(p fact.Process) (int, error) {
	held, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ENOSYS) {
		return -1, fmt.Errorf("the kernel has no pidfd (Linux 5.3 has): %w", errors.ErrUnsupported)
	}
	if err != nil {
		return -1, err
	}
	err = same(p)
	if err == nil {
		var ended bool
		if ended, err = wait(context.Background(), held, 0); ended {
			err = errGone
		}
	}
	if err != nil {
		unix.Close(held)
		return -1, err
	}
	return held, nil
}

func signal(held int, s unix.Signal) error {
	return unix.PidfdSendSignal(held, s, nil, 0)
}

// waitSlice is how late an ended context is noticed.
const waitSlice = 50 * time.Millisecond

// wait waits for a process to end, at most for a time. A pidfd becomes
// readable when it has.
func wait(ctx context.Context, held int, most time.Duration) (ended bool, err error) {
	deadline := time.Now().Add(most)
	for {
		left := max(0, min(time.Until(deadline), waitSlice))
		fds := []unix.PollFd{{Fd: int32(held), Events: unix.POLLIN}}
		// Rounded up: less than a millisecond left is no reason to spin.
		n, err := unix.Poll(fds, int((left+time.Millisecond-1)/time.Millisecond))
		switch {
		case n > 0:
			return true, nil
		case err != nil && !errors.Is(err, unix.EINTR):
			return false, err
		case ctx.Err() != nil:
			return false, ctx.Err()
		case !time.Now().Before(deadline):
			return false, nil
		}
	}
}
