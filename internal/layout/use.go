// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"net/netip"
	"slices"
	"strings"
)

// describeUse says by which names and addresses each certificate is used, and
// which renew themselves.
func (d *discovery) describeUse() {
	for i := range d.Credentials {
		c := &d.Credentials[i]
		switch c.ID {
		case d.id("apiserver"):
			c.Covers = d.apiServerNames()
		case d.id("etcd-server"):
			for _, e := range d.components(Etcd) {
				c.Covers = append(c.Covers, hosts(append(e.Flags.List("advertise-client-urls"), e.Flags.List("listen-client-urls")...))...)
			}
		case d.id("etcd-peer"):
			for _, e := range d.components(Etcd) {
				c.Covers = append(c.Covers, hosts(e.Flags.List("initial-advertise-peer-urls"))...)
			}
		case d.id("kubelet.conf"):
			c.SelfRotating = d.kubeletRotates(c.Path)
		case d.id("kubelet"):
			c.SelfRotating = strings.HasSuffix(c.Path, "kubelet-server-current.pem")
			c.SelfMade = d.selfMade
		}
		slices.Sort(c.Covers)
		c.Covers = slices.Compact(c.Covers)
	}
}

func (d *discovery) apiServerNames() []string {
	names := []string{}
	for _, api := range d.components(APIServer) {
		if a := api.Flags.Get("advertise-address"); a != "" {
			names = append(names, a)
		}
		names = append(names, "kubernetes.default.svc")
		for _, cidr := range api.Flags.List("service-cluster-ip-range") {
			if p, err := netip.ParsePrefix(cidr); err == nil {
				names = append(names, p.Masked().Addr().Next().String())
			}
		}
	}
	for _, c := range d.Credentials {
		f := d.files[c.Path]
		if c.Role != Kubeconfig || f.Kubeconfig == nil {
			continue
		}
		for _, cluster := range f.Kubeconfig.Clusters {
			if cluster.Current {
				names = append(names, hosts([]string{string(cluster.Server)})...)
			}
		}
	}
	return names
}

// kubeletRotates says whether the kubelet renews its client certificate: it
// must be told to, and its kubeconfig must name the file that it renews.
func (d *discovery) kubeletRotates(conf string) bool {
	for _, p := range d.references(conf) {
		if strings.HasSuffix(p, "/kubelet-client-current.pem") {
			k, ok := d.Component(Kubelet)
			return !ok || d.kubelet == nil || k.Flags.Get("rotate-certificates") == "true"
		}
	}
	return false
}
