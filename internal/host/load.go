// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// CPUTime is what all CPUs together have done since the machine started.
type CPUTime struct {
	Cores int // that are online
	Idle  time.Duration
	Total time.Duration
}

// CPUTimes reads /proc/stat (proc_stat(5)), exact to a hundredth of a second for
// each CPU. Two readings, a second or more apart, make a sample.
func CPUTimes() (CPUTime, error) {
	const file = "/proc/stat"
	text, err := readProc(file, 4<<20)
	if err != nil {
		return CPUTime{}, failed("reading", file, err)
	}
	t, err := cpuTimes(string(text))
	return t, failed("reading", file, err)
}

// IdleSince is the share of the CPUs' time, from 0 to 1, that nobody used since
// an earlier reading. Waiting for a disk leaves a CPU to others and is idle;
// what a hypervisor took is not. False: no time has passed between the two.
func (t CPUTime) IdleSince(before CPUTime) (share float64, ok bool) {
	total, idle := t.Total-before.Total, t.Idle-before.Idle
	if total <= 0 {
		return 0, false
	}
	// iowait may go back (proc_stat(5)).
	return min(1, max(0, float64(idle)/float64(total))), true
}

// The fields of a line of /proc/stat: user nice system idle iowait irq softirq
// steal; what guests used follows, and is in user and nice already.
const (
	idleField = 3
	waitField = 4
	cpuFields = 8
)

func cpuTimes(text string) (CPUTime, error) {
	var t CPUTime
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 0 || !strings.HasPrefix(fields[0], "cpu"):
			continue
		case fields[0] != "cpu":
			t.Cores++
			continue
		}
		for i, field := range fields[1:min(len(fields), cpuFields+1)] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil || n < 0 || n > int64(1<<60)/int64(time.Second/ticks) {
				return CPUTime{}, fmt.Errorf("%q is no time of a CPU", field)
			}
			spent := time.Duration(n) * (time.Second / ticks)
			t.Total += spent
			if i == idleField || i == waitField {
				t.Idle += spent
			}
		}
	}
	if t.Cores == 0 || t.Total == 0 {
		return CPUTime{}, errors.New("no line of a CPU")
	}
	return t, nil
}
