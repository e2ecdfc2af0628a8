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

// same says whether the process that has the PID now is the one that was
// looked at.
func same(p fact.Process) error {
	before, err := started(p.PID)
	if err != nil {
		return err
	}
	boot, err := bootTime()
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
	if now := (fact.Process{PID: p.PID, Start: boot.Add(before), SinceBoot: before}); !now.Same(p) {
		return fmt.Errorf("%w: it started at %s, not at %s", ErrAnother, now.Start.Format(time.RFC3339Nano), p.Start.Format(time.RFC3339Nano))
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
