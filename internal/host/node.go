// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Node describes the machine: what it calls itself, which addresses it has,
// what time it thinks it is. Loopback and link-local addresses are left out,
// since every machine has them. Of a file system that is not the running
// machine's only the name is known.
func (f *FS) Node(ctx context.Context) (fact.Node, error) {
	node := fact.Node{Root: f.root, Now: time.Now().UTC()}
	if f.root != "/" {
		data, _, err := f.Read(ctx, "/etc/hostname", 4<<10)
		if err != nil && !Missing(err) {
			return node, err
		}
		node.Hostname = fact.Text(strings.TrimSpace(string(data)))
		return node, nil
	}
	name, err := os.Hostname()
	if err != nil {
		return node, err
	}
	node.Hostname = fact.Text(name)
	node.Addresses, err = addresses()
	return node, err
}

func addresses() ([]string, error) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	var out []string
	for _, a := range all {
		n, ok := a.(*net.IPNet)
		if ok && n.IP.IsGlobalUnicast() {
			out = append(out, n.IP.String())
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
