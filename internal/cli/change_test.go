// SPDX-License-Identifier: Apache-2.0

//go:build linux

package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/testnode"
	"perennial.dev/perennial/internal/timeline"
)

// site is a control-plane node's files on the running machine, with the product
// at work on them: the real command line, in a process of its own.
type site struct {
	t *testing.T
	*testnode.Node
	state, lock string
}

func newSite(t *testing.T) *site {
	t.Helper()
	return siteOf(t, testnode.Options{Key: "ed25519"})
}

// siteOf is a site of a node that is made otherwise.
func siteOf(t *testing.T, o testnode.Options) *site {
	t.Helper()
	n := testnode.New(t, o)
	for _, m := range []string{"kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"} {
		n.Edit("/etc/kubernetes/manifests/"+m+".yaml", "/etc/kubernetes", n.Path("/etc/kubernetes"))
	}
	for _, f := range []string{"manifests/kube-apiserver.yaml", "manifests/etcd.yaml", "admin.conf", "super-admin.conf", "controller-manager.conf", "scheduler.conf", "kubelet.conf"} {
		n.Edit("/etc/kubernetes/"+f, "192.0.2.10", "127.0.0.2") // where nothing listens
	}
	n.Edit("/etc/kubernetes/kubelet.conf", "/var/lib/kubelet", n.Path("/var/lib/kubelet"))
	return &site{t: t, Node: n, state: filepath.Join(t.TempDir(), "state"), lock: filepath.Join(t.TempDir(), "lock")}
}

func (s *site) command(args ...string) *exec.Cmd {
	args = append(args, "--kubernetes-dir", s.Path("/etc/kubernetes"), "--state", s.state)
	if args[0] != "history" {
		args = append(args, "--lock", s.lock)
	}
	return product(s.t, args...)
}

// run runs the product and returns what it says and its exit code.
func (s *site) run(args ...string) (string, int) {
	s.t.Helper()
	out, err := s.command(args...).CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		s.t.Fatal(err)
	}
	if ended != nil {
		return string(out), ended.ExitCode()
	}
	return string(out), 0
}

