// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary is also the supervisor's process, to be killed, and a
// program that is connected to itself.
func TestMain(m *testing.M) {
	switch os.Getenv("SUPERVISE_TEST_ROLE") {
	case "supervisor":
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		if err := Run(ctx, optionsIn(os.Getenv("SUPERVISE_TEST_DIR"))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "loopback":
		connectToSelf()
	default:
		os.Exit(m.Run())
	}
}

func optionsIn(dir string) Options {
	return Options{
		Manifests: filepath.Join(dir, "manifests"), Programs: filepath.Join(dir, "bin"), Run: filepath.Join(dir, "run"),
		Logs: filepath.Join(dir, "log"), Environ: []string{"PATH=/usr/bin:/bin"}, Log: os.Stderr,
	}
}

// bench is a directory with a supervisor at work.
type bench struct {
	*testing.T
	dir string
	cmd *exec.Cmd
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, dir: t.TempDir()}
	for _, dir := range []string{"manifests", "bin"} {
		if err := os.Mkdir(filepath.Join(b.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"sh", "sleep", "false"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(b.dir, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	b.startSupervisor()
	t.Cleanup(func() {
		if err := End(b.run()); err != nil {
			t.Error(err)
		}
		b.cmd.Wait()
	})
	return b
}

func (b *bench) startSupervisor() {
	b.Helper()
	b.cmd = exec.Command(os.Args[0])
	b.cmd.Env = append(os.Environ(), "SUPERVISE_TEST_ROLE=supervisor", "SUPERVISE_TEST_DIR="+b.dir)
	b.cmd.Stdout, b.cmd.Stderr = io.Discard, io.Discard
	if err := b.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.until("the supervisor answers", func() bool { _, err := List(b.run()); return err == nil })
}

func (b *bench) run() string { return filepath.Join(b.dir, "run") }

func (b *bench) write(file, content string) {
	b.Helper()
	path := filepath.Join(b.dir, "manifests", file)
	if err := os.WriteFile(filepath.Join(b.dir, "new"), []byte(content), 0o644); err != nil {
		b.Fatal(err)
	}
	if err := os.Rename(filepath.Join(b.dir, "new"), path); err != nil {
		b.Fatal(err)
	}
}

// until waits for something that must come about; the limit is generous,
// because only its absence is a failure.
func (b *bench) until(what string, holds func() bool) {
	b.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			list, err := List(b.run())
			b.Fatalf("waiting until %s: %v %v", what, list, err)
		}
	}
}

func (b *bench) status(name string) Status {
	b.Helper()
	list, err := List(b.run())
	if err != nil {
		b.Fatal(err)
	}
	for _, st := range list {
		if st.Name == name {
			return st
		}
	}
	return Status{}
}

func (b *bench) running(name string) Status {
	b.Helper()
	b.until(name+" runs", func() bool { return b.status(name).State == "running" })
	return b.status(name)
}

func (b *bench) look() { time.Sleep(5 * lookEvery) } // long enough for a wrong reaction to show

func podText(name, command string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Pod\nmetadata:\n  name: %s\nspec:\n  terminationGracePeriodSeconds: 1\n  containers:\n  - name: c\n    command: [%s]\n", name, command)
}

func alive(pid int) bool { return unix.Kill(pid, 0) == nil }

func TestProcessesFollowTheManifests(t *testing.T) {
	b := newBench(t)
	b.write("a.yaml", podText("a", `sleep, "1000"`))
	b.write(".hidden.yaml", podText("hidden", `sleep, "1001"`))
	first := b.running("a")
	if b.status("hidden") != (Status{}) {
		t.Error("a manifest whose name begins with a dot was started")
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", first.PID))
	if err != nil || string(line) != "sleep\x001000\x00" {
		t.Errorf("the command line is %q (%v), not the manifest's", line, err)
	}

	// The order of keys and comments have no meaning.
	b.write("a.yaml", "# comment\nkind: Pod\napiVersion: v1\nspec:\n  containers:\n  - {command: [sleep, '1000'], name: c}\n  terminationGracePeriodSeconds: 1\nmetadata: {name: a}\n")
	b.look()
	if st := b.status("a"); st.PID != first.PID {
		t.Error("a change without meaning restarted the process")
	}

	// A file that is no manifest leaves alone what runs.
	b.write("a.yaml", "kind: Pod\n  broken")
	b.look()
	if st := b.status("a"); st.PID != first.PID {
		t.Error("an unreadable manifest ended the process")
	}

	b.write("a.yaml", podText("a", `sleep, "2000"`))
	b.until("the changed process runs", func() bool { st := b.status("a"); return st.State == "running" && st.PID != first.PID })
	second := b.status("a")
	if alive(first.PID) {
		t.Error("the process of the old manifest still runs")
	}
	if second.Restarts != 0 {
		t.Errorf("a changed manifest counts as %d restarts", second.Restarts)
	}

	// The kubelet starts no second static pod of the same name.
	b.write("b.yaml", podText("a", `sleep, "3000"`))
	b.look()
	if list, _ := List(b.run()); len(list) != 1 || list[0].PID != second.PID {
		t.Errorf("a namesake was started: %v", list)
	}
	if err := os.Remove(filepath.Join(b.dir, "manifests", "a.yaml")); err != nil {
		t.Fatal(err)
	}
	b.until("the namesake runs", func() bool { st := b.status("a"); return st.State == "running" && st.PID != second.PID })
	if alive(second.PID) {
		t.Error("the process whose manifest went still runs")
	}
}

func TestRestartsBackOff(t *testing.T) {
	b := newBench(t)
	b.write("f.yaml", podText("f", `"false"`))
	b.until("f waits", func() bool { st := b.status("f"); return st.State == "waiting" && st.Restarts == 2 })
	// The first restart came at once; the second waits for 10 s.
	if wait := time.Until(b.status("f").Next); wait < 0 || wait > firstBackOff {
		t.Errorf("the next start is in %v", wait)
	}
	b.write("s.yaml", podText("s", `sleep, "1000"`))
	before := b.running("s")
	if err := unix.Kill(before.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.until("s runs again", func() bool { st := b.status("s"); return st.State == "running" && st.PID != before.PID })
	for restarts, want := range []time.Duration{0, 10, 20, 40, 80, 160, 300, 300} {
		if got := backOff(restarts); got != want*time.Second {
			t.Errorf("after %d restarts the wait is %v, want %v s", restarts, got, int(want))
		}
	}
}

func TestStopStartRestart(t *testing.T) {
	b := newBench(t)
	b.write("a.yaml", podText("a", `sleep, "1000"`))
	// This one ignores SIGTERM, so that it has to be killed.
	b.write("deaf.yaml", podText("deaf", `sh, -c, "trap '' TERM; while :; do sleep 1000; done"`))
	a, deaf := b.running("a"), b.running("deaf")

	if err := Stop(b.run(), "a"); err != nil {
		t.Fatal(err)
	}
	b.look()
	if st := b.status("a"); st.State != "stopped" || alive(a.PID) {
		t.Errorf("a stopped component is %v", st)
	}
	if err := Start(b.run(), "a"); err != nil {
		t.Fatal(err)
	}
	if st := b.status("a"); st.State != "running" || st.PID == a.PID {
		t.Errorf("a started component is %v", st)
	}
	if err := Restart(b.run(), "deaf"); err != nil {
		t.Fatal(err)
	}
	if st := b.status("deaf"); st.State != "running" || st.PID == deaf.PID || alive(deaf.PID) {
		t.Errorf("a restarted component is %v", st)
	}
	if err := Stop(b.run(), "none"); err == nil || !strings.Contains(err.Error(), "a, deaf") {
		t.Errorf("an unknown component: %v, want an error with the known ones", err)
	}
}

func TestNothingOutlivesTheSupervisor(t *testing.T) {
	b := newBench(t)
	b.write("a.yaml", podText("a", `sleep, "1000"`))
	a := b.running("a")

	second := exec.Command(os.Args[0])
	second.Env = b.cmd.Env
	if out, err := second.CombinedOutput(); err == nil || !strings.Contains(string(out), "another supervisor runs") {
		t.Errorf("a second supervisor: %v %s", err, out)
	}

	if err := b.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	b.cmd.Wait()
	b.until("the process has died too", func() bool { return !alive(a.PID) })
	if _, err := List(b.run()); !errors.Is(err, ErrNotRunning) {
		t.Errorf("asking a dead supervisor: %v", err)
	}
	if err := End(b.run()); err != nil {
		t.Errorf("ending what is gone: %v", err)
	}

	b.startSupervisor()
	if again := b.running("a"); again.PID == a.PID {
		t.Error("the process did not come back with the supervisor")
	}
	again := b.status("a")
	if err := End(b.run()); err != nil {
		t.Fatal(err)
	}
	b.cmd.Wait()
	if alive(again.PID) {
		t.Error("a process outlived the end")
	}
}

func TestIdentityIsNotTheNumber(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	id, err := Identify(cmd.Process.Pid)
	if err != nil || !id.Alive() {
		t.Fatal(id, err)
	}
	other := id
	other.Start++
	if other.Alive() {
		t.Error("a process that started at another time is taken for this one")
	}
	if err := other.Kill(unix.SIGKILL, time.Second); err != nil {
		t.Error(err)
	}
	if !id.Alive() {
		t.Fatal("a process was killed for its number")
	}
	go cmd.Process.Wait() // a zombie counts as ended, but is reaped all the same
	if err := id.Kill(unix.SIGKILL, 10*time.Second); err != nil {
		t.Error(err)
	}
	if id.Alive() {
		t.Error("the process still runs")
	}
}

// connectToSelf holds three connections to its own port and one to another's,
// given on standard input, and says which end.
func connectToSelf() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		os.Exit(1)
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go io.Copy(io.Discard, c)
		}
	}()
	other, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	for _, address := range []string{listener.Addr().String(), listener.Addr().String(), listener.Addr().String(), strings.TrimSpace(other)} {
		c, err := net.Dial("tcp", address)
		if err != nil {
			os.Exit(1)
		}
		kind := "own"
		if address == strings.TrimSpace(other) {
			kind = "other"
		}
		go func() { io.Copy(io.Discard, c); fmt.Println(kind, "ended") }()
	}
	fmt.Println("connected")
	select {}
}

// selfConnected is a process that holds three connections to itself and one to
// this one's listener, and says on lines when one of them ends.
func selfConnected(t *testing.T) (pid int, other string, lines *bufio.Scanner) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "SUPERVISE_TEST_ROLE=loopback")
	cmd.Stdin = strings.NewReader(listener.Addr().String() + "\n")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); listener.Close() })
	lines = bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "connected" {
		t.Fatalf("got %q", lines.Text())
	}
	return cmd.Process.Pid, listener.Addr().String(), lines
}

