// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
)

// seen is everything of a file that a change keeps or sets.
type seen struct {
	content  string
	mode     fs.FileMode
	uid, gid int
}

func look(t *testing.T, name string) seen {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(name)
	if err != nil {
		t.Fatal(err)
	}
	s := info.Sys().(*syscall.Stat_t)
	return seen{string(data), info.Mode(), int(s.Uid), int(s.Gid)}
}

func digest(content string) string { return fact.Digest([]byte(content)) }

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// own is what a test may give a file without being root.
func own(mode uint32) host.Access {
	return host.Access{Mode: mode, UID: os.Geteuid(), GID: os.Getegid()}
}

// trees are a directory, once as the root and once as a part of the running
// machine's file system.
func trees(t *testing.T, dir string, test func(t *testing.T, d *host.Disk, prefix string)) {
	t.Run("below", func(t *testing.T) { test(t, host.NewDisk(open(t, dir), nil), "") })
	t.Run("whole", func(t *testing.T) { test(t, host.NewDisk(open(t, "/"), nil), dir) })
}

func TestReplaceKeepsModeAndOwner(t *testing.T) {
	root := t.TempDir()
	trees(t, root, func(t *testing.T, d *host.Disk, prefix string) {
		for _, mode := range []fs.FileMode{0o600, 0o640, 0o644, 0o444, 0o400, 0o666} {
			name := put(t, root, "pki/apiserver.crt", "old")
			if err := os.Chmod(name, mode); err != nil {
				t.Fatal(err)
			}
			want := seen{"new", mode, os.Geteuid(), os.Getegid()}
			if os.Geteuid() == 0 {
				want.uid, want.gid = 1234, 4321
				if err := os.Chown(name, want.uid, want.gid); err != nil {
					t.Fatal(err)
				}
			}
			if err := d.Replace(prefix+"/pki/apiserver.crt", []byte("new"), digest("old")); err != nil {
				t.Fatal(err)
			}
			if got := look(t, name); got != want {
				t.Errorf("%+v, want %+v", got, want)
			}
			if all := names(t, filepath.Join(root, "pki")); len(all) != 1 {
				t.Errorf("left behind: %q", all)
			}
			os.Remove(name)
		}
	})
}

