// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// MaxAddresses is how many addresses a Target can list.
const MaxAddresses = 64

// Target says which connections are meant, seen from the server: by its local
// port and address. The zero Target means none.
type Target struct {
	// Port is the local TCP port.
	Port uint16
	// Addresses are the local addresses, IPv4 and IPv6. None means every
	// address but 127.0.0.0/8 and ::1, where the server talks to itself.
	Addresses []netip.Addr
	// RemoteOnly leaves alone connections that come from the very address
	// they go to: that is how a server that listens on a single address talks
	// to itself. Other clients on the same machine are left alone with it.
	RemoteOnly bool
}

// Takes says whether a connection is meant, by its addresses alone. An
// IPv4 address mapped into IPv6 is the IPv4 address.
func (t Target) Takes(local, remote netip.Addr) bool {
	local, remote = local.Unmap().WithZone(""), remote.Unmap().WithZone("")
	if t.RemoteOnly && local == remote {
		return false
	}
	if len(t.Addresses) == 0 {
		return !local.IsLoopback()
	}
	return slices.ContainsFunc(t.Addresses, func(a netip.Addr) bool { return a.Unmap() == local })
}

// Equal says whether two targets mean the same connections.
func (t Target) Equal(u Target) bool {
	t, u = t.sorted(), u.sorted()
	return t.Port == u.Port && t.RemoteOnly == u.RemoteOnly && slices.Equal(t.Addresses, u.Addresses)
}

// sorted is the target with each address once, in order.
func (t Target) sorted() Target {
	var plain []netip.Addr
	for _, a := range t.Addresses {
		plain = append(plain, a.Unmap())
	}
	slices.SortFunc(plain, netip.Addr.Compare)
	t.Addresses = slices.Compact(plain)
	return t
}

// check refuses what would not do what it says.
func (t Target) check() error {
	if t.Port == 0 {
		return errors.New("the target has no port")
	}
	if len(t.Addresses) > MaxAddresses {
		return fmt.Errorf("%d addresses are more than %d", len(t.Addresses), MaxAddresses)
	}
	for _, a := range t.Addresses {
		switch {
		case !a.IsValid() || a.IsUnspecified():
			return fmt.Errorf("%s is no address of a connection (an empty list means all)", a)
		case a.Unmap().IsLoopback():
			return fmt.Errorf("%s is where the server talks to itself, and is never steered", a)
		case a.Zone() != "":
			return fmt.Errorf("%s has a zone, which cannot be told apart here", a)
		}
	}
	return nil
}

// families says which kinds of addresses the target needs a listener for.
func (t Target) families() (v4, v6 bool) {
	for _, a := range t.Addresses {
		v4, v6 = v4 || a.Unmap().Is4(), v6 || !a.Unmap().Is4()
	}
	return v4, v6
}
