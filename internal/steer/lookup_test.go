// SPDX-License-Identifier: Apache-2.0

//go:build linux

package steer

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cilium/ebpf"
)

// TestSteering goes through which connections are handed over.
func TestSteering(t *testing.T) {
	const main4, main6 = node4 + ":6443", "[" + node6 + "]:6443"
	const back4, back6 = "127.0.0.1:6443", "[::1]:6443"
	cases := map[string]struct {
		main, standby string
		target        Target
		on            []string // pairs of address and who answers
	}{
		"every address": {":6443", ":6444", Target{Port: 6443},
			[]string{main4, "standby", main6, "standby", other4 + ":6443", "standby", back4, "main", back6, "main", "127.0.0.2:6443", "main", "[::ffff:127.0.0.1]:6443", "main"}},
		"IPv4 of the list": {":6443", ":6444", Target{Port: 6443, Addresses: addrs(node4)},
			[]string{main4, "standby", main6, "main", other4 + ":6443", "main", back4, "main"}},
		"IPv6 of the list": {":6443", ":6444", Target{Port: 6443, Addresses: addrs(node6)},
			[]string{main4, "main", main6, "standby", back6, "main"}},
		"a list of both": {":6443", ":6444", Target{Port: 6443, Addresses: addrs(node6, "::ffff:"+other4)},
			[]string{main4, "main", main6, "standby", other4 + ":6443", "standby"}},
		"another port": {":8443", ":18443", Target{Port: 8443},
			[]string{node4 + ":8443", "standby", "[" + node6 + "]:8443", "standby", "127.0.0.1:8443", "main"}},
		"specific listeners": {main4, node4 + ":6444", Target{Port: 6443, Addresses: addrs(node4)},
			[]string{main4, "standby"}},
		"only from elsewhere": {":6443", ":6444", Target{Port: 6443, RemoteOnly: true},
			[]string{main4, "main", main6, "main", back4, "main"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := newSpace(t)
			s.ready(t, "serve", "main", c.main)
			standby := s.ready(t, "serve", "standby", c.standby)
			var off []string
			for i := 0; i < len(c.on); i += 2 {
				off = append(off, c.on[i], "main")
			}
			l := attached(t, s, c.target)
			s.answers(t, off...)
			_, to, _ := strings.Cut(c.standby, ":")
			must(t, l.On(standby.Process, port(to)))
			s.answers(t, c.on...)
			state := l.must(t, Steering)
			if state.ToPID != standby.PID || state.ToPort != port(to) || !state.Target.Equal(c.target) || state.NetNS != s.inode {
				t.Errorf("the state says %+v", state)
			}
			if want := strings.Count(strings.Join(c.on, " "), "standby"); state.Steered != uint64(want) || state.Refused != 0 {
				t.Errorf("%d steered and %d refused, want %d and 0", state.Steered, state.Refused, want)
			}
			must(t, l.Off())
			l.must(t, Idle)
			s.answers(t, off...)
		})
	}
}

// TestRemoteOnly steers what comes from another namespace, which a server that
// listens on one address tells from itself.
func TestRemoteOnly(t *testing.T) {
	s, outside := newSpace(t), newSpace(t)
	wire(t, s, outside, "10.88.0.1/30", "10.88.0.2/30")
	s.ready(t, "serve", "main", "10.88.0.1:6443")
	standby := s.ready(t, "serve", "standby", "10.88.0.1:6444")
	l := attached(t, s, Target{Port: 6443, Addresses: addrs("10.88.0.1"), RemoteOnly: true})
	must(t, l.On(standby.Process, 6444))
	outside.answers(t, "10.88.0.1:6443", "standby")
	s.answers(t, "10.88.0.1:6443", "main")
}

// TestOneFamily makes sure that a listener for IPv4 alone leaves IPv6 where it
// was, and is not taken for a target that names IPv6.
func TestOneFamily(t *testing.T) {
	s := newSpace(t)
	s.ready(t, "serve", "main", ":6443")
	standby := s.ready(t, "serve", "standby", node4+":6444")
	l := attached(t, s, Target{Port: 6443})
	must(t, l.On(standby.Process, 6444))
	s.answers(t, node4+":6443", "standby", "["+node6+"]:6443", "main")
	if state := l.must(t, Steering); state.Steered != 1 || state.Refused != 1 {
		t.Errorf("%d steered and %d refused, want 1 and 1", state.Steered, state.Refused)
	}
	six := attached(t, s, Target{Port: 6443, Addresses: addrs(node6)})
	if err := six.On(standby.Process, 6444); err == nil || !strings.Contains(err.Error(), "cannot take IPv6") {
		t.Errorf("a listener of IPv4 for a target of IPv6: %v", err)
	}
}

