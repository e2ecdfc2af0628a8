// SPDX-License-Identifier: Apache-2.0

//go:build linux

package steer

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

const nobody = 65534

// TestRights asks and tries with some rights only, as a user who has no others.
func TestRights(t *testing.T) {
	s := newSpace(t)
	dir := pinsDir(t)
	mount := filepath.Dir(filepath.Dir(dir))
	for p := mount; p != filepath.Clean(os.TempDir()) && p != "/"; p = filepath.Dir(p) {
		must(t, os.Chmod(p, 0o777))
	}
	const everything = "able: <nil>\nattach: <nil>\nhold: <nil>\nnat: <nil>\n"
	for name, c := range map[string]struct {
		caps []uintptr
		says []string
	}{
		"none":                      {nil, []string{"able: making the map", "CAP_BPF and CAP_NET_ADMIN are missing", "process", "CAP_SYS_PTRACE is missing", "attach: attaching", "hold: connections cannot be held", "nat: translating port 6443 to 6444: not permitted: CAP_NET_ADMIN"}},
		"CAP_BPF":                   {[]uintptr{unix.CAP_BPF, unix.CAP_SYS_PTRACE}, []string{"able: making the map socket: not permitted: CAP_NET_ADMIN is missing\n", "hold: <nil>", "nat: translating port 6443 to 6444: not permitted: CAP_NET_ADMIN is missing\n"}},
		"CAP_NET_ADMIN":             {[]uintptr{unix.CAP_NET_ADMIN, unix.CAP_SYS_PTRACE}, []string{"not permitted: CAP_BPF is missing\n", "hold: connections cannot be held: loading a socket filter: not permitted: CAP_BPF is missing", "nat: <nil>"}},
		"without CAP_SYS_PTRACE":    {[]uintptr{unix.CAP_BPF, unix.CAP_NET_ADMIN}, []string{"able: copying a file descriptor of process", "CAP_SYS_PTRACE is missing\nattach: <nil>"}},
		"all that are needed":       {[]uintptr{unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_SYS_PTRACE}, []string{everything}},
		"CAP_SYS_ADMIN for CAP_BPF": {[]uintptr{unix.CAP_SYS_ADMIN, unix.CAP_NET_ADMIN, unix.CAP_SYS_PTRACE}, []string{everything}},
	} {
		t.Run(name, func(t *testing.T) {
			said := s.able(t, dir, &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, AmbientCaps: c.caps})
			for _, want := range c.says {
				if !strings.Contains(said, want) {
					t.Errorf("it says\n%swithout %q", said, want)
				}
			}
		})
	}
}

// able runs a process that says what it is able to do, in its own namespace.
func (s *space) able(t *testing.T, dir string, attr *syscall.SysProcAttr) string {
	t.Helper()
	a := s.start(t, func(c *exec.Cmd) { c.SysProcAttr = attr }, "able", dir, "/proc/self/ns/net", strconv.Itoa(os.Getpid()))
	said, err := io.ReadAll(a.out)
	must(t, err)
	return string(said)
}

// TestMount starts where no BPF file system is mounted, in a mount namespace of
// its own.
func TestMount(t *testing.T) {
	s := newSpace(t)
	dir := Root + "/perennial/plan"
	if said := s.able(t, dir, &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}); !strings.Contains(said, "able: <nil>\nattach: <nil>\n") {
		t.Errorf("as root it says\n%s", said)
	}
	if there, err := inBPFFS(Root); err != nil || there {
		t.Skipf("the rest needs a machine without a BPF file system on %s", Root)
	}
	l := Lookup{Dir: dir}
	l.must(t, Nothing)
	if left, err := Leftovers(filepath.Dir(dir)); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	attr := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, AmbientCaps: []uintptr{unix.CAP_BPF, unix.CAP_NET_ADMIN, unix.CAP_SYS_PTRACE}}
	said := s.able(t, dir, attr)
	if !strings.Contains(said, "able: no BPF file system is mounted on "+Root+", and mounting one: not permitted: CAP_SYS_ADMIN is missing\n") {
		t.Errorf("without the right to mount it says\n%s", said)
	}
}

func TestPinnable(t *testing.T) {
	for _, dir := range []string{"", "relative", Root, Root + "/perennial/v1.37", "/tmp/../x"} {
		if err := (Lookup{Dir: dir}).Attach("/proc/self/ns/net", Target{Port: 6443}); err == nil {
			t.Errorf("pins at %q were accepted", dir)
		}
	}
	needRoot(t)
	if err := (Lookup{Dir: filepath.Join(t.TempDir(), "pins")}).Able("/proc/self/ns/net", os.Getpid()); err == nil || !strings.Contains(err.Error(), "no BPF file system") {
		t.Errorf("pins on another file system: %v", err)
	}
	if err := (Lookup{Dir: pinsDir(t)}).Attach("/proc/self/ns/mnt", Target{Port: 6443}); err == nil || !strings.Contains(err.Error(), "no network namespace") {
		t.Errorf("another kind of namespace: %v", err)
	}
	if err := (Lookup{Dir: Root + "/perennial/plan"}).Able("/proc/self/ns/none", os.Getpid()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a namespace that is not there: %v", err)
	}
}
