// SPDX-License-Identifier: Apache-2.0

package supervise

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Verbs of the control socket.
const (
	verbStatus  = "status"
	verbStop    = "stop"
	verbStart   = "start"
	verbRestart = "restart"
	verbCut     = "cut"
)

type request struct {
	Verb string `json:"verb"`
	Name string `json:"name,omitempty"` // of the pod
}

type reply struct {
	Error  string   `json:"error,omitempty"`
	Status []Status `json:"status,omitempty"`
	Cut    int      `json:"cut,omitempty"`
}

// Status is one supervised process.
type Status struct {
	Name     string    `json:"name"`
	State    string    `json:"state"` // running, stopping, stopped (by a person) or waiting (to be started again)
	PID      int       `json:"pid,omitempty"`
	Started  time.Time `json:"started,omitzero"`
	Restarts int       `json:"restarts"`
	Next     time.Time `json:"next,omitzero"` // when waiting
}

type call struct {
	request
	answer chan reply
}

// waiter is a request that is answered when its condition holds.
type waiter struct {
	call
	holds    func(*process) bool // nil when the pod has gone
	deadline time.Time
}

func (s *supervisor) handle(c call, now time.Time) {
	if c.Verb == verbStatus {
		c.answer <- reply{Status: s.status()}
		return
	}
	p := s.byName(c.Name)
	if p == nil {
		c.answer <- reply{Error: fmt.Sprintf("no component is called %q; there are: %s", c.Name, strings.Join(s.names(), ", "))}
		return
	}
	switch c.Verb {
	case verbStop:
		s.held[c.Name] = true
		if p.running() {
			s.stop(p, now)
		}
		s.waitUntil(c, now, func(p *process) bool { return !p.running() })
	case verbStart:
		delete(s.held, c.Name)
		p.next, p.restarts = now, 0
		p.again = p.stopping
		s.waitUntil(c, now, (*process).running)
	case verbRestart:
		delete(s.held, c.Name)
		p.next, p.restarts = now, 0
		before := p.identity
		if p.running() {
			s.stop(p, now)
			p.again = true
		}
		s.waitUntil(c, now, func(p *process) bool { return p.running() && p.identity != before })
	case verbCut:
		go func(pid int) {
			n, err := cutLoopback(pid)
			c.answer <- reply{Cut: n, Error: text(err)}
		}(p.identity.PID)
	default:
		c.answer <- reply{Error: fmt.Sprintf("no request is called %q", c.Verb)}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (s *supervisor) waitUntil(c call, now time.Time, holds func(*process) bool) {
	s.waiting = append(s.waiting, waiter{c, holds, now.Add(time.Minute)})
}

func (s *supervisor) answerWaiters(now time.Time) {
	var still []waiter
	for _, w := range s.waiting {
		switch {
		case w.holds(s.byName(w.Name)):
			w.answer <- reply{}
		case now.After(w.deadline):
			w.answer <- reply{Error: fmt.Sprintf("%s %s: not done after a minute; see its log", w.Verb, w.Name)}
		default:
			still = append(still, w)
		}
	}
	s.waiting = still
}

func (s *supervisor) byName(name string) *process {
	for _, p := range s.processes {
		if p.pod.name == name {
			return p
		}
	}
	return nil
}

func (s *supervisor) names() []string {
	var names []string
	for _, status := range s.status() {
		names = append(names, status.Name)
	}
	return names
}

func (s *supervisor) status() []Status {
	var all []Status
	for _, file := range sortedKeys(s.processes) {
		p := s.processes[file]
		st := Status{Name: p.pod.name, PID: p.identity.PID, Restarts: p.restarts}
		switch {
		case p.running() && p.stopping:
			st.State, st.Started = "stopping", p.started
		case p.running():
			st.State, st.Started = "running", p.started
		case s.held[p.pod.name]:
			st.State = "stopped"
		default:
			st.State, st.Next = "waiting", p.next
		}
		all = append(all, st)
	}
	return all
}

// ErrNotRunning says that a lab has no supervisor.
var ErrNotRunning = errors.New("the lab is not running")

const socketName = "control.sock"

// listen opens the control socket for the owner only. The directory is reached
// through a descriptor, because a socket's path has 107 bytes at most.
func listen(run string) (net.Listener, error) {
	dir, err := os.Open(run)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	if err := os.Remove(filepath.Join(run, socketName)); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	listener, err := net.Listen("unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), socketName))
	if err != nil {
		return nil, fmt.Errorf("listening for the lab's commands: %w", err)
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	return listener, os.Chmod(filepath.Join(run, socketName), 0o600)
}

// serve passes one request of each connection on. A client that goes away
// must not hold the supervisor up, so each answer has its buffered channel.
func serve(ctx context.Context, listener net.Listener, requests chan<- call) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer connection.Close()
			c := call{answer: make(chan reply, 1)}
			if json.NewDecoder(connection).Decode(&c.request) != nil {
				return
			}
			select {
			case requests <- c:
				json.NewEncoder(connection).Encode(<-c.answer)
			case <-ctx.Done():
			}
		}()
	}
}

func ask(run string, r request) (reply, error) {
	dir, err := os.Open(run)
	if err != nil {
		return reply{}, ErrNotRunning
	}
	defer dir.Close()
	connection, err := net.Dial("unix", fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), socketName))
	if err != nil {
		return reply{}, ErrNotRunning
	}
	defer connection.Close()
	var answer reply
	if err := json.NewEncoder(connection).Encode(r); err != nil {
		return reply{}, ErrNotRunning
	}
	err = json.NewDecoder(connection).Decode(&answer)
	if errors.Is(err, io.EOF) || errors.Is(err, unix.ECONNRESET) { // it ended while it was asked
		return reply{}, ErrNotRunning
	}
	if err != nil {
		return reply{}, fmt.Errorf("reading the supervisor's answer: %w", err)
	}
	if answer.Error != "" {
		return answer, errors.New(answer.Error)
	}
	return answer, nil
}

// List asks the supervisor that uses the directory run for its processes.
func List(run string) ([]Status, error) {
	answer, err := ask(run, request{Verb: verbStatus})
	return answer.Status, err
}

// Stop ends a component and keeps it stopped until [Start] or [Restart].
func Stop(run, name string) error { _, err := ask(run, request{verbStop, name}); return err }

// Start starts a component at once, without waiting for its back-off.
func Start(run, name string) error { _, err := ask(run, request{verbStart, name}); return err }

// Restart ends a component and starts it at once.
func Restart(run, name string) error { _, err := ask(run, request{verbRestart, name}); return err }

// Cut cuts the component's connections to itself and returns how many.
func Cut(run, name string) (int, error) {
	answer, err := ask(run, request{verbCut, name})
	return answer.Cut, err
}

// lockRun keeps a second supervisor away.
func lockRun(run string) (func(), error) {
	f, err := os.OpenFile(filepath.Join(run, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("locking %s: another supervisor runs", run)
	}
	return func() { f.Close() }, nil
}
