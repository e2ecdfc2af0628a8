// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host_test

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/host"
)

var lockTime = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func TestLock(t *testing.T) {
	name := filepath.Join(t.TempDir(), "perennial/lock")
	first, err := host.AcquireLock(name, "renew --all\n\x1b[2J", lockTime)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Dir(name)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	var held *host.HeldError
	_, err = host.AcquireLock(name, "undo", lockTime)
	if !errors.As(err, &held) || held.Holder.PID != os.Getpid() || !held.Holder.Since.Equal(lockTime) {
		t.Fatalf("%v", err)
	}
	if m := err.Error(); !strings.Contains(m, "since 2026-03-04T05:06:07Z (renew --all") || strings.ContainsAny(m, "\n\x1b") {
		t.Errorf("%q", m)
	}
	if err := first.Release(); err != nil {
		t.Error(err)
	}
	second, err := host.AcquireLock(name, "undo", lockTime)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Release()
	if data, _ := os.ReadFile(name); !strings.HasSuffix(string(data), " undo\n") {
		t.Errorf("%q", data)
	}
}

// The kernel releases the lock of a process that was killed, and what it wrote
// deters nobody.
func TestLockOfAProcessThatDies(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	holder, pid := playing(t, "lock", name)
	if said := <-holder; said != "locked" {
		t.Fatalf("the other process says %q", said)
	}
	var held *host.HeldError
	if _, err := host.AcquireLock(name, "mine", lockTime); !errors.As(err, &held) || held.Holder.PID != pid || held.Holder.Purpose != "playing" {
		t.Fatalf("%v", err)
	}
	if err := killed(pid); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		lock, err := host.AcquireLock(name, "mine", lockTime)
		if err == nil {
			lock.Release()
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the lock of a dead process stays")
}

// A child that outlives the program holds no lock.
func TestLockIsNotInherited(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	lock, err := host.AcquireLock(name, "mine", lockTime)
	if err != nil {
		t.Fatal(err)
	}
	start(t, exec.Command("cat"))
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := host.AcquireLock(name, "mine", lockTime)
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
}

func TestLockFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	precious := put(t, dir, "precious", "content")
	link(t, precious, dir, "lock")
	if _, err := host.AcquireLock(filepath.Join(dir, "lock"), "mine", lockTime); err == nil {
		t.Error("a link was followed")
	}
	if got := look(t, precious).content; got != "content" {
		t.Errorf("%q", got)
	}
}

// A holder that has not yet written, or wrote what cannot be read.
func TestLockOfAnUnknownHolder(t *testing.T) {
	name := filepath.Join(t.TempDir(), "lock")
	lock, err := host.AcquireLock(name, "mine", lockTime)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	for _, content := range []string{"", "x", "-1 y z", "5 yesterday x", strings.Repeat("9", 5000)} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var held *host.HeldError
		if _, err := host.AcquireLock(name, "other", lockTime); !errors.As(err, &held) || held.Holder.PID != 0 || !strings.Contains(err.Error(), "another process") {
			t.Errorf("%q: %v", content, err)
		}
	}
}

func TestLockWithoutRights(t *testing.T) {
	dir, ok := unprivileged(t, func() string { return t.TempDir() })
	if !ok {
		return
	}
	if os.Getenv("PERENNIAL_TEST_DIR") == "" {
		t.Skip("needs root to make a directory of another user")
	}
	_, err := host.AcquireLock(filepath.Join(dir, "sub/lock"), "mine", lockTime)
	if err == nil || !strings.HasPrefix(err.Error(), "locking "+dir+"/sub/lock: permission denied") {
		t.Errorf("%v", err)
	}
}

// playing starts this program in another part, and returns the lines that it
// says and its PID.
func playing(t *testing.T, args ...string) (<-chan string, int) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = player
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	pid := start(t, cmd)
	lines := make(chan string, 10)
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	return lines, pid
}