// TestListenerEnds shows that connections go back by themselves.
func TestListenerEnds(t *testing.T) {
	for name, end := range map[string]func(*testing.T, *actor){
		"killed": func(_ *testing.T, a *actor) { a.end() },
		"closed": func(t *testing.T, a *actor) { a.told(t); a.says(t, "closed") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSpace(t)
			s.ready(t, "serve", "main", ":6443")
			standby := s.ready(t, "serve", "standby", ":6444")
			l := attached(t, s, Target{Port: 6443})
			must(t, l.On(standby.Process, 6444))
			s.answers(t, node4+":6443", "standby")
			end(t, standby)
			s.answers(t, node4+":6443", "main", "["+node6+"]:6443", "main")
			l.must(t, Idle)
		})
	}
}

// TestNoConnectionFails turns steering on and off while connections are made.
func TestNoConnectionFails(t *testing.T) {
	const connections, clients = 5000, 4
	s := newSpace(t)
	s.ready(t, "serve", "main", ":6443")
	standby := s.ready(t, "serve", "standby", ":6444")
	l := attached(t, s, Target{Port: 6443})
	var left atomic.Int64
	left.Store(connections)
	var seen sync.Map
	var all sync.WaitGroup
	for i := range clients {
		address := []string{node4 + ":6443", "[" + node6 + "]:6443"}[i%2]
		all.Go(func() {
			s.do(t, func() {
				for left.Add(-1) >= 0 {
					name, err := who(address)
					if err != nil || name != "main" && name != "standby" {
						t.Errorf("a connection to %s: %q, %v", address, name, err)
						return
					}
					count, _ := seen.LoadOrStore(name, new(atomic.Int64))
					count.(*atomic.Int64).Add(1)
				}
			})
		})
	}
	switches := 0
	for left.Load() > 0 && !t.Failed() {
		must(t, l.On(standby.Process, 6444))
		time.Sleep(2 * time.Millisecond)
		must(t, l.Off())
		time.Sleep(2 * time.Millisecond)
		switches += 2
	}
	all.Wait()
	seen.Range(func(name, count any) bool {
		t.Logf("%s answered %d", name, count.(*atomic.Int64).Load())
		return true
	})
	if _, both := seen.Load("standby"); !both || switches < 10 {
		t.Errorf("%d switches, the standby answered: %v", switches, both)
	}
	t.Logf("%d switches", switches)
}

// TestSurvives makes a steering by a process that is gone afterwards.
func TestSurvives(t *testing.T) {
	s := newSpace(t)
	s.ready(t, "serve", "main", ":6443")
	standby := s.ready(t, "serve", "standby", ":6444")
	l := Lookup{Dir: pinsDir(t)}
	maker := s.ready(t, "steer", l.Dir, s.path, "6443", strconv.Itoa(standby.PID), "6444")
	maker.end()
	state := l.must(t, Steering)
	if want := (Target{Port: 6443}); !state.Target.Equal(want) || state.ToPID != standby.PID {
		t.Errorf("the state says %+v", state)
	}
	s.answers(t, node4+":6443", "standby")
	must(t, l.Attach(s.path, Target{Port: 6443})) // taken up as it is
	l.must(t, Steering)
	if err := l.Attach(s.path, Target{Port: 6444}); !errors.Is(err, ErrDiffers) {
		t.Errorf("attaching for another port: %v", err)
	}
	if err := l.Attach("/proc/self/ns/net", Target{Port: 6443}); !errors.Is(err, ErrDiffers) {
		t.Errorf("attaching in another namespace: %v", err)
	}
	left, err := Leftovers(filepath.Dir(l.Dir))
	if err != nil || len(left) != 1 || left[0] != l {
		t.Errorf("left over: %v, %v", left, err)
	}
	program := l.program(t)
	must(t, l.Detach())
	l.must(t, Nothing)
	s.answers(t, node4+":6443", "main")
	if _, err := os.Lstat(l.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the directory of pins: %v", err)
	}
	must(t, l.Detach())
	if left, err := Leftovers(filepath.Dir(l.Dir)); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
	freed(t, program)
}

// program is the number of the steering's program in the kernel.
func (l Lookup) program(t *testing.T) ebpf.ProgramID {
	t.Helper()
	p, err := open(l.Dir)
	must(t, err)
	defer p.close()
	info, err := p.link.Info()
	must(t, err)
	return info.Program
}

