// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test's own program play a kubelet: a real process with a
// real program, which is what KubeletVersion is about.
func TestMain(m *testing.M) {
	if os.Args[0] == player {
		play(os.Args[1:])
		return
	}
	if filepath.Base(os.Args[0]) == "kubelet" && len(os.Args) > 1 {
		playKubelet(os.Args[1])
		return
	}
	os.Exit(m.Run())
}

func playKubelet(arg string) {
	if arg != "--version" {
		_, _ = io.Copy(io.Discard, os.Stdin) // runs until its input ends
		return
	}
	exe, _ := os.Readlink("/proc/self/exe")
	switch {
	case strings.Contains(exe, "flood"):
		for range 1000 {
			fmt.Println("Kubernetes v1.37.0", strings.Repeat("x", 1000))
		}
	case strings.Contains(exe, "hang"):
		time.Sleep(time.Hour)
	case len(os.Environ()) > 0:
		fmt.Println("an environment was passed on")
	default:
		fmt.Println("Kubernetes v1.37.0")
	}
}

// startKubelet starts a program that calls itself kubelet and ends with the
// test.
func startKubelet(t *testing.T, program string, attr *syscall.SysProcAttr) int {
	t.Helper()
	cmd := exec.Command(program, "run")
	cmd.Args[0] = "kubelet"
	cmd.SysProcAttr = attr
	return start(t, cmd)
}

func start(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("starting %s: %v", cmd.Path, err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd.Process.Pid
}

// nobody is a user without rights.
const nobody = 65534

// unprivileged runs the rest of the calling test as a user whom permission
// bits apply to, in dir, which it makes reachable. Run by root it starts the
// test again as nobody, and returns false; otherwise it returns true.
func unprivileged(t *testing.T, dir func() string) (string, bool) {
	t.Helper()
	const variable = "PERENNIAL_TEST_DIR"
	if d := os.Getenv(variable); d != "" {
		return d, true
	}
	d := dir()
	if os.Geteuid() != 0 {
		return d, true
	}
	for p := d; p != filepath.Clean(os.TempDir()) && p != "/"; p = filepath.Dir(p) {
		if err := os.Chmod(p, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = []string{variable + "=" + d}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("as nobody: %v\n%s", err, out)
	}
	return "", false
}
