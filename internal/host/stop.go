// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Ending is how a process ended.
type Ending string

// The endings.
const (
	Terminated Ending = "terminated" // within the grace after SIGTERM
	Killed     Ending = "killed"     // by SIGKILL, after the grace
)

// ErrAnother says that a PID belongs to another process than was looked at.
// The one that was looked at has ended.
var ErrAnother = errors.New("the PID belongs to another process now")

// startSlack is by how much the starts of one process may differ between two
// looks. Both are counted from the boot, by a wall clock that is read in two
// steps. A PID that was given out again within it, to a process with the same
// command line, would need all PIDs to be used up in that time.
const startSlack = time.Second

// Started is when a running process started, by the present wall clock.
func Started(pid int) (time.Time, error) {
	boot, err := bootTime()
	if err != nil {
		return time.Time{}, fmt.Errorf("asking process %d for its start: %w", pid, err)
	}
	after, err := started(pid)
	if err != nil {
		return time.Time{}, processFailure("asking process %d for its start: %w", pid, err)
	}
	return boot.Add(after), nil
}

// same says whether the process that has the PID now is the one that was
// looked at.
func same(p fact.Process) error {
	start, err := Started(p.PID)
	if err != nil {
		return err
	}
	line, err := readProc(procPath(p.PID, "cmdline"), argsLimit)
	if err != nil {
		return err
	}
	args := splitArgs(line)
	if len(args) == 0 { // a zombie
		return errGone
	}
	if off := start.Sub(p.Start).Abs(); off > startSlack {
		return fmt.Errorf("%w: it started at %s, not at %s", ErrAnother, start.Format(time.RFC3339Nano), p.Start.Format(time.RFC3339Nano))
	}
	if !slices.Equal(args, p.Args) {
		return fmt.Errorf("%w: it has another command line", ErrAnother)
	}
	return nil
}

func processFailure(format string, pid int, err error) error {
	if gone(err) {
		err = errGone
	}
	return fmt.Errorf(format, pid, innermost(err))
}
