// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/release"
)

// absent plans a credential without a certificate that can be read: it makes
// one that is missing, if that was asked for.
func (p *planner) absent(c layout.Credential) {
	switch {
	case !p.isMissing(c.Path):
		p.note(c.ID, "its certificate could not be read: %s", p.problem(c))
		return
	case !p.o.Create:
		p.note(c.ID, "%s is not there; renew --create %s makes it as kubeadm would", c.Path, c.ID.Name())
		return
	}
	spec, wanted, err := p.spec(c)
	if err != nil {
		p.note(c.ID, "%s is not there and cannot be made: %s", c.Path, err)
		return
	}
	ca, ok := p.seen.Layout.ByID(fact.NodeID(p.seen.Layout.Node, wanted.CA))
	if !ok {
		p.note(c.ID, "%s is not there, and neither is its CA (%s)", c.Path, wanted.CA)
		return
	}
	if why := p.unsigned(ca); why != "" {
		p.external(c, &ca, spec, why)
		return
	}
	p.create(c, ca, spec)
}

// isMissing says that a file is not there, and not merely unseen.
func (p *planner) isMissing(path string) bool {
	f := p.file(path)
	return f.Missing || f.Path == "" && !unseen(p.seen, path)
}

func (p *planner) create(c layout.Credential, ca layout.Credential, spec *Spec) {
	sign := &Sign{CA: ca.Path, CAKey: ca.Key, Cert: c.Path, Key: c.Key, Conf: c.Role == layout.Kubeconfig, Life: Span{cmp.Or(p.o.Life, pki.UsualLife)}, Spec: spec}
	files := []File{p.planned(ca.Path, false), p.planned(ca.Key, false)}
	like := p.file(ca.Path)
	if sign.Conf {
		sign.Key = ""
	}
	if keys := p.file(sign.Key).Keys; sign.Key == "" || len(keys) == 0 {
		sign.MakeKey = p.keyLike(ca)
		if sign.Key != "" {
			files = append(files, newFile(sign.Key, 0o600, like))
		}
	} else {
		files = append(files, p.planned(sign.Key, false))
	}
	mode := uint32(0o644)
	if sign.Conf {
		mode = 0o600
	}
	end := p.capped(c.ID, ca, sign.Life.Duration)
	p.add(Step{
		Verb: Create, ID: c.ID, Title: "make " + c.ID.Name(), Why: spec.why(c.Path),
		Sign: sign, Files: append([]File{newFile(c.Path, mode, like)}, files...),
		Expect: []Expect{{Predicate: DiskRenewed, ID: c.ID, NotAfter: end.Add(-slack)}},
	})
	p.renewed = append(p.renewed, c)
}

// why is the reason for making what is described.
func (s *Spec) why(path string) string {
	if s.Version == "" {
		return fmt.Sprintf("%s is not there; the agent's own identity, %s", path, fact.Text(s.CommonName))
	}
	return fmt.Sprintf("%s is not there; as kubeadm %s makes it", path, s.Version)
}

// newFile is a file that is to be made, with the owner of another.
func newFile(path string, mode uint32, like fact.File) File {
	return File{Path: path, Mode: mode, UID: like.Meta.UID, GID: like.Meta.GID, Written: true}
}

// keyLike is the kind of key that a CA's leaves have: kubeadm makes all keys by
// one algorithm.
func (p *planner) keyLike(ca layout.Credential) *fact.Key {
	cert := p.caCert(ca)
	if cert.Certificate == nil {
		if certs := p.file(ca.Path).Certs; len(certs) > 0 {
			cert = certs[0]
		}
	}
	like := pki.KeyOf(cert)
	kind := fact.Key{Algorithm: like.Algorithm, Bits: like.Bits}
	switch kind.Algorithm {
	case "RSA":
		kind.Format = "PKCS#1"
	case "ECDSA":
		kind.Format = "SEC1"
	default:
		kind.Format = "PKCS#8"
	}
	return &kind
}

// describe says what a missing certificate has to say: as kubeadm of this
// cluster's version would make it, or as the agent's own is.
func (p *planner) describe(c layout.Credential) (pki.Spec, string, error) {
	if c.ID.Name() == layout.AgentName {
		if p.seen.Layout.NodeGuessed {
			return pki.Spec{}, "", errors.New("the node's name is not known")
		}
		return pki.AgentSpec(layout.AgentName, p.seen.Layout.Node), "", nil
	}
	version, err := p.version()
	if err != nil {
		return pki.Spec{}, "", err
	}
	names, err := p.names(c)
	if err != nil {
		return pki.Spec{}, "", err
	}
	wanted, err := pki.SpecFor(c.ID.Name(), version, names)
	return wanted, version.String(), err
}

