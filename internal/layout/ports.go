// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// defaultPorts are the components' own (cmd/*/app/options of Kubernetes 1.37).
var defaultPorts = map[string]string{APIServer: "6443", ControllerManager: "10257", Scheduler: "10259", Kubelet: "10250"}

func (d *discovery) findPorts() {
	if !d.running() {
		return
	}
	for _, c := range d.Components {
		switch c.Name {
		case APIServer, APIServerStandby, ControllerManager, Scheduler:
			d.addPort(Port{Component: c.Name, Endpoint: listening(c, "bind-address", "secure-port")})
		case Kubelet:
			if c.Process != nil || d.kubelet != nil {
				d.addPort(Port{Component: Kubelet, Endpoint: d.kubeletEndpoint(c)})
			}
		case Etcd:
			d.addPort(Port{Component: Etcd, Endpoint: nearest(c.Flags.List("listen-client-urls"))})
			d.addPort(Port{Component: Etcd, Endpoint: nearest(c.Flags.List("listen-peer-urls")), Peer: true})
		}
	}
	d.addExternalEtcd()
	d.servePorts()
}

func (d *discovery) addPort(p Port) {
	if p.Endpoint != "" && !slices.Contains(d.Ports, p) {
		d.Ports = append(d.Ports, p)
	}
}

// listening is the address to dial for what listens there. On a wildcard
// address the loopback is dialled: it reaches the process itself, whatever a
// load balancer or a redirection does with the node's address.
func listening(c Component, addressFlag, portFlag string) string {
	port := c.Flags.Get(portFlag)
	if port == "" {
		port = defaultPorts[c.Name]
	}
	if port == "0" {
		return ""
	}
	return joinHostPort(c.Flags.Get(addressFlag), port)
}

func joinHostPort(host, port string) string {
	if addr, err := netip.ParseAddr(host); host == "" || err == nil && addr.IsUnspecified() {
		host = "127.0.0.1"
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + port
}

func (d *discovery) kubeletEndpoint(c Component) string {
	host, port := c.Flags.Get("address"), c.Flags.Get("port")
	if d.kubelet != nil {
		if host == "" {
			host = d.kubelet.Address
		}
		if port == "" && d.kubelet.Port != 0 {
			port = strconv.Itoa(d.kubelet.Port)
		}
	}
	if port == "" {
		port = defaultPorts[Kubelet]
	}
	return joinHostPort(host, port)
}

// nearest picks the URL to dial among several that are served: the loopback,
// else the first with TLS. Empty when none has TLS.
func nearest(urls []string) string {
	found := ""
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil || u.Scheme != "https" || u.Port() == "" {
			continue
		}
		endpoint := joinHostPort(u.Hostname(), u.Port())
		if strings.HasPrefix(endpoint, "127.") || strings.HasPrefix(endpoint, "[::1]") {
			return endpoint
		}
		if found == "" {
			found = endpoint
		}
	}
	return found
}

// addExternalEtcd adds the etcd servers that the API server uses and that do
// not run here.
func (d *discovery) addExternalEtcd() {
	for _, api := range d.components(APIServer) {
		for _, raw := range api.Flags.List("etcd-servers") {
			u, err := url.Parse(raw)
			if err != nil || u.Scheme != "https" || d.isHere(u.Hostname()) {
				continue
			}
			port := u.Port()
			if port == "" {
				port = "2379"
			}
			d.addPort(Port{Component: Etcd, Endpoint: joinHostPort(u.Hostname(), port), Remote: true})
		}
	}
}

func (d *discovery) isHere(host string) bool {
	if addr, err := netip.ParseAddr(host); host == "localhost" || err == nil && addr.IsLoopback() {
		return len(d.components(Etcd)) > 0 || host == "localhost"
	}
	if slices.Contains(d.node.Addresses, host) {
		return true
	}
	for _, e := range d.components(Etcd) {
		for _, flag := range []string{"listen-client-urls", "advertise-client-urls"} {
			if slices.Contains(hosts(e.Flags.List(flag)), host) {
				return true
			}
		}
	}
	return false
}

func hosts(urls []string) []string {
	var all []string
	for _, raw := range urls {
		u, err := url.Parse(raw)
		if err != nil || u.Hostname() == "" {
			continue
		}
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil && addr.IsUnspecified() {
			continue
		}
		if !slices.Contains(all, u.Hostname()) {
			all = append(all, u.Hostname())
		}
	}
	return all
}

// servePorts joins the ports to the credentials that are served there.
func (d *discovery) servePorts() {
	index := map[fact.ID]int{}
	for i, c := range d.Credentials {
		index[c.ID] = i
	}
	for _, p := range d.Ports {
		if p.Remote {
			continue
		}
		name := map[string]string{APIServer: "apiserver", ControllerManager: "controller-manager", Scheduler: "scheduler", Kubelet: "kubelet", Etcd: "etcd-server"}[p.Component]
		if p.Peer {
			name = "etcd-peer"
		}
		if i, ok := index[d.id(name)]; ok && d.Credentials[i].Role == Serving {
			c := &d.Credentials[i]
			c.Ports = append(c.Ports, p.Endpoint)
		}
	}
}