// freed waits until the kernel has freed a program, a moment after it was let
// go of.
func freed(t *testing.T, id ebpf.ProgramID) {
	t.Helper()
	for range 500 {
		p, err := ebpf.NewProgramFromID(id)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		must(t, err)
		p.Close()
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("the program %d is left in the kernel", id)
}

// TestHalfMade takes away one pin at a time, as a death in the middle does.
func TestHalfMade(t *testing.T) {
	s := newSpace(t)
	s.ready(t, "serve", "main", ":6443")
	standby := s.ready(t, "serve", "standby", ":6444")
	l := attached(t, s, Target{Port: 6443})
	names := []string{linkPin}
	for _, p := range (&maps{}).pins() {
		names = append(names, p.spec.Name)
	}
	for _, name := range names {
		must(t, os.Remove(filepath.Join(l.Dir, name)))
		l.must(t, HalfMade)
		if err := l.On(standby.Process, 6444); !errors.Is(err, ErrNotAttached) {
			t.Errorf("on without %s: %v", name, err)
		}
		must(t, l.Off())
		if name != linkPin { // which goes with its pin, a little later
			s.answers(t, node4+":6443", "main")
		}
		must(t, l.Attach(s.path, Target{Port: 6443}))
		must(t, l.On(standby.Process, 6444))
		s.answers(t, node4+":6443", "standby")
	}
	must(t, l.Detach())
	must(t, os.Mkdir(l.Dir, 0o700))
	l.must(t, HalfMade)
	must(t, l.Detach())
	l.must(t, Nothing)
}

// TestNamespaceEnds has the namespace vanish under a steering.
func TestNamespaceEnds(t *testing.T) {
	l := Lookup{Dir: pinsDir(t)}
	t.Run("inner", func(t *testing.T) {
		must(t, l.Attach(newSpace(t).path, Target{Port: 6443}))
		l.must(t, Idle)
	})
	deadline := time.Now().Add(10 * time.Second)
	for {
		s, err := l.State()
		must(t, err)
		if s.Stage == HalfMade {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the state is still %+v", s)
		}
		time.Sleep(10 * time.Millisecond)
	}
	must(t, l.Detach())
}

func TestRefusedListeners(t *testing.T) {
	s, elsewhere := newSpace(t), newSpace(t)
	plain := s.ready(t, "serve", "standby", ":6444")
	l := attached(t, s, Target{Port: 6443})
	if err := l.On(plain.Process, 6445); !errors.Is(err, ErrNoListener) {
		t.Errorf("a port that nobody listens on: %v", err)
	}
	another := plain.Process
	another.Args = append([]string{"kube-apiserver"}, another.Args...)
	if err := l.On(another, 6444); !errors.Is(err, ErrAnother) {
		t.Errorf("another process of the PID: %v", err)
	}
	other := elsewhere.ready(t, "serve", "standby", ":6444")
	if err := l.On(other.Process, 6444); err == nil || !strings.Contains(err.Error(), "network namespace") {
		t.Errorf("a process in another namespace: %v", err)
	}
	ended := s.ready(t, "serve", "standby", ":6446")
	ended.end()
	if err := l.On(ended.Process, 6446); err == nil {
		t.Error("a process that has ended was steered to")
	}
	multipath := s.start(t, func(c *exec.Cmd) { c.Env = []string{"GODEBUG=multipathtcp=1"} }, "serve", "standby", ":6447")
	multipath.says(t, "ready")
	if err := l.On(multipath.Process, 6447); !errors.Is(err, ErrMPTCP) {
		t.Errorf("a listener of MPTCP: %v", err)
	}
	l.must(t, Idle)
	if err := (Lookup{Dir: filepath.Dir(l.Dir) + "/none"}).On(plain.Process, 6444); !errors.Is(err, ErrNotAttached) {
		t.Errorf("nothing attached: %v", err)
	}
	must(t, (Lookup{Dir: filepath.Dir(l.Dir) + "/none"}).Off())
}

func TestListening(t *testing.T) {
	s := newSpace(t)
	a := s.ready(t, "serve", "main", "127.0.0.1:6443", "[::1]:6444")
	if !Listening(a.PID, 6443) || !Listening(a.PID, 6444) || Listening(a.PID, 6445) {
		t.Error("the listeners were not told")
	}
	s.do(t, func() {
		if _, err := who("127.0.0.1:6443"); err != nil {
			t.Error(err)
		}
	})
	a.told(t)
	a.says(t, "closed")
	if Listening(a.PID, 6443) || Listening(a.PID, 6444) {
		t.Error("closed listeners are told")
	}
	a.end()
	if Listening(a.PID, 6443) {
		t.Error("a process that has ended listens")
	}
}
