// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
)

// player is what the test's own program calls itself when it plays another.
const player = "perennial-test-player"

func play(args []string) {
	switch args[0] {
	case "lock":
		if _, err := host.AcquireLock(args[1], "playing", time.Now()); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("locked")
	case "ignore":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("ignoring")
	case "obey":
		fmt.Println("obeying")
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends
}

func killed(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }

// seenProcess is a process as a look finds it.
func seenProcess(t *testing.T, pid int) fact.Process {
	t.Helper()
	p, ok := find(t, pid, everything)
	if !ok {
		t.Fatal("the process is not there")
	}
	return p
}

const longGrace = time.Minute // never used up here

func TestStop(t *testing.T) {
	said, pid := playing(t, "obey")
	<-said
	p := seenProcess(t, pid)
	ending, err := host.Stop(t.Context(), p, longGrace)
	if err != nil || ending != host.Terminated {
		t.Fatalf("%s, %v", ending, err)
	}
	// Not reaped yet: a zombie has ended all the same.
	if ending, err := host.Stop(t.Context(), p, longGrace); !host.Gone(err) {
		t.Errorf("again: %s, %v", ending, err)
	}
}

func TestStopKillsWhatIgnoresIt(t *testing.T) {
	said, pid := playing(t, "ignore")
	<-said
	ending, err := host.Stop(t.Context(), seenProcess(t, pid), 100*time.Millisecond)
	if err != nil || ending != host.Killed {
		t.Fatalf("%s, %v", ending, err)
	}
}

func TestStopEndsWithItsContext(t *testing.T) {
	said, pid := playing(t, "ignore")
	<-said
	p := seenProcess(t, pid)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if ending, err := host.Stop(ctx, p, longGrace); host.Why(err) != fact.Timeout {
		t.Errorf("%s, %v", ending, err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("it was killed: %v", err)
	}
	cancel()
	if ending, err := host.Stop(ctx, p, longGrace); err == nil {
		t.Errorf("%s with an ended context", ending)
	}
}

// A PID that was given to another process is left alone.
func TestStopOfAnother(t *testing.T) {
	said, pid := playing(t, "obey")
	<-said
	p := seenProcess(t, pid)
	for what, change := range map[string]func(*fact.Process){
		"an earlier start":  func(p *fact.Process) { p.SinceBoot -= 10 * time.Millisecond },
		"a later start":     func(p *fact.Process) { p.SinceBoot += 10 * time.Millisecond },
		"and by the clock":  func(p *fact.Process) { p.SinceBoot, p.Start = 0, p.Start.Add(2*time.Second) },
		"other arguments":   func(p *fact.Process) { p.Args = []string{player, "ignore"} },
		"fewer arguments":   func(p *fact.Process) { p.Args = p.Args[:1] },
		"no arguments":      func(p *fact.Process) { p.Args = nil },
		"the first process": func(p *fact.Process) { p.PID = 1 },
		"a whole group":     func(p *fact.Process) { p.PID = -p.PID },
	} {
		other := p
		change(&other)
		if ending, err := host.Stop(t.Context(), other, longGrace); !errors.Is(err, host.ErrAnother) || host.Gone(err) {
			t.Errorf("%s: %s, %v", what, ending, err)
		}
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Errorf("it does not run any more: %v", err)
	}
	p.Start = p.Start.AddDate(0, 0, 20) // the clock was set back since
	if ending, err := host.Stop(t.Context(), p, longGrace); err != nil || ending != host.Terminated {
		t.Errorf("after the clock was set: %s, %v", ending, err)
	}
}

func TestStopOfWhatHasEnded(t *testing.T) {
	pid := ended(t)
	p := fact.Process{PID: pid, Start: time.Now(), Args: []string{"true"}}
	if ending, err := host.Stop(t.Context(), p, longGrace); !host.Gone(err) || !strings.Contains(err.Error(), fmt.Sprintf("ending process %d: ", pid)) {
		t.Errorf("%s, %v", ending, err)
	}
}

func TestStopWithoutRights(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to be two users")
	}
	const variable = "PERENNIAL_TEST_VICTIM"
	if pid := os.Getenv(variable); pid != "" {
		var victim int
		if _, err := fmt.Sscan(pid, &victim); err != nil {
			t.Fatal(err)
		}
		// Looked at before the rights are gone for good.
		p := seenProcess(t, victim)
		if err := syscall.Setuid(nobody); err != nil {
			t.Fatal(err)
		}
		if ending, err := host.Stop(t.Context(), p, longGrace); host.Why(err) != fact.Denied || !strings.Contains(err.Error(), "ending process") {
			t.Errorf("%s, %v", ending, err)
		}
		return
	}
	said, pid := playing(t, "obey")
	<-said
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", variable, pid))
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("as nobody: %v\n%s", err, out)
	}
}