// spec is the description of a missing certificate, as a plan has it.
func (p *planner) spec(c layout.Credential) (*Spec, pki.Spec, error) {
	wanted, version, err := p.describe(c)
	if err != nil {
		return nil, wanted, err
	}
	s := &Spec{
		Credential: wanted.Name, Version: version, CommonName: wanted.CommonName, Organizations: wanted.Organizations,
		DNS: wanted.DNS, Origin: wanted.Origin, Citation: wanted.Citation,
	}
	for _, u := range wanted.Usages {
		s.Usages = append(s.Usages, usageName(u))
	}
	for _, ip := range wanted.IPs {
		s.IPs = append(s.IPs, ip.String())
	}
	if c.Role == layout.Kubeconfig {
		s.Cluster, s.Server = p.server(c.ID.Name())
		if s.Server == "" {
			return nil, wanted, errors.New("no other kubeconfig and no flag says where the API server is")
		}
	}
	return s, wanted, nil
}

func usageName(u x509.ExtKeyUsage) string {
	if u == x509.ExtKeyUsageServerAuth {
		return "server"
	}
	return "client"
}

// version is the release that runs here: what the API server says, or its
// image.
func (p *planner) version() (release.Version, error) {
	for _, f := range p.seen.Facts {
		if v, ok := f.(fact.Version); ok && p.local(v.Endpoint) {
			return release.ParseVersion(string(v.Git))
		}
	}
	for _, name := range []string{layout.APIServer, layout.ControllerManager, layout.Scheduler} {
		if c, ok := p.seen.Layout.Component(name); ok && layout.ImageVersion(c.Image) != "" {
			return release.ParseVersion(string(layout.ImageVersion(c.Image)))
		}
	}
	return release.Version{}, errors.New("the version of Kubernetes is not known: no API server answers, and no manifest names its image")
}

func (p *planner) local(endpoint string) bool {
	return slices.ContainsFunc(p.seen.Layout.Ports, func(port layout.Port) bool { return port.Endpoint == endpoint && !port.Remote })
}

// names are what kubeadm's certificates name, from the API server's flags and
// the kubeconfigs beside it.
func (p *planner) names(c layout.Credential) (pki.NodeNames, error) {
	n := pki.NodeNames{Domain: "cluster.local"}
	if !p.seen.Layout.NodeGuessed {
		n.Node = p.seen.Layout.Node
	}
	api, _ := p.seen.Layout.Component(layout.APIServer)
	n.Advertise, _ = netip.ParseAddr(api.Flags.Get("advertise-address"))
	if subnets := api.Flags.List("service-cluster-ip-range"); len(subnets) > 0 {
		if subnet, err := netip.ParsePrefix(subnets[0]); err == nil {
			n.ServiceIP = subnet.Masked().Addr().Next()
		}
	}
	for _, f := range p.seen.Facts {
		if k, ok := f.(fact.KubeletConfig); ok && k.ClusterDomain != "" {
			n.Domain = k.ClusterDomain
		}
	}
	// Names by which it is used: where the configuration adds names, clients
	// are why.
	n.Extra = slices.Clone(c.Covers)
	if server, err := url.Parse(p.serverOf("admin.conf", "kubelet.conf")); err == nil && c.ID.Name() == "apiserver" {
		n.Endpoint = server.Hostname()
	}
	return n, nil
}

// server is the cluster's name and the API server's URL for a kubeconfig. The
// controller manager, the scheduler and the agent talk to their own node's API server,
// people to the control plane's endpoint (kubeadm since 1.20,
// cmd/kubeadm/app/phases/kubeconfig/kubeconfig.go).
func (p *planner) server(name string) (cluster, server string) {
	near, far := []string{"controller-manager.conf", "scheduler.conf"}, []string{"admin.conf", "super-admin.conf", "kubelet.conf"}
	siblings := append(far, near...)
	if slices.Contains(near, name) || name == layout.AgentName {
		siblings = near
	}
	cluster = cmp.Or(p.clusterName(append(near, far...)...), "kubernetes")
	if server = p.serverOf(siblings...); server != "" {
		return cluster, server
	}
	api, ok := p.seen.Layout.Component(layout.APIServer)
	if address := api.Flags.Get("advertise-address"); ok && address != "" {
		if strings.Contains(address, ":") {
			address = "[" + address + "]"
		}
		return cluster, "https://" + address + ":" + cmp.Or(api.Flags.Get("secure-port"), "6443")
	}
	return cluster, ""
}

func (p *planner) serverOf(names ...string) string {
	return p.ofCluster(func(c fact.KubeconfigCluster) string { return string(c.Server) }, names)
}

func (p *planner) clusterName(names ...string) string {
	return p.ofCluster(func(c fact.KubeconfigCluster) string { return string(c.Name) }, names)
}

// ofCluster asks the current cluster of the first kubeconfig that has one.
func (p *planner) ofCluster(ask func(fact.KubeconfigCluster) string, names []string) string {
	for _, name := range names {
		c, ok := p.seen.Layout.ByID(fact.NodeID(p.seen.Layout.Node, name))
		if k := p.file(c.Path).Kubeconfig; ok && k != nil {
			for _, cluster := range k.Clusters {
				if cluster.Current && ask(cluster) != "" {
					return ask(cluster)
				}
			}
		}
	}
	return ""
}
