// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
)

const limit = host.FileLimit

func put(t *testing.T, root, name, content string) string {
	t.Helper()
	p := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o640); err != nil {
		t.Fatal(err)
	}
	return p
}

func link(t *testing.T, target, root, name string) {
	t.Helper()
	p := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, p); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, root string) *host.FS {
	t.Helper()
	f, err := host.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// The same tree is read from inside, as a mounted file system, and from "/".
func TestReadFollowsLinksInsideTheRoot(t *testing.T) {
	outside := t.TempDir()
	put(t, outside, "secret", "outside")
	root := t.TempDir()
	put(t, root, "etc/real/ca.crt", "inside")
	put(t, root, "secret", "inside")
	link(t, "ca.crt", root, "etc/real/relative")
	link(t, "/etc/real/ca.crt", root, "etc/absolute")
	link(t, "/etc/real", root, "etc/directory")
	link(t, "../../../../../../secret", root, "etc/upward")
	link(t, outside, root, "etc/escape")
	link(t, "/", root, "etc/top")
	f := open(t, root)
	for name, want := range map[string]struct{ target string }{
		"/etc/real/ca.crt":                {""},
		"/etc/real/relative":              {"/etc/real/ca.crt"},
		"/etc/absolute":                   {"/etc/real/ca.crt"},
		"/etc/directory/ca.crt":           {"/etc/real/ca.crt"},
		"/etc/directory/../real/ca.crt":   {""},
		"/etc/upward":                     {"/secret"},
		"/../../secret":                   {""},
		"/etc/top/etc/top/etc/top/secret": {"/secret"},
	} {
		data, meta, err := f.Read(t.Context(), name, limit)
		if err != nil || string(data) != "inside" {
			t.Errorf("%s: %q, %v", name, data, err)
		}
		if meta.Target != want.target {
			t.Errorf("%s: target %q, want %q", name, meta.Target, want.target)
		}
	}
	if data, _, err := f.Read(t.Context(), "/etc/escape/secret", limit); !host.Missing(err) {
		t.Errorf("a link out of the root was followed: %q, %v", data, err)
	}
}

func TestReadTellsWhatTheFileSystemTells(t *testing.T) {
	root := t.TempDir()
	p := put(t, root, "f", "12345")
	when := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	if err := os.Chtimes(p, when, when); err != nil {
		t.Fatal(err)
	}
	var stat syscall.Stat_t
	if err := syscall.Stat(p, &stat); err != nil {
		t.Fatal(err)
	}
	want := fact.Meta{Mode: 0o640, UID: os.Getuid(), GID: int(stat.Gid), Size: 5, ModTime: when,
		Device: uint64(stat.Dev), Inode: stat.Ino}
	_, whole, err := open(t, "/").Read(t.Context(), p, limit)
	if err != nil || whole != want {
		t.Errorf("from the machine's root: %+v, %v", whole, err)
	}
	_, below, err := open(t, root).Read(t.Context(), "/f", limit)
	if err != nil || below != want {
		t.Errorf("from below: %+v, %v", below, err)
	}
}

func TestReadRefuses(t *testing.T) {
	root := t.TempDir()
	put(t, root, "file", "x")
	put(t, root, "dir/in", "x")
	link(t, "loop-b", root, "loop-a")
	link(t, "loop-a", root, "loop-b")
	link(t, "self/self", root, "self")
	link(t, "/nowhere", root, "dangling")
	if err := syscall.Mkfifo(filepath.Join(root, "fifo"), 0o644); err != nil {
		t.Fatal(err)
	}
	sparse := put(t, root, "sparse", "")
	if err := os.Truncate(sparse, 100<<20); err != nil {
		t.Fatal(err)
	}
	socket, err := net.Listen("unix", filepath.Join(root, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	for _, c := range []struct {
		name    string
		why     fact.Why
		missing bool
		says    string
	}{
		{"/dir", fact.Malformed, false, "is a directory"},
		{"/", fact.Malformed, false, "is a directory"},
		{"/fifo", fact.Malformed, false, "named pipe"},
		{"/socket", fact.Malformed, false, "socket"},
		{"/loop-a", fact.Malformed, false, "too many levels of symbolic links"},
		{"/self", fact.Malformed, false, "too many levels of symbolic links"},
		{"/sparse", fact.TooLarge, false, "larger than 16384 KiB"},
		{"/nothing", fact.Failed, true, "no such file"},
		{"/dangling", fact.Failed, true, "no such file"},
		{"/file/below", fact.Failed, true, "not a directory"},
		{"/" + strings.Repeat("n", 300), fact.Failed, false, "file name too long"},
		{"relative", fact.Malformed, false, "not an absolute path"},
		{"", fact.Malformed, false, "not an absolute path"},
		{"/nul\x00byte", fact.Malformed, false, "not an absolute path"},
	} {
		for root, name := range map[string]string{root: c.name, "/": filepath.Join(root, c.name)} {
			if root == "/" && !strings.HasPrefix(c.name, "/") {
				continue
			}
			data, _, err := open(t, root).Read(t.Context(), name, limit)
			if err == nil {
				t.Errorf("%q in %s: read %d bytes", name, root, len(data))
				continue
			}
			if host.Why(err) != c.why || host.Missing(err) != c.missing || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%q in %s: %v (%s, missing %v)", name, root, err, host.Why(err), host.Missing(err))
			}
			if strings.Count(err.Error(), name) != 1 && name != "" && name != "/" {
				t.Errorf("the error does not name the path once: %v", err)
			}
		}
	}
	_, meta, err := open(t, root).Read(t.Context(), "/dangling", limit)
	if !host.Missing(err) || meta.Target != "/nowhere" {
		t.Errorf("dangling: target %q, %v", meta.Target, err)
	}
}

// Opening a device is an act of its own (a watchdog starts, a tape rewinds).
func TestReadOpensNoDevice(t *testing.T) {
	_, _, err := open(t, "/").Read(t.Context(), "/dev/zero", limit)
	if host.Why(err) != fact.Malformed || !strings.Contains(err.Error(), "device") {
		t.Fatal(err)
	}
}

func TestReadDenied(t *testing.T) {
	dir, ok := unprivileged(t, func() string {
		root := t.TempDir()
		p := put(t, root, "closed", "x")
		if err := os.Chmod(p, 0); err != nil {
			t.Fatal(err)
		}
		put(t, root, "shut/in", "x")
		if err := os.Chmod(filepath.Join(root, "shut"), 0); err != nil {
			t.Fatal(err)
		}
		put(t, root, "open/in", "x")
		t.Cleanup(func() { os.Chmod(filepath.Join(root, "shut"), 0o700) })
		return root
	})
	if !ok {
		return
	}
	f := open(t, dir)
	for _, name := range []string{"/closed", "/shut/in"} {
		_, _, err := f.Read(t.Context(), name, limit)
		if host.Why(err) != fact.Denied {
			t.Errorf("%s: %v", name, err)
		}
	}
	tree, err := f.List(t.Context(), "/", host.ListLimits{Files: 10, Entries: 10, Depth: 3})
	if err != nil || len(tree.Problems) != 1 || tree.Problems[0].Path != "/shut" || host.Why(tree.Problems[0].Err) != fact.Denied {
		t.Errorf("%+v, %v", tree, err)
	}
	if len(tree.Files) != 2 || tree.Files[1] != "/open/in" {
		t.Errorf("what can be read is not listed: %v", tree.Files)
	}
}

func TestReadOfAFileThatChanges(t *testing.T) {
	root := t.TempDir()
	p := put(t, root, "f", "")
	var stop atomic.Bool
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 0; !stop.Load(); n++ {
			_ = os.WriteFile(p, []byte(strings.Repeat("x", 1+n%5)), 0o600)
		}
	}()
	defer func() { stop.Store(true); <-done }()
	f := open(t, root)
	for range 20 {
		data, meta, err := f.Read(t.Context(), "/f", limit)
		switch {
		case errors.Is(err, host.ErrChanging):
			if host.Why(err) != fact.Failed {
				t.Errorf("%s", host.Why(err))
			}
		case err != nil:
			t.Errorf("%v", err)
		case int64(len(data)) != meta.Size:
			t.Errorf("%d bytes of a file of %d", len(data), meta.Size)
		}
	}
}

func TestReadOfAFileThatComesToRest(t *testing.T) {
	root := t.TempDir()
	p := put(t, root, "f", "")
	f := open(t, root)
	file, err := os.OpenFile(p, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString("whole"); err != nil {
		t.Fatal(err)
	}
	if data, _, err := f.Read(t.Context(), "/f", limit); err != nil || string(data) != "whole" {
		t.Fatalf("%q, %v", data, err)
	}
}

func TestReadOfStrangeNames(t *testing.T) {
	root := t.TempDir()
	name := "bad\xff\xfe\n\x1b[31m.crt"
	put(t, root, name, "x")
	if data, _, err := open(t, root).Read(t.Context(), "/"+name, limit); err != nil || string(data) != "x" {
		t.Fatalf("%q, %v", data, err)
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	root := t.TempDir()
	put(t, root, "f", "x")
	f := open(t, root)
	if _, _, err := f.Read(ctx, "/f", limit); host.Why(err) != fact.Canceled {
		t.Error(err)
	}
	if _, err := f.List(ctx, "/", host.ListLimits{Files: 1, Entries: 1, Depth: 1}); host.Why(err) != fact.Canceled {
		t.Error(err)
	}
	if _, err := host.Processes(ctx, func([]string) bool { return true }); host.Why(err) != fact.Canceled {
		t.Error(err)
	}
}

func TestOpenFails(t *testing.T) {
	root := t.TempDir()
	p := put(t, root, "file", "")
	for _, bad := range []string{p, filepath.Join(root, "nothing")} {
		if _, err := host.Open(bad); err == nil || !strings.HasPrefix(err.Error(), "opening "+bad+": ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestNode(t *testing.T) {
	root := t.TempDir()
	put(t, root, "etc/hostname", "cp1\n")
	n, err := open(t, root).Node(t.Context())
	if err != nil || n.Hostname != "cp1" || n.Root != root || n.Addresses != nil || n.Now.IsZero() {
		t.Errorf("%+v, %v", n, err)
	}
	own, err := open(t, "/").Node(t.Context())
	if name, _ := os.Hostname(); err != nil || string(own.Hostname) != name {
		t.Errorf("%+v, %v", own, err)
	}
	for _, a := range own.Addresses {
		if ip := net.ParseIP(a); ip == nil || ip.IsLoopback() {
			t.Errorf("address %q", a)
		}
	}
}
