// SPDX-License-Identifier: Apache-2.0

package host

import (
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is when the machine started, by its present wall clock: what the
// start times in /proc are counted from. CLOCK_BOOTTIME also runs while the
// machine sleeps, as those start times do.
func bootTime() (time.Time, error) {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return time.Time{}, err
	}
	return time.Now().UTC().Round(0).Add(-time.Duration(up.Nano())), nil
}
