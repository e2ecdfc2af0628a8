// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// The nodes of a machine and the machine itself share a bridge. The addresses
// are of the block for tests between networks (RFC 2544): nobody has them.
const (
	bridge        = "perennial-lab"
	network       = "198.18.0."
	bridgeAddress = network + "1"
	firstHost     = 2
	hosts         = 253
	interfaces    = "/sys/class/net/"
)

// chooseAddress takes the address that follows from a node's name, or the next
// that no other node has.
func chooseAddress(name string, others []Settings) (string, error) {
	taken := map[string]bool{}
	for _, o := range others {
		taken[o.Address] = o.Name != name
		if o.Worker != nil {
			taken[o.Worker.Address] = o.Worker.Node != name
		}
	}
	n, err := strconv.ParseUint(digest(name)[:8], 16, 64)
	if err != nil {
		return "", err
	}
	for i := range uint64(hosts) {
		address := network + strconv.FormatUint(firstHost+(n+i)%hosts, 10)
		if !taken[address] {
			return address, nil
		}
	}
	return "", fmt.Errorf("choosing an address for the node %s: all of %s0/24 are taken", name, network)
}

// ip runs iproute2's program; the arguments are one line.
func ip(line string) error {
	path, err := lookPath("ip")
	if err != nil {
		return err
	}
	if out, err := exec.Command(path, strings.Fields(line)...).CombinedOutput(); err != nil {
		return fmt.Errorf("running ip %s: %w: %s", line, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// connect gives the holder's network namespace a name and an interface on the
// bridge, and the firewall that was asked for.
func (s Settings) connect() error {
	if _, err := os.Lstat(interfaces + bridge); err != nil {
		for _, line := range []string{"link add " + bridge + " type bridge", "address add " + bridgeAddress + "/24 dev " + bridge} {
			if err := ip(line); err != nil {
				return err
			}
		}
	}
	if err := ip("link set " + bridge + " up"); err != nil {
		return err
	}
	if err := attach("netns attach "+s.Netns()+" "+strconv.Itoa(s.Holder.PID), s.Netns(), s.Link(), s.Address); err != nil {
		return err
	}
	return s.raiseFirewall()
}

// attach makes a network namespace with the first line, and its interface on
// the bridge. A default route is there for service addresses, which the kernel
// translates only after it has found a route.
func attach(make, netns, link, address string) error {
	in := "-n " + netns + " "
	for _, line := range []string{
		make,
		"link add " + link + " type veth peer name eth0 netns " + netns,
		"link set " + link + " master " + bridge + " up",
		in + "link set lo up",
		in + "address add " + address + "/24 dev eth0",
		in + "link set eth0 up",
		in + "route add default via " + bridgeAddress,
	} {
		if err := ip(line); err != nil {
			return err
		}
	}
	return nil
}

// detach removes what attach made, as far as it is there.
func detach(netns, link string) error {
	for _, made := range []struct{ path, remove string }{
		{interfaces + link, "link delete " + link},
		{"/run/netns/" + netns, "netns delete " + netns},
	} {
		if _, err := os.Lstat(made.path); err != nil {
			continue
		}
		if err := ip(made.remove); err != nil {
			return err
		}
	}
	return nil
}

// firewall is what hosts have that open nothing but the API.
const firewall = `table inet host-firewall {
	chain input {
		type filter hook input priority filter; policy drop;
		iif lo accept
		ct state established,related accept
		meta l4proto { icmp, icmpv6 } accept
		tcp dport { %s } accept
	}
}
`

// raiseFirewall lets the ports in that the settings name; no ports, no
// firewall. What the node sends to itself is not held back.
func (s Settings) raiseFirewall() error {
	if len(s.Firewall) == 0 {
		return nil
	}
	path, err := lookPath("nft")
	if err != nil {
		return err
	}
	ports := strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Firewall), " ", ", "), "[]")
	cmd := exec.Command(path, "-f", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(firewall, ports))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := inNetwork(s.Netns(), cmd.Run); err != nil {
		return fmt.Errorf("raising the firewall of %s: %w: %s", s.Name, err, tail(out.Bytes()))
	}
	return nil
}

// disconnect removes what connect made, and the worker; the bridge goes with
// the last node.
func (s Settings) disconnect(last bool) error {
	if err := s.RemoveWorker(); err != nil {
		return err
	}
	if err := detach(s.Netns(), s.Link()); err != nil {
		return err
	}
	if _, err := os.Lstat(interfaces + bridge); err != nil || !last {
		return nil
	}
	return ip("link delete " + bridge)
}
