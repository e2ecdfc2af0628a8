// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
)

// mounting runs the rest of the calling test in a mount namespace of its own,
// which ends with it. It returns a directory to mount on.
func mounting(t *testing.T) (dir string, ok bool) {
	t.Helper()
	const variable = "PERENNIAL_TEST_MOUNT"
	if d := os.Getenv(variable); d != "" {
		return d, true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"="+t.TempDir())
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
	return "", false
}

func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		t.Skipf("mounting is not permitted: %v", err)
	}
}

func TestFullDisk(t *testing.T) {
	dir, ok := mounting(t)
	if !ok {
		return
	}
	mount(t, "tmpfs", dir, "tmpfs", 0, "size=64k,nr_inodes=16")
	name := put(t, dir, "f", "old")
	d := host.NewDisk(open(t, dir), nil)
	if s, err := d.Space("/not/yet/made"); err != nil || s.Bytes == 0 || s.Bytes > 64<<10 || s.Inodes == 0 || s.Inodes > 16 || s.AnyInodes {
		t.Errorf("%+v, %v", s, err)
	}
	check := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "no space left on device: free some") {
			t.Errorf("%s: %v", what, err)
		}
		if got := look(t, name).content; got != "old" {
			t.Errorf("%s: the file holds %q", what, got)
		}
		if all := names(t, dir); len(all) != 1 {
			t.Errorf("%s: left behind: %q", what, all)
		}
	}
	large := bytes.Repeat([]byte("x"), 128<<10)
	check("replacing", d.Replace("/f", large, digest("old")))
	check("writing", d.WriteNew("/g", large, own(0o600)))
	// Without inodes even a small file has no place.
	for n := range 20 {
		put(t, dir+"/fill", string(rune('a'+n)), "")
		if s, err := d.Space("/"); err == nil && s.Inodes == 0 {
			break
		}
	}
	err := d.Replace("/f", []byte("new"), digest("old"))
	if !errors.Is(err, syscall.ENOSPC) || look(t, name).content != "old" {
		t.Errorf("without inodes: %v", err)
	}
	// An append that does not fit is an error, whatever part of it is there.
	if err := d.Append("/f", large); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("appending: %v", err)
	}
}

func TestReadOnlyDisk(t *testing.T) {
	dir, ok := mounting(t)
	if !ok {
		return
	}
	put(t, dir, "pki/f", "old")
	mount(t, dir, dir, "", unix.MS_BIND, "")
	mount(t, "", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	d := host.NewDisk(open(t, dir), nil)
	for what, err := range map[string]error{
		"replacing /pki/f":    d.Replace("/pki/f", []byte("new"), digest("old")),
		"writing /pki/g":      d.WriteNew("/pki/g", nil, own(0o600)),
		"appending to /pki/f": d.Append("/pki/f", []byte("x")),
		"removing /pki/f":     d.Remove("/pki/f", digest("old")),
		"making /new":         d.MakeDir("/new"),
	} {
		if !errors.Is(err, syscall.EROFS) || !strings.HasPrefix(err.Error(), what+": read-only file system: mount it writable") {
			t.Errorf("%s: %v", what, err)
		}
	}
	rights := d.Rights("/pki")
	if len(rights.Unwritable) != 1 || !errors.Is(rights.Unwritable[0].Err, syscall.EROFS) {
		t.Errorf("%+v", rights)
	}
}

// A single file that is mounted somewhere cannot be replaced there.
func TestMountPoint(t *testing.T) {
	dir, ok := mounting(t)
	if !ok {
		return
	}
	source, target := put(t, dir, "source", "old"), put(t, dir, "target", "")
	mount(t, source, target, "", unix.MS_BIND, "")
	err := host.NewDisk(open(t, dir), nil).Replace("/target", []byte("new"), digest("old"))
	if !errors.Is(err, syscall.EBUSY) || !strings.Contains(err.Error(), "mount point") {
		t.Errorf("%v", err)
	}
	if all := names(t, dir); len(all) != 2 {
		t.Errorf("left behind: %q", all)
	}
}

func TestChangesWithoutRights(t *testing.T) {
	dir, ok := unprivileged(t, func() string {
		root := t.TempDir()
		put(t, root, "shut/f", "old")
		put(t, root, "theirs/f", "old")
		put(t, root, "mine/f", "old")
		if os.Geteuid() != 0 {
			t.Skip("needs root to make files of two users")
		}
		for name, mode := range map[string]fs.FileMode{"shut": 0o555, "mine": 0o777, "theirs": 0o777, "mine/f": 0o640, "theirs/f": 0o644} {
			if err := os.Chmod(filepath.Join(root, name), mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(filepath.Join(root, "shut/f"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(filepath.Join(root, "mine/f"), nobody, nobody); err != nil {
			t.Fatal(err)
		}
		return root
	})
	if !ok {
		return
	}
	d := host.NewDisk(open(t, dir), nil)
	err := d.Replace("/shut/f", []byte("new"), digest("old"))
	if host.Why(err) != fact.Denied || err.Error() != "replacing /shut/f: permission denied" {
		t.Errorf("%v", err)
	}
	// It could be replaced, and would then belong to somebody else.
	err = d.Replace("/theirs/f", []byte("new"), digest("old"))
	if host.Why(err) != fact.Denied || look(t, dir+"/theirs/f") != (seen{"old", 0o644, 0, 0}) || len(names(t, dir+"/theirs")) != 1 {
		t.Errorf("%v, %+v", err, look(t, dir+"/theirs/f"))
	}
	if err := d.Replace("/mine/f", []byte("new"), digest("old")); err != nil {
		t.Error(err)
	}
	if got, want := look(t, dir+"/mine/f"), (seen{"new", 0o640, nobody, nobody}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	rights := d.Rights("/mine", "/shut", "/nothing", "/mine/f")
	if rights.Root || len(rights.Unwritable) != 3 {
		t.Fatalf("%+v", rights)
	}
	if p := rights.Unwritable[0]; p.Path != "/shut" || host.Why(p.Err) != fact.Denied {
		t.Errorf("%+v", p)
	}
	if err := d.MakeDir("/shut"); err == nil && os.Geteuid() != 0 {
		if err := d.MakeDir("/shut/below"); host.Why(err) != fact.Denied {
			t.Error(err)
		}
	}
}

func TestRightsOfRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	root := t.TempDir()
	put(t, root, "shut/f", "")
	if err := os.Chmod(filepath.Join(root, "shut"), 0o500); err != nil {
		t.Fatal(err)
	}
	rights := host.NewDisk(open(t, root), nil).Rights("/shut", "/")
	if !rights.Root || len(rights.Unwritable) != 0 {
		t.Errorf("%+v", rights)
	}
}

// Some make certificates immutable, so that nobody renews them by accident.
func TestImmutableFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	root := t.TempDir()
	name := put(t, root, "f", "old")
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const immutable = 0x10 // FS_IMMUTABLE_FL
	if err := unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, immutable); err != nil {
		t.Skipf("no immutable files here: %v", err)
	}
	defer unix.IoctlSetPointerInt(int(file.Fd()), unix.FS_IOC_SETFLAGS, 0)
	err = host.NewDisk(open(t, root), nil).Replace("/f", []byte("new"), digest("old"))
	if host.Why(err) != fact.Denied || !strings.Contains(err.Error(), "lsattr") {
		t.Errorf("%v", err)
	}
	if all := names(t, root); len(all) != 1 || look(t, name).content != "old" {
		t.Errorf("left behind: %q", all)
	}
}
