// SPDX-License-Identifier: Apache-2.0

//go:build linux

package steer

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Addresses that a space's loopback interface has beside 127.0.0.1 and ::1.
const (
	node4, other4 = "10.77.0.1", "10.77.0.2"
	node6         = "fd77::1"
)

// space is a network namespace of the test's own.
type space struct {
	path  string
	inode uint64
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("making network namespaces and loading BPF programs needs root")
	}
}

// newSpace makes a network namespace that ends with the test.
func newSpace(t *testing.T) *space {
	t.Helper()
	needRoot(t)
	var file *os.File
	var err error
	onThread(func() {
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			file, err = os.Open("/proc/thread-self/ns/net")
		}
	})
	if err != nil {
		t.Skipf("making a network namespace: %v", err)
	}
	t.Cleanup(func() { file.Close() })
	inode, err := inodeOf(int(file.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	s := &space{path: fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), file.Fd()), inode: inode}
	s.do(t, func() {
		if err = addresses("lo", node4+"/32", other4+"/32", node6+"/128"); err != nil {
			return
		}
		// The kernel makes the way to an IPv6 address later: on a busy machine
		// that is a second.
		for range 10_000 {
			if err = isLocal(netlink.RouteGet, netip.MustParseAddr(node6)); err == nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func addresses(name string, all ...string) error {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	// Addresses of a link that is down lose their routes once more, a moment
	// after it is up.
	if err := netlink.LinkSetUp(l); err != nil {
		return err
	}
	for _, a := range all {
		p := netip.MustParsePrefix(a)
		ip := &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
		if err := netlink.AddrAdd(l, &netlink.Addr{IPNet: ip, Flags: unix.IFA_F_NODAD}); err != nil {
			return fmt.Errorf("%s: %w", a, err)
		}
	}
	return nil
}

// onThread runs something on a thread of its own, which ends with it.
func onThread(do func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			onThread(do) // the first thread does not end
			runtime.UnlockOSThread()
			return
		}
		do()
	}()
	<-done
}

// do runs something in the namespace: sockets opened and processes started by
// it are there.
func (s *space) do(t *testing.T, do func()) {
	t.Helper()
	var err error
	onThread(func() {
		var file *os.File
		if file, err = os.Open(s.path); err != nil {
			return
		}
		defer file.Close()
		if err = unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err == nil {
			do()
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// who connects and returns the name of the server that answered.
func who(address string) (string, error) {
	d := net.Dialer{Timeout: 3 * time.Second}
	c, err := d.Dial("tcp", address)
	if err != nil {
		return "", err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(3 * time.Second))
	name, err := io.ReadAll(c)
	return string(name), err
}

// answers asserts who answers at addresses: pairs of address and name.
func (s *space) answers(t *testing.T, pairs ...string) {
	t.Helper()
	s.do(t, func() {
		for i := 0; i < len(pairs); i += 2 {
			if got, err := who(pairs[i]); err != nil || got != pairs[i+1] {
				t.Errorf("%s was answered by %q, %v, want %s", pairs[i], got, err, pairs[i+1])
			}
		}
	})
}

// pinsDir is a directory for pins in a BPF file system that ends with the test.
func pinsDir(t *testing.T) string {
	t.Helper()
	needRoot(t)
	mount := t.TempDir()
	if err := unix.Mount("bpf", mount, "bpf", 0, "mode=0700"); err != nil {
		t.Skipf("mounting a BPF file system: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(mount, 0); err != nil {
			t.Error(err)
		}
	})
	return filepath.Join(mount, "perennial", "plan")
}

func addrs(all ...string) []netip.Addr {
	var list []netip.Addr
	for _, a := range all {
		list = append(list, netip.MustParseAddr(a))
	}
	return list
}

// attached is a steering of a target in a namespace.
func attached(t *testing.T, s *space, target Target) Lookup {
	t.Helper()
	l := Lookup{Dir: pinsDir(t)}
	if err := l.Attach(s.path, target); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Detach(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (l Lookup) must(t *testing.T, stage Stage) State {
	t.Helper()
	s, err := l.State()
	if err != nil || s.Stage != stage {
		t.Fatalf("the state is %+v, %v, want %s", s, err, stage)
	}
	return s
}

// wire joins two namespaces by a pair of links.
func wire(t *testing.T, a, b *space, atA, atB string) {
	t.Helper()
	file, err := os.Open(b.path)
	must(t, err)
	defer file.Close()
	a.do(t, func() {
		veth := netlink.NewVeth(netlink.LinkAttrs{Name: "a"})
		veth.PeerName, veth.PeerNamespace = "b", netlink.NsFd(int(file.Fd()))
		if err = netlink.LinkAdd(veth); err == nil {
			err = addresses("a", atA)
		}
	})
	must(t, err)
	b.do(t, func() { err = addresses("b", atB) })
	must(t, err)
}
