// SPDX-License-Identifier: Apache-2.0

//go:build linux

package steer

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
)

const served = node4 + ":6443"

// client is an HTTP client in a namespace with connections of its own, which
// it keeps.
func (s *space) client(t *testing.T) *http.Client {
	transport := &http.Transport{MaxIdleConnsPerHost: 1, DialContext: func(_ context.Context, network, address string) (c net.Conn, err error) {
		s.do(t, func() { c, err = net.Dial(network, address) })
		return c, err
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// posts is what a request says of how many POSTs have been executed.
func posts(c *http.Client, method, address string) (int, error) {
	request, err := http.NewRequest(method, "http://"+address, nil)
	if err != nil {
		return 0, err
	}
	answer, err := c.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(string(text))
}

// executed asks on a connection of its own.
func (s *space) executed(t *testing.T, want int) {
	t.Helper()
	if n, err := posts(s.client(t), http.MethodGet, served); err != nil || n != want {
		t.Errorf("%d requests were executed, %v, want %d", n, err, want)
	}
}

// kept are clients that have a connection each.
func (s *space) kept(t *testing.T, count int) []*http.Client {
	t.Helper()
	var all []*http.Client
	for range count {
		c := s.client(t)
		if _, err := posts(c, http.MethodGet, served); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// write sends a POST on each connection and returns what waits for the answers.
func write(t *testing.T, all []*http.Client) (wait func()) {
	var answers sync.WaitGroup
	for _, c := range all {
		answers.Go(func() {
			if _, err := posts(c, http.MethodPost, served); err != nil {
				t.Errorf("a request on a held connection: %v", err)
			}
		})
	}
	return answers.Wait
}

// sent is time enough for requests to have reached the server, if they can.
const sent = 150 * time.Millisecond

func TestHold(t *testing.T) {
	const connections = 20
	s := newSpace(t)
	server := s.ready(t, "http", ":6443")
	clients := s.kept(t, connections)
	loopback := s.client(t)
	if _, err := posts(loopback, http.MethodGet, "127.0.0.1:6443"); err != nil {
		t.Fatal(err)
	}
	target := Target{Port: 6443}
	held, err := Hold(server.Process, target, HoldLimit)
	must(t, err)
	if held.Count() != connections || held.Missed() != 0 {
		t.Errorf("%d connections are held and %d missed, want %d and 0", held.Count(), held.Missed(), connections)
	}
	if n, err := HeldSockets(server.Process, target); err != nil || n != connections {
		t.Errorf("%d connections carry a filter, %v, want %d", n, err, connections)
	}
	wait := write(t, clients)
	time.Sleep(sent)
	s.executed(t, 0) // new connections are not held
	if n, err := posts(loopback, http.MethodGet, "127.0.0.1:6443"); err != nil || n != 0 {
		t.Errorf("on loopback: %d, %v", n, err)
	}
	must(t, held.Release())
	wait()
	s.executed(t, connections)
	must(t, held.Release())
	if n, err := HeldSockets(server.Process, target); err != nil || n != 0 || held.Count() != 0 {
		t.Errorf("%d connections still carry a filter, %v", n, err)
	}
}

// TestHoldMPTCP holds connections of a listener of MPTCP, as a server's that
// Go's defaults gave it: those of clients without MPTCP are plain TCP. Others
// are missed, and counted.
func TestHoldMPTCP(t *testing.T) {
	s := newSpace(t)
	server := s.start(t, func(c *exec.Cmd) { c.Env = []string{"GODEBUG=multipathtcp=1"} }, "http", ":6443")
	server.says(t, "ready")
	clients := s.kept(t, 3)
	var multipath bool
	s.do(t, func() {
		d := net.Dialer{}
		d.SetMultipathTCP(true)
		c, err := d.Dial("tcp", served)
		must(t, err)
		t.Cleanup(func() { c.Close() })
		multipath, err = c.(*net.TCPConn).MultipathTCP()
		must(t, err)
	})
	s.executed(t, 0) // so the server has accepted it
	held, err := Hold(server.Process, Target{Port: 6443}, HoldLimit)
	must(t, err)
	missed := 0
	if multipath {
		missed = 1
	}
	t.Logf("MPTCP: %v", multipath)
	if held.Missed() != missed || held.Count() < len(clients) {
		t.Errorf("%d connections are held and %d missed, want %d and %d", held.Count(), held.Missed(), len(clients), missed)
	}
	wait := write(t, clients)
	time.Sleep(sent)
	s.executed(t, 0)
	must(t, held.Release())
	wait()
	s.executed(t, len(clients))
}

// TestHolderDies kills the process that holds: the kernel lets go by itself.
func TestHolderDies(t *testing.T) {
	const connections = 5
	s := newSpace(t)
	server := s.ready(t, "http", ":6443")
	clients := s.kept(t, connections)
	holder := s.start(t, nil, "hold", strconv.Itoa(server.PID), "6443", "2s")
	if n := holder.says(t, "ready"); n != strconv.Itoa(connections) {
		t.Fatalf("%s connections are held, want %d", n, connections)
	}
	wait := write(t, clients)
	holder.end()
	time.Sleep(sent)
	s.executed(t, 0)
	wait() // for nothing but the deadline
	s.executed(t, connections)
	target := Target{Port: 6443}
	if n, err := HeldSockets(server.Process, target); err != nil || n != connections {
		t.Errorf("%d connections carry the dead process's filter, %v, want %d", n, err, connections)
	}
	if n, err := ReleaseLeft(server.Process, target); err != nil || n != connections {
		t.Errorf("%d connections released, %v, want %d", n, err, connections)
	}
	if n, err := HeldSockets(server.Process, target); err != nil || n != 0 {
		t.Errorf("%d connections still carry a filter, %v", n, err)
	}
}

// TestHoldAtTheEnd has the server die while its connections are held.
func TestHoldAtTheEnd(t *testing.T) {
	s := newSpace(t)
	server := s.ready(t, "http", ":6443")
	clients := s.kept(t, 3)
	held, err := Hold(server.Process, Target{Port: 6443, Addresses: addrs(node4)}, HoldLimit)
	must(t, err)
	server.end()
	must(t, held.Release())
	for _, c := range clients {
		if _, err := posts(c, http.MethodGet, served); err == nil {
			t.Error("a server that has ended has answered")
		}
	}
}

func TestHoldRefuses(t *testing.T) {
	self := fact.Process{PID: os.Getpid()}
	for _, limit := range []time.Duration{0, -time.Second, HoldLimit + 1} {
		if _, err := Hold(self, Target{Port: 6443}, limit); err == nil {
			t.Errorf("a hold of %s was granted", limit)
		}
	}
	if _, err := Hold(self, Target{}, time.Second); err == nil {
		t.Error("a hold of no port was granted")
	}
	needRoot(t)
	other := self
	other.Args = []string{"another"}
	if _, err := Hold(other, Target{Port: 6443}, time.Second); !errors.Is(err, ErrAnother) {
		t.Errorf("another process's connections: %v", err)
	}
	none, err := Hold(self, Target{Port: 1}, time.Second)
	if err != nil || none.Count() != 0 {
		t.Errorf("nothing to hold: %v", err)
	}
}

func TestConnections(t *testing.T) {
	s, outside := newSpace(t), newSpace(t)
	wire(t, s, outside, "10.88.0.1/30", "10.88.0.2/30")
	server := s.ready(t, "http", ":6443")
	s.kept(t, 1)
	if _, err := posts(outside.client(t), http.MethodGet, "10.88.0.1:6443"); err != nil {
		t.Fatal(err)
	}
	if _, err := posts(s.client(t), http.MethodGet, "["+node6+"]:6443"); err != nil {
		t.Fatal(err)
	}
	found, err := Connections(server.Process, 6443)
	must(t, err)
	name, err := os.ReadFile("/proc/self/comm")
	must(t, err)
	seen := map[string]bool{}
	for _, c := range found {
		local := c.Local.Addr().String()
		seen[local] = true
		own := local != "10.88.0.1"
		pid, command := 0, ""
		if own {
			pid, command = os.Getpid(), strings.TrimSpace(string(name))
		} else if c.Remote.Addr().String() != "10.88.0.2" {
			t.Errorf("the peer outside is %s", c.Remote)
		}
		if c.Own != own || c.PID != pid || c.Command != command || c.Local.Port() != 6443 {
			t.Errorf("the connection is %+v, want own %v, %d, %s", c, own, pid, command)
		}
	}
	if len(found) != 3 || !seen[node4] || !seen[node6] || !seen["10.88.0.1"] {
		t.Errorf("the connections are %+v", found)
	}
	if none, err := Connections(server.Process, 6444); err != nil || len(none) != 0 {
		t.Errorf("on another port: %v, %v", none, err)
	}
}