// A handle that was open keeps the old file whole: no reader sees a mixture.
func TestReplaceLeavesOpenFilesAlone(t *testing.T) {
	root := t.TempDir()
	name := put(t, root, "f", "old")
	before, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer before.Close()
	if err := host.NewDisk(open(t, root), nil).Replace("/f", []byte("new"), digest("old")); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(before); err != nil || b.String() != "old" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

// The kubelet's current client certificate is a link to a dated file.
func TestReplaceKeepsLinks(t *testing.T) {
	root := t.TempDir()
	put(t, root, "pki/kubelet-client-2026.pem", "old")
	link(t, "/pki/kubelet-client-2026.pem", root, "pki/kubelet-client-current.pem")
	link(t, "/pki", root, "elsewhere")
	d := host.NewDisk(open(t, root), nil)
	if err := d.Replace("/elsewhere/kubelet-client-current.pem", []byte("new"), digest("old")); err != nil {
		t.Fatal(err)
	}
	target, err := os.Readlink(filepath.Join(root, "pki/kubelet-client-current.pem"))
	if err != nil || target != "/pki/kubelet-client-2026.pem" {
		t.Errorf("the link is %q, %v", target, err)
	}
	if got := look(t, filepath.Join(root, "pki/kubelet-client-2026.pem")).content; got != "new" {
		t.Errorf("the file holds %q", got)
	}
	if all := names(t, filepath.Join(root, "pki")); len(all) != 2 {
		t.Errorf("left behind: %q", all)
	}
}

func TestReplaceRefusesWhatChanged(t *testing.T) {
	root := t.TempDir()
	name := put(t, root, "f", "somebody else's")
	d := host.NewDisk(open(t, root), nil)
	var changed *host.ChangedError
	err := d.Replace("/f", []byte("new"), digest("old"))
	if !errors.As(err, &changed) || changed.Want != digest("old") || changed.Got != digest("somebody else's") {
		t.Errorf("%v", err)
	}
	if got := look(t, name).content; got != "somebody else's" {
		t.Errorf("it holds %q", got)
	}
	if err := d.Remove("/f", digest("old")); !errors.As(err, &changed) {
		t.Errorf("removing: %v", err)
	}
	if err := d.Replace("/f", []byte("new"), ""); !errors.As(err, &changed) || changed.Want != "" {
		t.Errorf("expected to be absent: %v", err)
	}
	if err := d.Replace("/nothing", []byte("new"), digest("old")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("not there: %v", err)
	}
	if all := names(t, root); len(all) != 1 {
		t.Errorf("left behind: %q", all)
	}
}

// Another program writes between the check and the rename.
func TestReplaceChecksAgainBeforeTheRename(t *testing.T) {
	root := t.TempDir()
	name := put(t, root, "f", "old")
	for _, interfere := range []struct {
		what string
		do   func() error
		want string
	}{
		{"rewritten in place", func() error { return os.WriteFile(name, []byte("in place"), 0o600) }, "in place"},
		{"replaced", func() error { return os.Rename(put(t, root, "g", "replaced"), name) }, "replaced"},
		{"removed", func() error { return os.Remove(name) }, ""},
	} {
		put(t, root, "f", "old")
		d := host.NewDisk(open(t, root), func(op host.Op, do func() error) error {
			if err := do(); err != nil {
				return err
			}
			if op.Do == host.SyncFile {
				return interfere.do()
			}
			return nil
		})
		var changed *host.ChangedError
		if err := d.Replace("/f", []byte("new"), digest("old")); !errors.As(err, &changed) {
			t.Errorf("%s: %v", interfere.what, err)
		}
		data, _ := os.ReadFile(name)
		if string(data) != interfere.want {
			t.Errorf("%s: the file holds %q", interfere.what, data)
		}
		if all := names(t, root); len(all) > 1 {
			t.Errorf("%s: left behind: %q", interfere.what, all)
		}
	}
}

// Whoever may rename a directory above the file gains nothing by it.
func TestReplaceStaysInItsDirectory(t *testing.T) {
	root := t.TempDir()
	put(t, root, "home/.kube/config", "old")
	precious := put(t, root, "etc/config", "old")
	swapped := false
	d := host.NewDisk(open(t, root), func(op host.Op, do func() error) error {
		if !swapped {
			swapped = true
			if err := os.Rename(filepath.Join(root, "home/.kube"), filepath.Join(root, "home/moved")); err != nil {
				t.Fatal(err)
			}
			link(t, "../etc", root, "home/.kube")
		}
		return do()
	})
	if err := d.Replace("/home/.kube/config", []byte("new"), digest("old")); err != nil {
		t.Fatal(err)
	}
	if got := look(t, precious).content; got != "old" {
		t.Errorf("the file elsewhere holds %q", got)
	}
	if got := look(t, filepath.Join(root, "home/moved/config")).content; got != "new" {
		t.Errorf("the file in the directory holds %q", got)
	}
}

func TestChangesRefuseWhatIsNoFile(t *testing.T) {
	root := t.TempDir()
	put(t, root, "dir/in", "")
	if err := syscall.Mkfifo(filepath.Join(root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := host.NewDisk(open(t, root), nil)
	for _, name := range []string{"/dir", "/fifo", "/", "/dir/", "relative", "/nothing/f"} {
		for _, c := range []struct {
			what string
			err  error
		}{
			{"replacing", d.Replace(name, []byte("x"), digest(""))},
			{"replacing", d.Restore(name, []byte("x"), digest(""), own(0o600))},
			{"appending to", d.Append(name, []byte("x"))},
			{"removing", d.Remove(name, digest(""))},
			{"writing", d.WriteNew(name, []byte("x"), own(0o600))},
		} {
			if c.err == nil || !strings.HasPrefix(c.err.Error(), c.what+" "+name+": ") {
				t.Errorf("%s %s: %v", c.what, name, c.err)
			}
		}
	}
	if all := names(t, root); !slices.Equal(all, []string{"dir", "fifo"}) {
		t.Errorf("changed: %q", all)
	}
}

func TestReplaceCopiesLabels(t *testing.T) {
	root := t.TempDir()
	name := put(t, root, "f", "old")
	const label = "user.perennial.test"
	if err := unix.Setxattr(name, label, []byte("kept"), 0); err != nil {
		t.Skipf("no extended attributes here: %v", err)
	}
	set := map[string]string{label: "kept"}
	if os.Geteuid() == 0 {
		const selinux = "system_u:object_r:cert_t:s0\x00"
		if unix.Setxattr(name, "security.selinux", []byte(selinux), 0) == nil {
			set["security.selinux"] = selinux
		}
	}
	if err := host.NewDisk(open(t, root), nil).Replace("/f", []byte("new"), digest("old")); err != nil {
		t.Fatal(err)
	}
	for label, want := range set {
		value := make([]byte, 100)
		n, err := unix.Getxattr(name, label, value)
		if err != nil || string(value[:n]) != want {
			t.Errorf("%s is %q, %v", label, value[:max(n, 0)], err)
		}
	}
}

func TestRestoreGivesModeAndOwner(t *testing.T) {
	root := t.TempDir()
	name := put(t, root, "f", "new")
	as := own(0o604)
	if os.Geteuid() == 0 {
		as.UID, as.GID = 77, 88
	}
	if err := host.NewDisk(open(t, root), nil).Restore("/f", []byte("old"), digest("new"), as); err != nil {
		t.Fatal(err)
	}
	if got, want := look(t, name), (seen{"old", 0o604, as.UID, as.GID}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestWriteNew(t *testing.T) {
	root := t.TempDir()
	put(t, root, "there", "x")
	link(t, "nowhere", root, "dangling")
	put(t, root, "dir/in", "x")
	trees(t, root, func(t *testing.T, d *host.Disk, prefix string) {
		defer os.Remove(filepath.Join(root, "new"))
		if err := d.WriteNew(prefix+"/new", []byte("content"), own(0o640)); err != nil {
			t.Fatal(err)
		}
		if got, want := look(t, filepath.Join(root, "new")), (seen{"content", 0o640, os.Geteuid(), os.Getegid()}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
		for _, name := range []string{"/there", "/dangling", "/dir", "/new"} {
			if err := d.WriteNew(prefix+name, []byte("y"), own(0o600)); !errors.Is(err, fs.ErrExist) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got, _ := os.ReadFile(filepath.Join(root, "there")); string(got) != "x" {
			t.Errorf("what was there holds %q", got)
		}
		if all := names(t, root); !slices.Equal(all, []string{"dangling", "dir", "new", "there"}) {
			t.Errorf("left behind: %q", all)
		}
	})
}

// What somebody else makes at the last moment stays.
func TestWriteNewTakesNobodysPlace(t *testing.T) {
	root := t.TempDir()
	d := host.NewDisk(open(t, root), func(op host.Op, do func() error) error {
		if op.Do == host.Link {
			put(t, root, "f", "theirs")
		}
		return do()
	})
	if err := d.WriteNew("/f", []byte("ours"), own(0o600)); !errors.Is(err, fs.ErrExist) {
		t.Errorf("%v", err)
	}
	if got := look(t, filepath.Join(root, "f")).content; got != "theirs" {
		t.Errorf("it holds %q", got)
	}
	if all := names(t, root); len(all) != 1 {
		t.Errorf("left behind: %q", all)
	}
}

func TestBackup(t *testing.T) {
	root := t.TempDir()
	name := put(t, root, "pki/ca.key", "secret")
	if err := os.Chmod(name, 0o644); err != nil {
		t.Fatal(err)
	}
	d := host.NewDisk(open(t, root), nil)
	const to = "/var/lib/perennial/backup/p1/1-ca.key"
	for range 2 { // a second time it is there already
		sum, as, err := d.Backup("/pki/ca.key", to)
		if err != nil || sum != digest("secret") || as != own(0o644) {
			t.Fatalf("%s, %+v, %v", sum, as, err)
		}
		if got, want := look(t, filepath.Join(root, to)), (seen{"secret", 0o600, os.Geteuid(), os.Getegid()}); got != want {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	for dir := filepath.Dir(filepath.Join(root, to)); dir != root; dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v, %v", dir, info.Mode(), err)
		}
	}
	put(t, root, "pki/ca.key", "another")
	var changed *host.ChangedError
	if _, _, err := d.Backup("/pki/ca.key", to); !errors.As(err, &changed) {
		t.Errorf("over another copy: %v", err)
	}
	if _, _, err := d.Backup("/pki/nothing", to+"2"); !host.Missing(err) {
		t.Errorf("of nothing: %v", err)
	}
}

// A copy that cannot be read back as it was written is no copy.
func TestBackupReadsBack(t *testing.T) {
	root := t.TempDir()
	put(t, root, "f", "content")
	d := host.NewDisk(open(t, root), func(op host.Op, do func() error) error {
		err := do()
		if op.Do == host.Link {
			put(t, root, "backup/f", "c0ntent")
		}
		return err
	})
	var changed *host.ChangedError
	if _, _, err := d.Backup("/f", "/backup/f"); !errors.As(err, &changed) || !strings.HasPrefix(err.Error(), "backing up /f: comparing /backup/f: ") {
		t.Errorf("%v", err)
	}
}

func TestMakeDirRefusesWhereOthersWrite(t *testing.T) {
	root := t.TempDir()
	d := host.NewDisk(open(t, root), nil)
	if err := d.MakeDir("/a/b/c"); err != nil {
		t.Fatal(err)
	}
	if err := d.MakeDir("/a/b/c"); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := os.Chmod(filepath.Join(root, "a/b/c"), 0o770); err != nil {
		t.Fatal(err)
	}
	if err := d.MakeDir("/a/b/c"); err == nil || !strings.Contains(err.Error(), "other users may write") {
		t.Errorf("%v", err)
	}
	put(t, root, "file", "")
	for _, name := range []string{"/file", "/file/below"} {
		if err := d.MakeDir(name); err == nil || !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAppend(t *testing.T) {
	root := t.TempDir()
	name := put(t, root, "f", "a")
	d := host.NewDisk(open(t, root), nil)
	for _, more := range []string{"b", "", "cd"} {
		if err := d.Append("/f", []byte(more)); err != nil {
			t.Fatal(err)
		}
	}
	if got := look(t, name).content; got != "abcd" {
		t.Errorf("%q", got)
	}
}

func TestRemove(t *testing.T) {
	root := t.TempDir()
	put(t, root, "f", "x")
	d := host.NewDisk(open(t, root), nil)
	if err := d.Remove("/f", digest("x")); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Digest("/f"); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestLeftovers(t *testing.T) {
	root := t.TempDir()
	put(t, root, "pki/apiserver.crt", "old")
	stop := errors.New("the program has ended")
	d := host.NewDisk(open(t, root), func(op host.Op, do func() error) error {
		if op.Do == host.Rename || op.Do == host.Remove {
			return stop
		}
		return do()
	})
	if err := d.Replace("/pki/apiserver.crt", []byte("new"), digest("old")); !errors.Is(err, stop) {
		t.Fatal(err)
	}
	put(t, root, "pki/.other", "")
	put(t, root, "pki/.perennial-directory/f", "")
	d = host.NewDisk(open(t, root), nil)
	found, err := d.Leftovers("/pki", "/nothing")
	if err != nil || len(found) != 1 || !strings.HasPrefix(found[0], "/pki/.perennial-apiserver.crt.") {
		t.Fatalf("%q, %v", found, err)
	}
	if info, err := os.Stat(filepath.Join(root, found[0])); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info, err)
	}
	for _, name := range []string{"/pki/apiserver.crt", "/pki/.other"} {
		if err := d.RemoveLeftover(name); err == nil {
			t.Errorf("%s was removed", name)
		}
	}
	// The next run takes the place of what the one before left.
	if err := d.Replace("/pki/apiserver.crt", []byte("new"), digest("old")); err != nil {
		t.Fatal(err)
	}
	if found, err := d.Leftovers("/pki"); err != nil || len(found) != 0 {
		t.Errorf("%q, %v", found, err)
	}
	put(t, root, "pki/.perennial-x.0", "")
	if err := d.RemoveLeftover("/pki/.perennial-x.0"); err != nil {
		t.Error(err)
	}
	if got := names(t, filepath.Join(root, "pki")); !slices.Equal(got, []string{".other", ".perennial-directory", "apiserver.crt"}) {
		t.Errorf("%q", got)
	}
}

// A name may be as long as the file system allows.
func TestReplaceOfALongName(t *testing.T) {
	root := t.TempDir()
	long := strings.Repeat("n", 255)
	put(t, root, long, "old")
	if err := host.NewDisk(open(t, root), nil).Replace("/"+long, []byte("new"), digest("old")); err != nil {
		t.Error(err)
	}
}

// Every primitive may fail: the file is then the old or the new one, and the
// error names it.
func TestEveryPrimitiveMayFail(t *testing.T) {
	for n := 0; ; n++ {
		root := t.TempDir()
		name := put(t, root, "f", "old")
		count := 0
		d := host.NewDisk(open(t, root), func(op host.Op, do func() error) error {
			if count++; count == n+1 {
				return syscall.EIO
			}
			return do()
		})
		err := d.Replace("/f", []byte("new"), digest("old"))
		got := look(t, name).content
		if count <= n {
			if err != nil || got != "new" || n == 0 {
				t.Errorf("undisturbed: %v, %q", err, got)
			}
			return
		}
		if got != "old" && got != "new" || !errors.Is(err, syscall.EIO) || !strings.HasPrefix(err.Error(), "replacing /f: ") {
			t.Errorf("primitive %d: %q, %v", n, got, err)
		}
		if all := names(t, root); len(all) != 1 {
			t.Errorf("primitive %d: left behind: %q", n, all)
		}
	}
}

func ExampleChangedError() {
	fmt.Println(&host.ChangedError{Want: "sha256:00", Got: ""})
	// Output: it was changed by another program: expected sha256:00, found no file; nothing was done to it, look and plan again
}
