// SPDX-License-Identifier: Apache-2.0

//go:build linux

package steer

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// player is the name under which the test's own program plays other processes.
const player = "steer-player"

func TestMain(m *testing.M) {
	if os.Args[0] != player {
		os.Exit(m.Run())
	}
	if err := play(os.Args[1], os.Args[2:]); err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func play(role string, args []string) error {
	switch role {
	case "serve":
		return playServer(args[0], args[1:])
	case "http":
		return playHTTP(args[0])
	case "steer":
		return playSteerer(args)
	case "hold":
		return playHolder(args)
	case "able":
		return playAble(args)
	}
	return fmt.Errorf("no role %s", role)
}

// playServer answers every connection with its name, until told otherwise.
func playServer(name string, addresses []string) error {
	var listeners []net.Listener
	for _, a := range addresses {
		l, err := net.Listen("tcp", a)
		if err != nil {
			return err
		}
		listeners = append(listeners, l)
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					_, _ = io.WriteString(c, name)
					_ = c.Close()
				}()
			}
		}()
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		for _, l := range listeners {
			_ = l.Close()
		}
		fmt.Println("closed")
	}
	return nil
}

// playHTTP counts the POSTs it has executed and answers with the number.
func playHTTP(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	posts := make(chan int, 1)
	posts <- 0
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = l.Close()
	}()
	_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := <-posts
		if r.Method == http.MethodPost {
			n++
		}
		posts <- n
		fmt.Fprint(w, n)
	}))
	return nil
}

// playSteerer attaches and turns on: directory, namespace, port, PID, port.
func playSteerer(args []string) error {
	l := Lookup{Dir: args[0]}
	if err := l.Attach(args[1], Target{Port: port(args[2])}); err != nil {
		return err
	}
	pid, _ := strconv.Atoi(args[3])
	if err := l.On(fact.Process{PID: pid}, port(args[4])); err != nil {
		return err
	}
	fmt.Println("ready")
	return nil
}

// playHolder holds until it is killed: PID, port, limit.
func playHolder(args []string) error {
	pid, _ := strconv.Atoi(args[0])
	limit, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	held, err := Hold(fact.Process{PID: pid}, Target{Port: port(args[1])}, limit)
	if err != nil {
		return err
	}
	fmt.Println("ready", held.Count())
	_, _ = io.Copy(io.Discard, os.Stdin)
	return nil
}

// playAble asks what is missing, and tries: directory, namespace, PID.
func playAble(args []string) error {
	pid, _ := strconv.Atoi(args[2])
	l := Lookup{Dir: args[0]}
	able := l.Able(args[1], pid)
	attach := l.Attach(args[1], Target{Port: 6443})
	_ = l.Detach()
	fmt.Printf("able: %v\nattach: %v\nhold: %v\nnat: %v\n", able, attach, AbleToHold(), NAT{NetNS: args[1]}.On(Target{Port: 6443}, 6444))
	return nil
}

func port(text string) uint16 {
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		panic(err)
	}
	return uint16(n)
}

// actor is a process that plays a role.
type actor struct {
	fact.Process
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	ended bool
}

// start starts an actor in the namespace; it ends with the test.
func (s *space) start(t *testing.T, set func(*exec.Cmd), args ...string) *actor {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = append([]string{player}, args...)
	// Listeners of MPTCP cannot be steered to; a test that wants one says so.
	cmd.Env = []string{"GODEBUG=multipathtcp=0"}
	cmd.Stderr = os.Stderr
	if set != nil {
		set(cmd)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.do(t, func() { err = cmd.Start() })
	if err != nil {
		t.Fatal(err)
	}
	a := &actor{Process: fact.Process{PID: cmd.Process.Pid, Args: cmd.Args}, cmd: cmd, in: in, out: bufio.NewReader(out)}
	t.Cleanup(a.end)
	return a
}

// ready starts an actor and waits until it says that it is ready.
func (s *space) ready(t *testing.T, args ...string) *actor {
	t.Helper()
	a := s.start(t, nil, args...)
	a.says(t, "ready")
	return a
}

// says reads a line, which has to begin with a word.
func (a *actor) says(t *testing.T, word string) string {
	t.Helper()
	line, err := a.out.ReadString('\n')
	if err != nil || !strings.HasPrefix(line, word) {
		t.Fatalf("the process said %q, not %s: %v", line, word, err)
	}
	return strings.TrimSpace(strings.TrimPrefix(line, word))
}

// told writes a line to the actor.
func (a *actor) told(t *testing.T) {
	t.Helper()
	if _, err := io.WriteString(a.in, "\n"); err != nil {
		t.Fatal(err)
	}
}

func (a *actor) end() {
	if !a.ended {
		a.ended = true
		_ = a.cmd.Process.Signal(syscall.SIGKILL)
		_ = a.cmd.Wait()
	}
}
