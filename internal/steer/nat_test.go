// SPDX-License-Identifier: Apache-2.0

//go:build linux

package steer

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

func (n NAT) must(t *testing.T, stage Stage) State {
	t.Helper()
	s, err := n.State()
	if err != nil || s.Stage != stage {
		t.Fatalf("the state is %+v, %v, want %s", s, err, stage)
	}
	return s
}

func TestNAT(t *testing.T) {
	const main4, main6, other = node4 + ":6443", "[" + node6 + "]:6443", other4 + ":6443"
	const back4, back6 = "127.0.0.1:6443", "[::1]:6443"
	cases := map[string]struct {
		target Target
		on     []string
	}{
		"every address":       {Target{Port: 6443}, []string{main4, "standby", main6, "standby", other, "standby", back4, "main", back6, "main", "127.0.0.2:6443", "main"}},
		"IPv4 of the list":    {Target{Port: 6443, Addresses: addrs(node4)}, []string{main4, "standby", main6, "main", other, "main", back4, "main"}},
		"IPv6 of the list":    {Target{Port: 6443, Addresses: addrs(node6)}, []string{main4, "main", main6, "standby", back6, "main"}},
		"a list of both":      {Target{Port: 6443, Addresses: addrs(node4, other4, node6)}, []string{main4, "standby", main6, "standby", other, "standby"}},
		"only from elsewhere": {Target{Port: 6443, RemoteOnly: true}, []string{main4, "main", main6, "main", back4, "main"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s, outside := newSpace(t), newSpace(t)
			wire(t, s, outside, "10.88.0.1/30", "10.88.0.2/30")
			s.ready(t, "serve", "main", ":6443")
			s.ready(t, "serve", "standby", ":6444")
			var off []string
			for i := 0; i < len(c.on); i += 2 {
				off = append(off, c.on[i], "main")
			}
			n := NAT{NetNS: s.path}
			n.must(t, Nothing)
			for range 2 { // a second time replaces the first
				must(t, n.On(c.target, 6444))
			}
			s.answers(t, c.on...)
			if len(c.target.Addresses) == 0 {
				outside.answers(t, "10.88.0.1:6443", "standby")
			} else {
				outside.answers(t, "10.88.0.1:6443", "main")
			}
			state := n.must(t, Steering)
			if !state.Target.Equal(c.target) || state.ToPort != 6444 || len(c.target.Addresses) == 0 && state.Steered == 0 {
				t.Errorf("the state is %+v", state)
			}
			must(t, n.Off())
			n.must(t, Idle)
			s.answers(t, off...)
			must(t, n.Detach())
			n.must(t, Nothing)
			s.answers(t, off...)
			must(t, n.Detach())
			must(t, n.Off())
		})
	}
}

// TestNATKeepsConnections has connections from before on, and from before off,
// go on where they are. Nothing in the namespace has tracked the first one.
func TestNATKeepsConnections(t *testing.T) {
	s := newSpace(t)
	s.ready(t, "http", ":6443")
	s.ready(t, "http", ":6444")
	posted := func(c *http.Client, want int) {
		t.Helper()
		if n, err := posts(c, http.MethodPost, served); err != nil || n != want {
			t.Errorf("%d requests were executed, %v, want %d", n, err, want)
		}
	}
	before, during, after := s.client(t), s.client(t), s.client(t)
	n := NAT{NetNS: s.path}
	posted(before, 1)
	must(t, n.On(Target{Port: 6443}, 6444))
	posted(before, 2)
	posted(during, 1) // of the other server
	must(t, n.Off())
	posted(during, 2)
	posted(before, 3)
	posted(after, 4)
	if state := n.must(t, Idle); state.ToPort != 0 {
		t.Errorf("the state is %+v", state)
	}
	must(t, n.Detach())
	posted(before, 5)
}

// TestNATReplaces goes from both families to one.
func TestNATReplaces(t *testing.T) {
	s := newSpace(t)
	s.ready(t, "serve", "main", ":6443")
	s.ready(t, "serve", "standby", ":6444")
	n := NAT{NetNS: s.path}
	must(t, n.On(Target{Port: 6443}, 6444))
	target := Target{Port: 6443, Addresses: addrs(node6)}
	must(t, n.On(target, 6444))
	s.answers(t, node4+":6443", "main", "["+node6+"]:6443", "standby")
	if state := n.must(t, Steering); !state.Target.Equal(target) {
		t.Errorf("the state is %+v", state)
	}
}

func TestNATForeignRule(t *testing.T) {
	s := newSpace(t)
	firewall(t, s, NATTable, nftables.TableFamilyIPv4, 6443)
	if _, err := (NAT{NetNS: s.path}).State(); !errors.Is(err, ErrDiffers) {
		t.Errorf("a table of the name with a rule of somebody else: %v", err)
	}
}

