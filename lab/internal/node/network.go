// SPDX-License-Identifier: Apache-2.0

package node

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"

	"perennial.dev/perennial/lab/internal/network"
)

// Hosts are the addresses that a node and its worker have.
func (s Settings) Hosts() []network.Host {
	all := []network.Host{{Name: s.Name, Address: s.Address}}
	if s.Worker != nil {
		all = append(all, network.Host{Name: s.Worker.Node, Address: s.Worker.Address})
	}
	return all
}

// network is how the node is connected. The link is called by the name's digest,
// since the name may be too long for it.
func (s Settings) network() network.Interface {
	return network.Interface{Netns: s.Netns(), Link: network.Link("pl", s.Name), Address: s.Address}
}

// connect gives the holder's network namespace a name and an interface on the
// bridge, and the firewall that was asked for.
func (s Settings) connect() error {
	if err := s.network().AttachProcess(s.Holder.PID); err != nil {
		return err
	}
	return s.raiseFirewall()
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
	path, err := network.LookPath("nft")
	if err != nil {
		return err
	}
	ports := strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Firewall), " ", ", "), "[]")
	cmd := exec.Command(path, "-f", "-")
	cmd.Stdin = strings.NewReader(fmt.Sprintf(firewall, ports))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := network.In(s.Netns(), cmd.Run); err != nil {
		return fmt.Errorf("raising the firewall of %s: %w: %s", s.Name, err, tail(out.Bytes()))
	}
	return nil
}

// disconnect removes what connect made, and the worker.
func (s Settings) disconnect() error {
	if err := s.RemoveWorker(); err != nil {
		return err
	}
	return s.network().Detach()
}
