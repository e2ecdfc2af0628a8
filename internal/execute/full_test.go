// SPDX-License-Identifier: Apache-2.0

//go:build linux

package execute_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/testnode"
)

// mounted runs the rest of the calling test in a mount namespace of its own.
func mounted(t *testing.T) bool {
	t.Helper()
	const variable = "PERENNIAL_TEST_MOUNTED"
	if os.Getenv(variable) != "" {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM):
		t.Skipf("a mount namespace is not permitted: %v", err)
	case strings.Contains(string(out), "--- SKIP: "+t.Name()):
		t.Skipf("%s", out)
	case err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Fatalf("in a mount namespace: %v\n%s", err, out)
	}
	t.Logf("%s", out)
	return false
}

// tmpfs puts a file system of its own in place of a directory, with its files.
func tmpfs(t *testing.T, dir string) {
	t.Helper()
	copied := t.TempDir()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "mode=0700,size=1m"); err != nil {
		t.Skipf("mounting is not permitted: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	if err := os.CopyFS(dir, os.DirFS(copied)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".key") {
			err = os.Chmod(name, 0o600)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// leave leaves so many KiB of a file system free.
func leave(t *testing.T, dir string, kib int) {
	t.Helper()
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		t.Fatal(err)
	}
	fill := make([]byte, int(s.Bavail)*int(s.Bsize)-kib<<10)
	if err := os.WriteFile(filepath.Join(dir, "fill"), fill, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A disk that becomes full in the middle, that of the journal or that of the
// files, ends a run with files that can be used; with room again the next run
// ends the work.
func TestFullInTheMiddle(t *testing.T) {
	if !mounted(t) {
		return
	}
	for _, place := range []string{state, "/etc/kubernetes/pki"} {
		full := 0
		for kib := 0; kib <= 88; kib += 4 {
			t.Run(fmt.Sprintf("%s, %d KiB", place, kib), func(t *testing.T) {
				n := aged(t, testnode.Options{Key: "ed25519"})
				tmpfs(t, n.Path(place))
				age(t, n.Root)
				leave(t, n.Path(place), kib)
				before := content(t, n.Root)
				tr := boot(t, n.Root, nil)
				out, err := tr.runner.Run(context.Background(), tr.renewal(false, "apiserver", "etcd-server", "scheduler.conf"))
				if err != nil {
					full++
					if !strings.Contains(err.Error(), "no space left on device: free some") {
						t.Errorf("%+v, %v", out, err)
					}
				}
				if broken := faults(tr.see()); len(broken) > 0 {
					t.Errorf("%q", broken)
				}
				if err := os.Remove(n.Path(place) + "/fill"); err != nil {
					t.Fatal(err)
				}
				again := boot(t, n.Root, nil)
				if err := again.finish(); err != nil {
					t.Errorf("with room again: %v", err)
				}
				if broken := faults(again.see()); len(broken) > 0 || len(again.journal.Unfinished()) > 0 {
					t.Errorf("with room again: %q, open: %+v", broken, again.journal.Unfinished())
				}
				for _, p := range again.journal.Plans() {
					if now := content(t, n.Root); p.Result == journal.Done && maps.Equal(now, before) {
						t.Error("it is said to be done, and nothing was changed")
					}
				}
			})
		}
		t.Logf("%s was full in %d of 23 runs", place, full)
		if full == 0 || full == 23 {
			t.Errorf("%s was full in %d of 23 runs", place, full)
		}
	}
}
