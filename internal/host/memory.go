// SPDX-License-Identifier: Apache-2.0

package host

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// MemoryAvailable is how much memory, in bytes, the kernel can give to programs
// without swapping: MemAvailable of /proc/meminfo (Linux 3.14, proc_meminfo(5)).
// Limits of control groups are not in it.
func MemoryAvailable() (uint64, error) { return memoryLine("/proc/meminfo", "MemAvailable:") }

// MemoryResident is how much memory, in bytes, a process has now: VmRSS of
// /proc/PID/status, exact to a few pages (proc_pid_status(5)). Gone says that
// the process has ended. A zombie and a kernel's thread have none.
func MemoryResident(pid int) (uint64, error) {
	n, err := memoryLine(procPath(pid, "status"), "VmRSS:")
	if err != nil && gone(err) {
		err = fmt.Errorf("measuring process %d: %w", pid, errGone)
	}
	return n, err
}

func memoryLine(file, name string) (uint64, error) {
	text, err := readProc(file, 64<<10)
	if err != nil {
		return 0, failed("reading", file, err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, name); ok {
			n, err := kibibytes(value)
			return n, failed("reading", file, err)
		}
	}
	return 0, failed("reading", file, fmt.Errorf("no line %s", strings.TrimSuffix(name, ":")))
}

// kibibytes reads "  16303284 kB", where kB is 1024 bytes.
func kibibytes(value string) (uint64, error) {
	number, unit, _ := strings.Cut(strings.TrimSpace(value), " ")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || unit != "kB" || n > math.MaxUint64>>10 {
		return 0, fmt.Errorf("%q is no size in kB", strings.TrimSpace(value))
	}
	return n << 10, nil
}
