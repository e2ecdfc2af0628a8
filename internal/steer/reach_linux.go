// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// probePrefix begins the names of the links that Reach makes.
const probePrefix = "prnl-"

// Reach connects by TCP to an address of a network namespace from another one,
// which it makes for that and joins by a pair of links, so that the connection
// passes the firewall's INPUT chain as one from outside does. Everything is
// removed before it returns, and by the kernel when this process dies.
//
// ErrNotReached says that the connection was refused, or got no answer before
// the context's deadline or within the system's own time of two minutes; any
// other error says that nothing was found out. A firewall that tells interfaces or sources apart may
// still answer others differently.
func Reach(ctx context.Context, netnsPath string, to netip.AddrPort) error {
	var err error
	elsewhere(func() { err = reach(ctx, netnsPath, to) })
	if err != nil {
		return fmt.Errorf("connecting to %s from another network namespace: %w", to, err)
	}
	return nil
}

// reach has a thread of its own.
func reach(ctx context.Context, netnsPath string, to netip.AddrPort) (err error) {
	target, err := openNetNS(netnsPath)
	if err != nil {
		return err
	}
	defer target.Close()
	there, err := netlink.NewHandleAt(netns.NsHandle(target.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return refused(err, capSysAdmin)
	}
	defer there.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("making a network namespace: %w", refused(err, capSysAdmin))
	}
	here, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer here.Close()
	pair, err := freePair(there, to.Addr())
	if err != nil {
		return err
	}
	name := probeName()
	defer func() { err = errors.Join(err, removeLink(there, name)) }()
	if err := join(here, there, int(target.Fd()), name, pair); err != nil {
		return fmt.Errorf("joining it by a pair of links: %w", refused(err, capNetAdmin))
	}
	if err := settle(ctx, here, there, name, pair, to.Addr()); err != nil {
		return err
	}
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", to.String())
	if err != nil && ctx.Err() == context.Canceled {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotReached, err)
	}
	return connection.Close()
}

// linkPair are the addresses of both ends.
type linkPair struct{ there, here netip.Prefix }

// join makes a pair of links with an end in both namespaces, and lets the
// caller's send everything through it.
func join(here, there *netlink.Handle, target int, name string, pair linkPair) error {
	veth := netlink.NewVeth(netlink.LinkAttrs{Name: "probe"})
	veth.PeerName, veth.PeerNamespace = name, netlink.NsFd(target)
	if err := here.LinkAdd(veth); err != nil {
		return err
	}
	if _, err := bringUp(there, name, pair.there); err != nil {
		return err
	}
	index, err := bringUp(here, "probe", pair.here)
	if err != nil {
		return err
	}
	return here.RouteAdd(&netlink.Route{LinkIndex: index, Gw: pair.there.Addr().AsSlice()})
}

// settleTime is how long the links may take to work. It is some milliseconds,
// and a second where many network namespaces come and go.
const settleTime = 10 * time.Second

// settle waits until the kernel has brought up both ends: it does so some time
// after it is told to, and what is sent before then is lost, or has no way.
func settle(ctx context.Context, here, there *netlink.Handle, name string, pair linkPair, to netip.Addr) error {
	for deadline := time.Now().Add(settleTime); ; time.Sleep(2 * time.Millisecond) {
		err := errors.Join(works(here, "probe", pair.here, to), works(there, name, pair.there, pair.here.Addr()))
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case time.Now().After(deadline):
			return fmt.Errorf("waiting for the pair of links: %w", err)
		}
	}
}

// works says whether an end of the pair is up, takes what comes to its address,
// and has a way to another one.
func works(h *netlink.Handle, name string, own netip.Prefix, to netip.Addr) error {
	l, err := h.LinkByName(name)
	if err != nil {
		return err
	}
	if state := l.Attrs().OperState; state != netlink.OperUp {
		return fmt.Errorf("%s is %s", name, state)
	}
	if err := isLocal(h.RouteGet, own.Addr()); err != nil {
		return err
	}
	_, err = h.RouteGet(to.AsSlice())
	return err
}

// isLocal says whether an address is one that the kernel takes for its own by
// now. Of an IPv6 address it first has the way to its network, then to itself.
func isLocal(way func(net.IP) ([]netlink.Route, error), address netip.Addr) error {
	routes, err := way(address.AsSlice())
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.Type == unix.RTN_LOCAL {
			return nil
		}
	}
	return fmt.Errorf("%s may not be used yet", address)
}

