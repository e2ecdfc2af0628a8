// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"net/netip"
	"net/url"
	"slices"

	"perennial.dev/perennial/internal/fact"
)

// findReached finds the addresses of this machine by which clients reach its API
// server: the one that it advertises, and those in the node's kubeconfigs. The
// loopback is not one of them: there the server reaches itself.
func (d *discovery) findReached() {
	api, ok := d.Component(APIServer)
	if !ok || !d.running() {
		return
	}
	port := api.Flags.Get("secure-port")
	if port == "" {
		port = defaultPorts[APIServer]
	}
	candidates := []string{joinHostPort(api.Flags.Get("advertise-address"), port), joinHostPort(api.Flags.Get("bind-address"), port)}
	for _, c := range d.Credentials {
		candidates = append(candidates, d.servers(d.files[c.Path])...)
	}
	for _, c := range candidates {
		addr, err := netip.ParseAddrPort(c)
		if err == nil && !addr.Addr().IsUnspecified() && c != d.own() && slices.Contains(d.node.Addresses, addr.Addr().String()) && !slices.Contains(d.Reached, addr.String()) {
			d.Reached = append(d.Reached, addr.String())
		}
	}
}

// own is where the API server reaches itself.
func (d *discovery) own() string {
	for _, p := range d.Ports {
		if p.Component == APIServer {
			return p.Endpoint
		}
	}
	return ""
}

func (d *discovery) servers(f fact.File) []string {
	if f.Kubeconfig == nil {
		return nil
	}
	var all []string
	for _, c := range f.Kubeconfig.Clusters {
		if u, err := url.Parse(string(c.Server)); err == nil && c.Current && u.Scheme == "https" {
			port := u.Port()
			if port == "" {
				port = "443"
			}
			all = append(all, joinHostPort(u.Hostname(), port))
		}
	}
	return all
}
