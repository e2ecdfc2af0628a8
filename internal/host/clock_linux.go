// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bootTime is when the machine started, by its present wall clock: what the
// start times in /proc are counted from. CLOCK_BOOTTIME also runs while the
// machine sleeps, as those start times do.
func bootTime() (time.Time, error) {
	up, err := sinceBoot()
	return time.Now().UTC().Round(0).Add(-up), err
}

func sinceBoot() (time.Duration, error) {
	var up unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up)
	return time.Duration(up.Nano()), err
}

// SinceBoot is a stopwatch that nobody sets and that outlives a program: for how long
// the machine has run, its sleep included (CLOCK_BOOTTIME), and the ID of this boot,
// which no other one has (random(4)).
func SinceBoot() (boot string, since time.Duration, err error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err == nil {
		since, err = sinceBoot()
	}
	if err != nil {
		return "", 0, fmt.Errorf("reading since when the machine runs: %w", err)
	}
	return strings.TrimSpace(string(id)), since, nil
}