func bringUp(h *netlink.Handle, name string, address netip.Prefix) (index int, err error) {
	l, err := h.LinkByName(name)
	if err != nil {
		return 0, err
	}
	if err := h.LinkSetUp(l); err != nil {
		return 0, err
	}
	// Without NODAD an IPv6 address may not be used for a second.
	if err := h.AddrAdd(l, &netlink.Addr{IPNet: ipNet(address), Flags: unix.IFA_F_NODAD}); err != nil {
		return 0, fmt.Errorf("giving it the address %s: %w", address, err)
	}
	return l.Attrs().Index, nil
}

// freePair chooses the addresses of a pair of links: of 169.254.0.0/16 where
// the namespace has no address or narrow route, or random ones of fd00::/8.
func freePair(h *netlink.Handle, to netip.Addr) (linkPair, error) {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	if to.Unmap().Is6() {
		ip := [16]byte{0: 0xfd, 15: 1}
		copy(ip[1:], random[:])
		return pairOf(netip.PrefixFrom(netip.AddrFrom16(ip), 126)), nil
	}
	taken, err := takenPrefixes(h)
	if err != nil {
		return linkPair{}, err
	}
	for try := range byte(64) {
		// Not 169.254.169.254 and 169.254.20.10, which have a meaning.
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254, 192 + random[0]%32 + try%32, 4*(random[1]%63) + 1}), 30)
		if !overlaps(taken, p) {
			return pairOf(p), nil
		}
	}
	return linkPair{}, errors.New("169.254.192.0/18 has no free addresses")
}

// pairOf makes the second address of the first.
func pairOf(first netip.Prefix) linkPair {
	return linkPair{there: first, here: netip.PrefixFrom(first.Addr().Next(), first.Bits())}
}

// takenPrefixes are the namespace's IPv4 addresses and narrow routes. A wide
// one, such as 169.254.0.0/16 on some systems, is no harm: for the probe's time
// it has a hole of four addresses.
func takenPrefixes(h *netlink.Handle) ([]netip.Prefix, error) {
	const narrow = 24
	var taken []netip.Prefix
	routes, err := h.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("listing the routes: %w", err)
	}
	for _, r := range routes {
		if r.Dst == nil {
			continue
		}
		if ip, ok := netip.AddrFromSlice(r.Dst.IP.To4()); ok {
			if bits, _ := r.Dst.Mask.Size(); bits >= narrow {
				taken = append(taken, netip.PrefixFrom(ip, bits))
			}
		}
	}
	return taken, nil
}

func overlaps(taken []netip.Prefix, p netip.Prefix) bool {
	for _, t := range taken {
		if t.Overlaps(p) {
			return true
		}
	}
	return false
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func probeName() string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	return probePrefix + hex.EncodeToString(random[:])
}

func removeLink(h *netlink.Handle, name string) error {
	l, err := h.LinkByName(name)
	if err == nil {
		err = h.LinkDel(l)
	}
	var missing netlink.LinkNotFoundError
	if err != nil && !errors.As(err, &missing) && !errors.Is(err, unix.ENODEV) {
		return fmt.Errorf("removing the link %s: %w", name, err)
	}
	return nil
}

// ProbeLinks lists the links that Reach has in a network namespace: of one
// that is under way, or for an instant of one whose process has died.
func ProbeLinks(netnsPath string) ([]string, error) {
	var names []string
	err := eachProbeLink(netnsPath, func(_ *netlink.Handle, name string) error {
		names = append(names, name)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for the links of probes: %w", err)
	}
	return names, nil
}

// RemoveProbeLinks removes what ProbeLinks lists.
func RemoveProbeLinks(netnsPath string) error {
	return eachProbeLink(netnsPath, removeLink)
}

func eachProbeLink(netnsPath string, do func(*netlink.Handle, string) error) error {
	target, err := openNetNS(netnsPath)
	if err != nil {
		return err
	}
	defer target.Close()
	h, err := netlink.NewHandleAt(netns.NsHandle(target.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return refused(err, capSysAdmin)
	}
	defer h.Close()
	links, err := h.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		if name := l.Attrs().Name; strings.HasPrefix(name, probePrefix) {
			err = errors.Join(err, do(h, name))
		}
	}
	return err
}
