// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
)

func find(t *testing.T, pid int, accept func([]string) bool) (fact.Process, bool) {
	t.Helper()
	all, err := host.Processes(t.Context(), accept)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.PID == pid {
			return p, true
		}
	}
	return fact.Process{}, false
}

func everything(args []string) bool { return true }

func TestProcesses(t *testing.T) {
	hostile := []string{"/usr/bin/kube-\xff\x1b[2J", "300", "--flag=a b\n", ""}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{"kubelet"}, hostile...)
	const tick = 10 * time.Millisecond
	earliest := time.Now().Add(-2 * tick)
	pid := start(t, cmd)
	latest := time.Now().Add(2 * tick)
	p, ok := find(t, pid, everything)
	if !ok {
		t.Fatal("not found")
	}
	if !slices.Equal(p.Args, cmd.Args) {
		t.Errorf("args %q", p.Args)
	}
	if p.Start.Before(earliest) || p.Start.After(latest) {
		t.Errorf("started %v, not between %v and %v", p.Start, earliest, latest)
	}
	own, _ := os.Executable()
	if p.Exe != own || p.Contained {
		t.Errorf("%+v", p)
	}
	if _, ok := find(t, pid, func(args []string) bool { return args[0] != "kubelet" }); ok {
		t.Error("a process that was not accepted is there")
	}
}

func TestProcessesLeavesOutWhatHasNoCommandLine(t *testing.T) {
	_, err := host.Processes(t.Context(), func(args []string) bool {
		if len(args) == 0 {
			t.Error("asked about a process without arguments")
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestProcessInAnotherMountNamespace(t *testing.T) {
	cmd := exec.Command("/proc/self/exe", "run")
	cmd.Args[0] = "kubelet"
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	pid := start(t, cmd)
	if p, ok := find(t, pid, everything); !ok || !p.Contained {
		t.Errorf("%+v", p)
	}
	version, err := host.KubeletVersion(t.Context(), pid)
	if host.Why(err) != fact.Unsupported || !strings.Contains(err.Error(), "container") {
		t.Errorf("the program of a container was run: %q, %v", version, err)
	}
}

// A single file that is mounted into a container stays the old one when the
// host's is replaced by a rename: the reason why there is a View.
func TestViewOfASingleFileMount(t *testing.T) {
	dir := t.TempDir()
	source, target := put(t, dir, "scheduler.conf", "old"), put(t, dir, "in-container", "")
	ready := filepath.Join(dir, "ready")
	cmd := exec.Command("/bin/sh", "-c", `mount --bind "$0" "$1" && touch "$2" && exec cat`, source, target, ready)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	pid := start(t, cmd)
	for range 500 {
		if _, err := os.Stat(ready); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if _, err := os.Stat(ready); err != nil {
		t.Skip("mounting is not permitted")
	}
	if err := os.Rename(put(t, dir, "new", "new"), source); err != nil {
		t.Fatal(err)
	}
	seen, meta, err := host.View(t.Context(), pid, target, limit)
	if err != nil || string(seen) != "old" {
		t.Fatalf("%q, %v", seen, err)
	}
	disk, now, err := open(t, "/").Read(t.Context(), source, limit)
	if err != nil || string(disk) != "new" || now.Inode == meta.Inode || now.Device != meta.Device {
		t.Errorf("%q %+v, view %+v, %v", disk, now, meta, err)
	}
}

func TestViewFails(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := host.View(t.Context(), os.Getpid(), filepath.Join(dir, "nothing"), limit); !host.Missing(err) || host.Gone(err) {
		t.Error(err)
	}
	if _, _, err := host.View(t.Context(), ended(t), "/etc/passwd", limit); !host.Gone(err) {
		t.Error(err)
	}
	if _, _, err := host.View(t.Context(), os.Getpid(), dir, limit); host.Why(err) != fact.Malformed {
		t.Error(err)
	}
}

// ended is the PID of a process that is no more.
func ended(t *testing.T) int {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	return cmd.Process.Pid
}

func TestKubeletVersion(t *testing.T) {
	t.Setenv("PERENNIAL_TEST_SECRET", "must not be passed on")
	pid := startKubelet(t, copyOfTest(t, "kubelet", 0o755), nil)
	version, err := host.KubeletVersion(t.Context(), pid)
	if err != nil || version != "v1.37.0" {
		t.Errorf("%q, %v", version, err)
	}
}

// After an upgrade of the package the running program is no longer in the path.
func TestKubeletVersionOfAReplacedProgram(t *testing.T) {
	program := copyOfTest(t, "kubelet", 0o755)
	pid := startKubelet(t, program, nil)
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	if version, err := host.KubeletVersion(t.Context(), pid); err != nil || version != "v1.37.0" {
		t.Errorf("%q, %v", version, err)
	}
}

// Anybody may call a process kubelet; nobody but root may have root run it.
func TestKubeletVersionRunsNothingOfOthers(t *testing.T) {
	writable := startKubelet(t, copyOfTest(t, "kubelet", 0o777), nil)
	if version, err := host.KubeletVersion(t.Context(), writable); host.Why(err) != fact.Unsupported {
		t.Errorf("a program that everybody may write: %q, %v", version, err)
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root to start another user's process")
	}
	attr := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	other := startKubelet(t, "/proc/self/exe", attr)
	if version, err := host.KubeletVersion(t.Context(), other); host.Why(err) != fact.Unsupported || !strings.Contains(err.Error(), "another user") {
		t.Errorf("another user's process: %q, %v", version, err)
	}
	program := copyOfTest(t, "kubelet", 0o755)
	if err := os.Chown(program, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	if version, err := host.KubeletVersion(t.Context(), startKubelet(t, program, nil)); host.Why(err) != fact.Unsupported {
		t.Errorf("another user's program: %q, %v", version, err)
	}
}

func TestKubeletVersionIsBounded(t *testing.T) {
	flood := startKubelet(t, copyOfTest(t, "flood", 0o755), nil)
	if version, err := host.KubeletVersion(t.Context(), flood); err == nil {
		t.Errorf("%d bytes of version", len(version))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	hang := startKubelet(t, copyOfTest(t, "hang", 0o755), nil)
	if version, err := host.KubeletVersion(ctx, hang); host.Why(err) != fact.Timeout {
		t.Errorf("%q, %v", version, err)
	}
	if _, err := host.KubeletVersion(t.Context(), ended(t)); !host.Gone(err) {
		t.Error(err)
	}
}

func copyOfTest(t *testing.T, name string, mode os.FileMode) string {
	t.Helper()
	data, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	p := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(p, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(p, mode); err != nil {
		t.Fatal(err)
	}
	return p
}
