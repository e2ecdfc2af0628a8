// SPDX-License-Identifier: Apache-2.0

package node

import (
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

// connect gives the holder's network namespace a name, and an interface on the
// bridge. A default route is there for service addresses, which the kernel
// translates only after it has found a route.
func (s Settings) connect() error {
	if _, err := os.Lstat(interfaces + bridge); err != nil {
		for _, line := range []string{"link add " + bridge + " type bridge", "address add " + bridgeAddress + "/24 dev " + bridge} {
			if err := ip(line); err != nil {
				return err
			}
		}
	}
	in := "-n " + s.Netns() + " "
	for _, line := range []string{
		"link set " + bridge + " up",
		"netns attach " + s.Netns() + " " + strconv.Itoa(s.Holder.PID),
		"link add " + s.Link() + " type veth peer name eth0 netns " + s.Netns(),
		"link set " + s.Link() + " master " + bridge + " up",
		in + "link set lo up",
		in + "address add " + s.Address + "/24 dev eth0",
		in + "link set eth0 up",
		in + "route add default via " + bridgeAddress,
	} {
		if err := ip(line); err != nil {
			return err
		}
	}
	return nil
}

// disconnect removes what connect made, as far as it is there; the bridge goes
// with the last node.
func (s Settings) disconnect(last bool) error {
	made := []struct{ path, remove string }{
		{interfaces + s.Link(), "link delete " + s.Link()},
		{"/run/netns/" + s.Netns(), "netns delete " + s.Netns()},
	}
	if last {
		made = append(made, struct{ path, remove string }{interfaces + bridge, "link delete " + bridge})
	}
	for _, m := range made {
		if _, err := os.Lstat(m.path); err != nil {
			continue
		}
		if err := ip(m.remove); err != nil {
			return err
		}
	}
	return nil
}