func TestCutLoopback(t *testing.T) {
	pid, other, lines := selfConnected(t)
	n, err := cutLoopback(pid)
	if err != nil || n != 3 {
		t.Fatalf("cut %d connections, %v; want 3", n, err)
	}
	assertOnlyOwnEnded(t, pid, other, lines)
	if _, err := cutLoopback(0); err == nil {
		t.Error("cutting a component that does not run succeeded")
	}
}

func TestDestroy(t *testing.T) {
	pid, other, lines := selfConnected(t)
	sockets, err := socketsOf(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := destroyAll(pid, toItself(sockets)); err != nil {
		t.Skipf("no right to destroy sockets: %v", err)
	}
	assertOnlyOwnEnded(t, pid, other, lines)
}

func assertOnlyOwnEnded(t *testing.T, pid int, other string, lines *bufio.Scanner) {
	t.Helper()
	for range 3 {
		if !lines.Scan() || lines.Text() != "own ended" {
			t.Errorf("got %q", lines.Text())
		}
	}
	left, err := socketsOf(pid)
	if err != nil {
		t.Fatal(err)
	}
	var others int
	for _, s := range left {
		if s.state == tcpEstablished && s.remote.String() == other {
			others++
		}
	}
	if others != 1 {
		t.Errorf("%d connections to others are left, want 1", others)
	}
}

func TestParseSocket(t *testing.T) {
	const row = "   1: 0100007F:192B 0100007F:D431 01 00000000:00000000 02:00000A6B 00000000  1000        0 12345 2 0000 20 4 30 10 -1"
	s, ok := parseSocket(row)
	if !ok || s.local.String() != "127.0.0.1:6443" || s.remote.String() != "127.0.0.1:54321" || s.state != tcpEstablished || s.inode != 12345 {
		t.Errorf("got %+v, %v", s, ok)
	}
	s, ok = parseSocket("   0: 00000000000000000000000001000000:192B 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 7 1")
	if !ok || s.local.String() != "[::1]:6443" || s.state != tcpListen {
		t.Errorf("got %+v, %v", s, ok)
	}
	for _, bad := range []string{"", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", "1: x y z 0 0 0 0 0 0"} {
		if _, ok := parseSocket(bad); ok {
			t.Errorf("%q was read", bad)
		}
	}
}

// A supervisor may end while it is asked, as where a lab is taken down beside.
func TestEndedWhileAsked(t *testing.T) {
	run := t.TempDir()
	listener, err := net.Listen("unix", filepath.Join(run, socketName))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		if connection, err := listener.Accept(); err == nil {
			connection.Close()
		}
	}()
	if _, err := List(run); !errors.Is(err, ErrNotRunning) {
		t.Errorf("a supervisor that says nothing: %v", err)
	}
}