// firewall lets in what is on loopback, ICMP and some TCP ports, and drops the
// rest.
func firewall(t *testing.T, s *space, name string, family nftables.TableFamily, ports ...uint16) {
	t.Helper()
	must(t, NAT{NetNS: s.path}.with(func(c *nftables.Conn) error {
		drop := nftables.ChainPolicyDrop
		table := c.AddTable(&nftables.Table{Name: name, Family: family})
		chain := c.AddChain(&nftables.Chain{Name: "input", Table: table, Type: nftables.ChainTypeFilter,
			Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter, Policy: &drop})
		accept := func(match ...expr.Any) {
			c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(match, &expr.Verdict{Kind: expr.VerdictAccept})})
		}
		is := func(key expr.MetaKey, data []byte) []expr.Any {
			return []expr.Any{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: data}}
		}
		accept(is(expr.MetaKeyIIFNAME, []byte("lo\x00"))...)
		accept(is(expr.MetaKeyL4PROTO, []byte{unix.IPPROTO_ICMP})...)
		accept(is(expr.MetaKeyL4PROTO, []byte{unix.IPPROTO_ICMPV6})...)
		for _, p := range ports {
			accept(append(is(expr.MetaKeyL4PROTO, []byte{unix.IPPROTO_TCP}),
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(p)})...)
		}
		return c.Flush()
	}))
}

func TestReach(t *testing.T) {
	s := newSpace(t)
	s.ready(t, "serve", "main", ":6443")
	s.ready(t, "serve", "standby", ":6444")
	firewall(t, s, "firewall", nftables.TableFamilyINet, 6443, 6445)
	// From the node itself everything is reached.
	s.answers(t, node4+":6443", "main", node4+":6444", "standby", "["+node6+"]:6444", "standby")
	for address, reached := range map[string]bool{
		node4 + ":6443": true, "[" + node6 + "]:6443": true,
		node4 + ":6444": false, "[" + node6 + "]:6444": false, // dropped
		node4 + ":6445": false, // refused: nobody listens
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if !reached {
			cancel()
			ctx, cancel = context.WithTimeout(t.Context(), 700*time.Millisecond)
		}
		err := Reach(ctx, s.path, netip.MustParseAddrPort(address))
		cancel()
		if reached && err != nil || !reached && !errors.Is(err, ErrNotReached) {
			t.Errorf("reaching %s: %v, want reached %v", address, err, reached)
		}
		if names, err := ProbeLinks(s.path); err != nil || len(names) != 0 {
			t.Errorf("links of probes are left: %v, %v", names, err)
		}
	}
	if err := Reach(t.Context(), "/proc/self/ns/none", netip.MustParseAddrPort(node4+":6443")); err == nil || errors.Is(err, ErrNotReached) {
		t.Errorf("a namespace that is not there: %v", err)
	}
}

// TestReachSteered is what the two ways of steering look like from outside a
// firewall that opens one port.
func TestReachSteered(t *testing.T) {
	s, outside := newSpace(t), newSpace(t)
	wire(t, s, outside, "10.88.0.1/30", "10.88.0.2/30")
	s.ready(t, "serve", "main", ":6443")
	standby := s.ready(t, "serve", "standby", ":6444")
	firewall(t, s, "firewall", nftables.TableFamilyINet, 6443)
	l := attached(t, s, Target{Port: 6443})
	must(t, l.On(standby.Process, 6444))
	outside.answers(t, "10.88.0.1:6443", "standby")
	must(t, l.Off())
	n := NAT{NetNS: s.path}
	must(t, n.On(Target{Port: 6443}, 6444))
	s.answers(t, "10.88.0.1:6443", "standby") // on the node it looks well
	ctx, cancel := context.WithTimeout(t.Context(), 700*time.Millisecond)
	defer cancel()
	if err := Reach(ctx, s.path, netip.MustParseAddrPort("10.88.0.1:6443")); !errors.Is(err, ErrNotReached) {
		t.Errorf("through the translation: %v", err)
	}
}

func TestProbeLinks(t *testing.T) {
	s := newSpace(t)
	s.do(t, func() {
		veth := netlink.NewVeth(netlink.LinkAttrs{Name: probePrefix + "1234"})
		veth.PeerName = "peer"
		must(t, netlink.LinkAdd(veth))
	})
	if names, err := ProbeLinks(s.path); err != nil || len(names) != 1 || names[0] != probePrefix+"1234" {
		t.Errorf("the links of probes are %v, %v", names, err)
	}
	must(t, RemoveProbeLinks(s.path))
	if names, err := ProbeLinks(s.path); err != nil || len(names) != 0 {
		t.Errorf("the links of probes are %v, %v", names, err)
	}
}

// TestElsewhere makes sure that a panic arrives, and that no thread that is
// used again was left in another namespace.
func TestElsewhere(t *testing.T) {
	s := newSpace(t)
	func() {
		defer func() {
			if recover() != "lost" {
				t.Error("the panic did not arrive")
			}
		}()
		elsewhere(func() {
			must(t, unix.Unshare(unix.CLONE_NEWNET))
			panic("lost")
		})
	}()
	own, err := inodeOfPath("/proc/self/ns/net")
	must(t, err)
	for range 100 {
		done := make(chan uint64)
		go func() {
			inode, _ := inodeOfPath("/proc/thread-self/ns/net")
			done <- inode
		}()
		if got := <-done; got != own {
			t.Fatalf("a goroutine is in the namespace %d, not %d", got, own)
		}
	}
	if s.inode == own {
		t.Error("the space is the test's own namespace")
	}
}
