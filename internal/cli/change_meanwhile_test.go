// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cli_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/timeline"
)

// What another program writes while a renewal is under way stays. The run stops
// there, names the file, and the next one begins with what is there.
func TestChangedMeanwhile(t *testing.T) {
	s := newSite(t)
	shown, code := s.run("renew", "--all", "--dry-run", "-o", "json")
	var p plan.Plan
	if err := json.Unmarshal([]byte(shown), &p); err != nil || code != timeline.ExitOK {
		t.Fatalf("exit code %d, %v", code, err)
	}
	last := p.Steps[len(p.Steps)-1]
	victim := last.Files[0].Path
	for _, f := range last.Files {
		if f.Written {
			victim = f.Path
		}
	}
	theirs := append(s.Read(strings.TrimPrefix(victim, s.Root)), "# another program's\n"...)
	said, code := s.held(" 2  renew", func() {
		if err := os.WriteFile(victim, theirs, 0o600); err != nil {
			t.Fatal(err)
		}
	}, "renew", "--all", "--yes")
	if code != timeline.ExitNeedsPerson || !strings.Contains(said, victim) || !strings.Contains(said, "plan again") {
		t.Errorf("exit code %d\n%s", code, said)
	}
	if now, err := os.ReadFile(victim); err != nil || !bytes.Equal(now, theirs) {
		t.Errorf("what another program has written is gone: %v", err)
	}
	s.usable()
	s.expect(timeline.ExitOK, []string{"11 steps done"}, "renew", "--all", "--yes")
	if now, _ := os.ReadFile(victim); !bytes.Contains(now, []byte("# another program's")) {
		t.Error("the next run has lost what is not a certificate")
	}
	s.usable()
}

// held runs the product, stops it when it says something, does something, and
// lets it go on. It returns what the product says and its exit code.
func (s *site) held(when string, do func(), args ...string) (string, int) {
	s.t.Helper()
	c := s.command(args...)
	stderr, err := c.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	var said bytes.Buffer
	buf := make([]byte, 64)
	for !strings.Contains(said.String(), when) {
		n, err := stderr.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			s.t.Fatalf("%v\n%s", err, &said)
		}
	}
	if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
		s.t.Fatal(err)
	}
	do()
	if err := c.Process.Signal(syscall.SIGCONT); err != nil {
		s.t.Fatal(err)
	}
	_, _ = io.Copy(&said, stderr)
	_ = c.Wait()
	return said.String(), c.ProcessState.ExitCode()
}

// A file that may not be changed (chattr +i) stops a renewal with its name; what
// was renewed before it can be used, and without the mark the rest is done.
func TestImmutable(t *testing.T) {
	s := newSite(t)
	const immutable = 0x10 // FS_IMMUTABLE_FL
	file := s.Path("/etc/kubernetes/pki/front-proxy-client.crt")
	mark := func(on bool) {
		t.Helper()
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		flags, err := unix.IoctlGetUint32(int(f.Fd()), unix.FS_IOC_GETFLAGS)
		if err == nil {
			if flags &^= immutable; on {
				flags |= immutable
			}
			err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, int(flags))
		}
		if err != nil {
			t.Skipf("marking a file immutable is not permitted here: %v", err)
		}
	}
	mark(true)
	defer mark(false)
	before := files(t, s.Root)
	out, code := s.run("renew", "--all", "--yes")
	if code == timeline.ExitOK || !strings.Contains(out, "replacing "+file+": operation not permitted") || !strings.Contains(out, "lsattr") {
		t.Errorf("exit code %d\n%s", code, out)
	}
	if now := files(t, s.Root); now[file] != before[file] {
		t.Error("it was changed all the same")
	}
	s.usable()
	mark(false)
	s.expect(timeline.ExitOK, []string{"11 steps done"}, "renew", "--all", "--yes")
	s.usable()
	if maps.Equal(files(t, s.Root), before) {
		t.Error("nothing was renewed")
	}
}

// faulted runs a renewal during which a file system fails, and another one when
// it works again: the first names what failed and what to do, and leaves files
// that can be used; the second finishes.
func (s *site) faulted(fail, mend func(), words ...string) {
	s.t.Helper()
	said, code := s.held(" 3  renew", fail, "renew", "--all", "--yes")
	if code != timeline.ExitNeedsPerson {
		s.t.Errorf("exit code %d\n%s", code, said)
	}
	for _, w := range words {
		if !strings.Contains(said, w) {
			s.t.Errorf("it does not say %q:\n%s", w, said)
		}
	}
	s.usable()
	mend()
	s.expect(timeline.ExitOK, []string{"11 steps done"}, "renew", "--all", "--yes")
	if history := s.expect(timeline.ExitOK, nil, "history"); strings.Contains(history, "cut off") {
		s.t.Errorf("it is still open:\n%s", history)
	}
	s.usable()
}

// A disk that becomes full under a renewal.
func TestFullMeanwhile(t *testing.T) {
	if !mounted(t) {
		return
	}
	s := newSite(t)
	if err := os.MkdirAll(s.state, 0o700); err != nil {
		t.Fatal(err)
	}
	mount(t, "tmpfs", s.state, "tmpfs", 0, "mode=0700,size=32m")
	defer func() { _ = unix.Unmount(s.state, unix.MNT_DETACH) }()
	fill := filepath.Join(s.state, "fill")
	s.faulted(func() {
		f, err := os.OpenFile(fill, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for err == nil { // to the last byte
			_, err = f.Write(make([]byte, 4096))
		}
	}, func() {
		if err := os.Remove(fill); err != nil {
			t.Fatal(err)
		}
	}, s.state, "no space left on device: free some")
}

// A file system that becomes read-only under a renewal, as one does whose disk
// has errors.
func TestReadOnlyMeanwhile(t *testing.T) {
	if !mounted(t) {
		return
	}
	s := newSite(t)
	dir := s.Path("/etc/kubernetes/pki")
	mount(t, dir, dir, "", unix.MS_BIND, "")
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	s.faulted(func() {
		mount(t, "", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	}, func() {
		mount(t, "", dir, "", unix.MS_REMOUNT|unix.MS_BIND, "")
	}, dir, "read-only file system: mount it writable")
}
