// SPDX-License-Identifier: Apache-2.0

package host

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"
)

const procStat = `cpu  1000 20 300 7000 80 5 5 90 40 0
cpu0 500 10 150 3500 40 5 5 45 20 0
cpu1 500 10 150 3500 40 0 0 45 20 0
intr 12345 0 0
ctxt 1
cpufreq is no CPU
`

func TestCPUTimes(t *testing.T) {
	got, err := cpuTimes(strings.Replace(procStat, "cpufreq", "other", 1))
	if want := (CPUTime{Cores: 2, Idle: 7080 * 10 * time.Millisecond, Total: 8500 * 10 * time.Millisecond}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for _, broken := range []string{"", "cpu\n", "cpu  x\ncpu0 1\n", "cpu  -1 0\ncpu0 1\n", "cpu 1 1 1 1\n", "intr 1\n"} {
		if got, err := cpuTimes(broken); err == nil {
			t.Errorf("%q: %+v", broken, got)
		}
	}
}

func TestIdleSince(t *testing.T) {
	at := func(idle, total time.Duration) CPUTime { return CPUTime{Idle: idle, Total: total} }
	for _, c := range []struct {
		before, after CPUTime
		want          float64
		ok            bool
	}{
		{at(10, 100), at(60, 200), 0.5, true},
		{at(10, 100), at(110, 200), 1, true},
		{at(10, 100), at(9, 200), 0, true}, // iowait went back
		{at(10, 100), at(10, 100), 0, false},
		{at(10, 100), at(0, 50), 0, false},
	} {
		if got, ok := c.after.IdleSince(c.before); got != c.want || ok != c.ok {
			t.Errorf("%+v to %+v: %v, %v", c.before, c.after, got, ok)
		}
	}
}

// The machine's own numbers are the kernel's.
func TestCPUTimesOfThisMachine(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	first, err := CPUTimes()
	if err != nil {
		t.Fatal(err)
	}
	online, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(online), "\nprocessor\t:") + 1; runtime.GOARCH == "amd64" && first.Cores != n {
		t.Errorf("%d cores, and /proc/cpuinfo lists %d", first.Cores, n)
	}
	second := first
	for second.Total == first.Total { // a hundredth of a second
		if second, err = CPUTimes(); err != nil {
			t.Fatal(err)
		}
	}
	if share, ok := second.IdleSince(first); !ok || share < 0 || share > 1 {
		t.Errorf("%+v to %+v: %v, %v", first, second, share, ok)
	}
}

func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	total, err := memoryLine("/proc/meminfo", "MemTotal:")
	if err != nil {
		t.Fatal(err)
	}
	if free, err := MemoryAvailable(); err != nil || free == 0 || free > total {
		t.Errorf("%d bytes of %d, %v", free, total, err)
	}
	before, err := MemoryResident(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const more = 64 << 20
	held := make([]byte, more)
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	after, err := MemoryResident(os.Getpid())
	if err != nil || after < before+more/2 {
		t.Errorf("%d bytes, then %d with %d more, %v", before, after, more, err)
	}
	runtime.KeepAlive(held)
}

func TestMemoryOfAnEndedProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("there is no /proc")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^$")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := MemoryResident(cmd.Process.Pid); !Gone(err) {
		t.Errorf("%v", err)
	}
}

func TestKibibytes(t *testing.T) {
	if n, err := kibibytes("   16303284 kB\n"); err != nil || n != 16303284<<10 {
		t.Errorf("%d, %v", n, err)
	}
	for _, broken := range []string{"", "12", "12 MB", "-1 kB", "99999999999999999999 kB", "18446744073709551615 kB"} {
		if n, err := kibibytes(broken); err == nil {
			t.Errorf("%q: %d", broken, n)
		}
	}
}
