// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strconv"

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
	port := api.port()
	candidates := []string{joinHostPort(api.Flags.Get("advertise-address"), port), joinHostPort(api.Flags.Get("bind-address"), port)}
	for _, c := range d.Credentials {
		candidates = append(candidates, d.servers(d.files[c.Path])...)
	}
	for _, c := range candidates {
		addr, err := netip.ParseAddrPort(c)
		if err == nil && !addr.Addr().IsUnspecified() && c != d.Endpoint(APIServer) && slices.Contains(d.node.Addresses, addr.Addr().String()) && !slices.Contains(d.Reached, addr.String()) {
			d.Reached = append(d.Reached, addr.String())
		}
	}
}

// findAdmins finds kubeadm's kubeconfigs for administrators. super-admin.conf
// (1.29) is for emergencies: somebody may be told when it is used.
func (d *discovery) findAdmins() {
	for _, name := range []string{"admin.conf", "super-admin.conf"} {
		conf := path.Join(d.KubernetesDir, name)
		if f, ok := d.files[conf]; ok && f.Kubeconfig != nil && f.Problem == "" {
			d.Admins = append(d.Admins, conf)
		}
	}
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

func (c Component) port() string {
	if port := c.Flags.Get("secure-port"); port != "" {
		return port
	}
	return defaultPorts[c.Name]
}

// Port is the port on which an API server serves.
func (c Component) Port() (int, error) {
	port, err := strconv.ParseUint(c.port(), 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%s serves on the port %q, which is none", c.Name, fact.Text(c.port()))
	}
	return int(port), nil
}

// Bound is the one address on which an API server serves; empty where it serves
// on every one.
func (c Component) Bound() string {
	bound := c.Flags.Get("bind-address")
	if addr, err := netip.ParseAddr(bound); err != nil || addr.IsUnspecified() {
		return ""
	}
	return bound
}
