// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/host"
)

// A service manager's socket gets what is told it, at a path and by an abstract
// name.
func TestNotify(t *testing.T) {
	for name, address := range map[string]string{"a path": filepath.Join(t.TempDir(), "notify"), "an abstract name": "@perennial-test-" + filepath.Base(t.TempDir())} {
		t.Run(name, func(t *testing.T) {
			manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			defer manager.Close()
			for _, state := range []string{host.Ready, host.Alive} {
				if err := host.Notify(address, state); err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 64)
				n, _, err := manager.ReadFromUnix(got)
				if err != nil || string(got[:n]) != state {
					t.Errorf("it heard %q, %v", got[:n], err)
				}
			}
		})
	}
	if err := host.Notify("", host.Ready); err != nil {
		t.Error(err)
	}
	if err := host.Notify(filepath.Join(t.TempDir(), "nobody"), host.Ready); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("nobody listens: %v", err)
	}
}

// A program is root's own only if nobody else can replace it, by any directory
// above it or above a link to it.
func TestRootsOwn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make what is root's")
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(name string, mode, dir os.FileMode) {
		t.Helper()
		at := filepath.Join(root, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, nil, mode), os.Chmod(at, mode), os.Chmod(filepath.Dir(at), dir)); err != nil {
			t.Fatal(err)
		}
	}
	write("usr/bin/good", 0o755, 0o755)
	write("usr/lib/plain", 0o644, 0o755)
	write("opt/all/file", 0o777, 0o755)
	write("tmp/sticky", 0o755, 0o777|os.ModeSticky)
	write("srv/group/deep/file", 0o755, 0o755)
	write("theirs/file", 0o755, 0o755)
	if err := errors.Join(os.Chmod(filepath.Join(root, "srv/group"), 0o775), os.Chown(filepath.Join(root, "theirs/file"), 12345, 0),
		os.Symlink("/usr/bin/good", filepath.Join(root, "usr/bin/link")), os.Symlink("/usr/bin/good", filepath.Join(root, "tmp/link"))); err != nil {
		t.Fatal(err)
	}
	f, err := host.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, says := range map[string]string{
		"/usr/bin/good": "", "/usr/bin/link": "", "/usr/lib/plain": "cannot be executed", "/opt/all/file": "0777", "/tmp/sticky": "/tmp/",
		"/srv/group/deep/file": "/srv/group/", "/theirs/file": "user 12345", "/tmp/link": "/tmp/", "/usr/bin": "directory", "/usr/bin/none": "no such file",
	} {
		err := f.RootsOwn(t.Context(), name)
		if (err == nil) != (says == "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
}

func TestRemoveTree(t *testing.T) {
	root := t.TempDir()
	outside := filepath.Join(root, "kept")
	if err := errors.Join(os.MkdirAll(filepath.Join(root, "state/backup/1"), 0o700), os.WriteFile(outside, nil, 0o600),
		os.Symlink("/kept", filepath.Join(root, "state/backup/link")), os.WriteFile(filepath.Join(root, "state/backup/1/0.old"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	f, err := host.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d := host.NewDisk(f, nil)
	for range 2 {
		if err := d.RemoveTree("/state"); err != nil {
			t.Error(err)
		}
		if f.Exists("/state") {
			t.Error("it is still there")
		}
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"/", "/kept"} {
		if err := d.RemoveTree(name); err == nil {
			t.Errorf("%s was removed", name)
		}
	}
}
