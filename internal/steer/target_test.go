// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"net/netip"
	"testing"
)

func TestTargetTakes(t *testing.T) {
	ip := netip.MustParseAddr
	list := func(all ...string) (a []netip.Addr) {
		for _, s := range all {
			a = append(a, ip(s))
		}
		return a
	}
	for _, c := range []struct {
		target        Target
		local, remote string
		want          bool
	}{
		{Target{Port: 1}, "10.0.0.1", "10.0.0.9", true},
		{Target{Port: 1}, "fe80::1%eth0", "fe80::2%eth0", true},
		{Target{Port: 1}, "127.0.0.1", "127.0.0.1", false},
		{Target{Port: 1}, "127.9.9.9", "127.0.0.1", false},
		{Target{Port: 1}, "::ffff:127.0.0.1", "::ffff:127.0.0.1", false},
		{Target{Port: 1}, "::1", "::1", false},
		{Target{Port: 1}, "10.0.0.1", "10.0.0.1", true},
		{Target{Port: 1, RemoteOnly: true}, "10.0.0.1", "::ffff:10.0.0.1", false},
		{Target{Port: 1, RemoteOnly: true}, "10.0.0.1", "10.0.0.2", true},
		{Target{Port: 1, Addresses: list("10.0.0.1")}, "::ffff:10.0.0.1", "10.0.0.9", true},
		{Target{Port: 1, Addresses: list("::ffff:10.0.0.1")}, "10.0.0.1", "10.0.0.9", true},
		{Target{Port: 1, Addresses: list("10.0.0.1", "fd00::1")}, "fd00::1", "fd00::2", true},
		{Target{Port: 1, Addresses: list("10.0.0.1", "fd00::1")}, "10.0.0.2", "10.0.0.9", false},
	} {
		if got := c.target.Takes(ip(c.local), ip(c.remote)); got != c.want {
			t.Errorf("%+v takes %s from %s: %v, want %v", c.target, c.local, c.remote, got, c.want)
		}
	}
}

func TestTargetCheck(t *testing.T) {
	ip := netip.MustParseAddr
	good := Target{Port: 6443, Addresses: []netip.Addr{ip("10.0.0.1"), ip("fd00::1")}}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	many := Target{Port: 6443}
	for i := range MaxAddresses + 1 {
		many.Addresses = append(many.Addresses, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	bad := []Target{{}, many}
	for _, a := range []string{"127.0.0.1", "::1", "::ffff:127.0.0.2", "0.0.0.0", "::", "fe80::1%eth0"} {
		bad = append(bad, Target{Port: 6443, Addresses: []netip.Addr{ip(a)}})
	}
	bad = append(bad, Target{Port: 6443, Addresses: []netip.Addr{{}}})
	for _, b := range bad {
		if b.check() == nil {
			t.Errorf("%+v was accepted", b)
		}
	}
	twice := Target{Port: 6443, Addresses: []netip.Addr{ip("fd00::1"), ip("::ffff:10.0.0.1"), ip("fd00::1")}}
	if !twice.Equal(good) || good.Equal(Target{Port: 6443}) {
		t.Error("equal targets are told by their addresses")
	}
}