// expect runs the product and compares exit code and words.
func (s *site) expect(code int, words []string, args ...string) string {
	s.t.Helper()
	out, got := s.run(args...)
	if got != code {
		s.t.Fatalf("perennial %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, out)
	}
	for _, w := range words {
		if !strings.Contains(out, w) {
			s.t.Errorf("perennial %s: it does not say %q:\n%s", strings.Join(args, " "), w, out)
		}
	}
	return out
}

// files are all of a directory's, with their content.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(name)
		all[name] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (s *site) journal() string { return filepath.Join(s.state, "journal", "journal.jsonl") }

// A renewal, its history, and taking it back, which gives the same bytes.
func TestRenewAndUndo(t *testing.T) {
	s := newSite(t)
	old := files(t, s.Root)
	out := s.expect(timeline.ExitOK, []string{"11 steps done, 3 of them not proven in all"}, "renew", "--all", "--yes")
	if maps.Equal(files(t, s.Root), old) {
		t.Fatal("nothing was renewed")
	}
	id := regexp.MustCompile(`perennial undo (\S+)`).FindStringSubmatch(out)[1]
	s.expect(timeline.ExitOK, []string{id}, "history")
	s.expect(timeline.ExitOK, []string{"valid until"}, "history", "show", id)
	s.expect(timeline.ExitOK, []string{"11 files to restore"}, "undo", id, "--yes")
	if !maps.Equal(files(t, s.Root), old) {
		t.Error("undo does not give the same bytes")
	}
	s.expect(timeline.ExitFailed, []string{"was undone by"}, "undo", id, "--yes")
}

// Without a terminal nothing is done unasked.
func TestAsks(t *testing.T) {
	s := newSite(t)
	old := files(t, s.Root)
	s.expect(timeline.ExitUsage, []string{"no terminal", "--yes"}, "renew", "--all")
	s.expect(timeline.ExitOK, []string{"11 certificates to renew"}, "renew", "--all", "--dry-run")
	if _, err := os.Stat(s.journal()); err == nil || !maps.Equal(files(t, s.Root), old) {
		t.Error("something was done")
	}
}

// One program at a time: the second names the first.
func TestTwoAtOnce(t *testing.T) {
	s := newSite(t)
	lock, err := host.AcquireLock(s.lock, "renew", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s.expect(timeline.ExitFailed, []string{fmt.Sprintf("process %d is at work", os.Getpid()), "(renew)"}, "renew", "--all", "--yes")
	s.expect(timeline.ExitOK, []string{"11 certificates"}, "renew", "--all", "--dry-run")
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	s.expect(timeline.ExitOK, nil, "renew", "--all", "--yes")

	// And two that really run at once: one waits for nothing, both leave files
	// that can be used.
	a, b := s.command("renew", "--all", "--yes"), s.command("renew", "--all", "--yes")
	var outs [2]bytes.Buffer
	for i, c := range []*exec.Cmd{a, b} {
		c.Stdout, c.Stderr = &outs[i], &outs[i]
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	_, _ = a.Process.Wait()
	_, _ = b.Process.Wait()
	both := outs[0].String() + outs[1].String()
	if done := strings.Count(both, "11 steps done"); done+strings.Count(both, "is at work on this machine") != 2 || done == 0 {
		t.Errorf("%s", both)
	}
}

// SIGTERM ends a run between or within steps with its own code, and the next
// run finishes.
func TestTerminated(t *testing.T) {
	for _, after := range []string{" 1  renew", " 6  renew", "11  renew"} {
		t.Run(strings.TrimSpace(after), func(t *testing.T) {
			s := newSite(t)
			c := s.command("renew", "--all", "--yes")
			stderr, err := c.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			buf := make([]byte, 256)
			for sent := false; ; {
				n, err := stderr.Read(buf)
				said.Write(buf[:n])
				if !sent && strings.Contains(said.String(), after) {
					sent = true
					if err := c.Process.Signal(syscall.SIGTERM); err != nil {
						t.Fatal(err)
					}
				}
				if err != nil {
					break
				}
			}
			_ = c.Wait()
			code := c.ProcessState.ExitCode()
			switch {
			case code == timeline.ExitOK && after == "11  renew": // it came too late
			case code != timeline.ExitInterrupted || !strings.Contains(said.String(), "the next run goes on from there"):
				t.Fatalf("exit code %d\n%s", code, &said)
			default:
				s.expect(timeline.ExitOK, []string{"which was cut off", "11 steps done"}, "renew", "--yes")
			}
			s.expect(timeline.ExitOK, nil, "renew", "--yes")
			if out := s.expect(timeline.ExitOK, nil, "history"); strings.Contains(out, "cut off") {
				t.Errorf("%s", out)
			}
		})
	}
}

// A journal that cannot be gone on with is refused, with the line, and nothing
// is changed; one that was cut off at its end is gone on with.
func TestDamagedJournal(t *testing.T) {
	s := newSite(t)
	s.expect(timeline.ExitOK, nil, "renew", "--all", "--yes")
	good, err := os.ReadFile(s.journal())
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(good, []byte("\n"))
	damage := func(line int) []byte {
		l := bytes.Clone(lines[line-1])
		l[len(l)/2] ^= 1
		return bytes.Join(append(append(append([][]byte{}, lines[:line-1]...), l), lines[line:]...), nil)
	}
	for name, c := range map[string]struct {
		content []byte
		words   []string
	}{
		"first line":   {damage(1), []string{"line 1 is damaged", "nothing was changed"}},
		"middle":       {damage(9), []string{"line 9 is damaged", "nothing was changed"}},
		"line missing": {bytes.Join(append(append([][]byte{}, lines[:5]...), lines[6:]...), nil), []string{"line 6 is damaged"}},
		"newer":        {append([]byte("{\"sum\":\"0000000000000000\",\"journal\":2}\n"), good[len(lines[0]):]...), []string{"format 2", "nothing was changed", "use the program that wrote it"}},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(s.journal(), c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			before, kept := files(t, s.Root), files(t, s.state)
			s.expect(timeline.ExitFailed, c.words, "renew", "--all", "--yes")
			s.expect(timeline.ExitFailed, c.words, "history")
			if !maps.Equal(files(t, s.Root), before) || !maps.Equal(files(t, s.state), kept) {
				t.Error("something was changed")
			}
		})
	}
	for _, torn := range []int{2, len(lines[len(lines)-2]) - 1} {
		if err := os.WriteFile(s.journal(), good[:len(good)-torn], 0o600); err != nil {
			t.Fatal(err)
		}
		s.expect(timeline.ExitOK, []string{"which was cut off", "11 steps done", "11 certificates"}, "renew", "--all", "--yes")
	}
}

// Where the journal cannot be written nothing is begun.
func TestUnwritableState(t *testing.T) {
	s := newSite(t)
	before := files(t, s.Root)
	if err := os.WriteFile(s.state, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.expect(timeline.ExitFailed, []string{s.state}, "renew", "--all", "--yes")
	if err := os.Remove(s.state); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(s.state, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(s.state, 0o777); err != nil {
		t.Fatal(err)
	}
	s.expect(timeline.ExitFailed, []string{"other users may write to it"}, "renew", "--all", "--yes")
	if !maps.Equal(files(t, s.Root), before) {
		t.Error("something was changed")
	}
}

// mounted runs the rest of the calling test in a mount namespace of its own.
func mounted(t *testing.T) bool {
	t.Helper()
	return apart(t, 0)
}

// apart is mounted in further namespaces.
func apart(t *testing.T, namespaces uintptr) bool {
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
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces, Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	switch {
	case errors.Is(err, syscall.EPERM):
		t.Skipf("a mount namespace is not permitted: %v", err)
	case strings.Contains(string(out), "--- SKIP: "+t.Name()):
		t.Skipf("%s", out)
	case err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Fatalf("in a mount namespace: %v\n%s", err, out)
	}
	return false
}

func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		t.Skipf("mounting is not permitted: %v", err)
	}
}

// usable fails where something would keep a component from starting.
func (s *site) usable() {
	s.t.Helper()
	out, _ := s.run2("check", "--kubernetes-dir", s.Path("/etc/kubernetes"), "-o", "json")
	tl, err := timeline.Read(strings.NewReader(out))
	if err != nil {
		s.t.Fatalf("%v\n%s", err, out)
	}
	for _, i := range tl.Items {
		switch i.Code {
		case "KeyMismatch", "FileMissing", "FileMalformed", "ChainBroken", "CertificateNotYetValid":
			s.t.Errorf("%s %s: %s", i.ID, i.Code, i.Reason)
		}
	}
}

func (s *site) run2(args ...string) (string, error) {
	out, err := product(s.t, args...).Output()
	return string(out), err
}

// A disk without room is seen before anything is begun.
func TestNoRoom(t *testing.T) {
	if !mounted(t) {
		return
	}
	s := newSite(t)
	if err := os.MkdirAll(s.state, 0o700); err != nil {
		t.Fatal(err)
	}
	mount(t, "tmpfs", s.state, "tmpfs", 0, "mode=0700,size=64k")
	defer func() { _ = unix.Unmount(s.state, unix.MNT_DETACH) }()
	before := files(t, s.Root)
	s.expect(timeline.ExitFailed, []string{"nothing was done", "64 KiB are free", "df -h"}, "renew", "--all", "--yes")
	if !maps.Equal(files(t, s.Root), before) || len(files(t, s.state)) > 0 {
		t.Error("something was changed")
	}
	mount(t, "", s.state, "tmpfs", unix.MS_REMOUNT, "size=32m")
	s.expect(timeline.ExitOK, []string{"11 steps done"}, "renew", "--all", "--yes")
	s.usable()
}

// On a file system that became read-only nothing is begun that cannot be ended.
func TestReadOnly(t *testing.T) {
	if !mounted(t) {
		return
	}
	s := newSite(t)
	before := files(t, s.Root)
	dir := s.Path("/etc/kubernetes")
	mount(t, dir, dir, "", unix.MS_BIND, "")
	mount(t, "", dir, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	defer func() { _ = unix.Unmount(dir, unix.MNT_DETACH) }()
	s.expect(timeline.ExitFailed, []string{"nothing was done", "read-only file system: mount it writable"}, "renew", "--all", "--yes")
	if !maps.Equal(files(t, s.Root), before) {
		t.Error("something was changed")
	}
	if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	s.expect(timeline.ExitOK, []string{"11 steps done"}, "renew", "--all", "--yes")
	s.usable()

	if err := os.MkdirAll(s.state+"2", 0o700); err != nil {
		t.Fatal(err)
	}
	s.state += "2"
	mount(t, s.state, s.state, "", unix.MS_BIND, "")
	defer func() { _ = unix.Unmount(s.state, unix.MNT_DETACH) }()
	mount(t, "", s.state, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	before = files(t, s.Root)
	s.expect(timeline.ExitFailed, []string{"read-only file system"}, "renew", "--all", "--yes")
	if !maps.Equal(files(t, s.Root), before) {
		t.Error("something was changed")
	}
}
