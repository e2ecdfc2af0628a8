// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/asn1"
	"encoding/csv"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/release"
)

//go:embed data/kubeadm.csv
var kubeadmTable []byte

// Spec describes a certificate that kubeadm would make.
type Spec struct {
	Name          string // of the credential, as kubeadm names it
	CA            string // the name of the CA that signs it: ca, etcd-ca, front-proxy-ca
	CommonName    string
	Organizations []string
	Usages        []x509.ExtKeyUsage
	DNS           []string // sorted, as kubeadm sorts them
	IPs           []netip.Addr
	// Origin says whether that was read in the released code ("measured") or
	// follows from what upstream said ("estimated"); Citation says where.
	Origin, Citation string
}

// NodeNames are the names and addresses that kubeadm puts into certificates.
type NodeNames struct {
	Node      string     // the node's name in the cluster
	Advertise netip.Addr // the address that this API server advertises
	// For the API server's certificate only:
	ServiceIP netip.Addr // of the service kubernetes: the first of the service subnet
	Domain    string     // of the cluster's DNS, mostly cluster.local; empty: none
	Endpoint  string     // the host of controlPlaneEndpoint, without port; empty: none
	// Extra are the names and addresses that the configuration adds to this
	// one certificate (certSANs, serverCertSANs, peerCertSANs).
	Extra []string
}

type kubeadmRow struct {
	name, ca         string
	since            release.Version
	until            release.Version // exclusive; zero: open
	commonName       string
	organization     string
	usages, names    string
	origin, citation string
}

var kubeadmRows = sync.OnceValues(func() ([]kubeadmRow, error) { return readKubeadmTable(kubeadmTable) })

func readKubeadmTable(table []byte) ([]kubeadmRow, error) {
	r := csv.NewReader(bytes.NewReader(table))
	r.Comment = '#'
	records, err := r.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("reading kubeadm's certificates: %w", err)
	}
	var rows []kubeadmRow
	for _, c := range records[1:] {
		row := kubeadmRow{name: c[0], ca: c[1], commonName: c[4], organization: c[5], usages: c[6], names: c[7], origin: c[8], citation: c[9]}
		if row.since, err = release.ParseVersion(c[2]); err != nil {
			return nil, fmt.Errorf("reading kubeadm's certificates: %s: %w", row.name, err)
		}
		if c[3] != "" {
			if row.until, err = release.ParseVersion(c[3]); err != nil {
				return nil, fmt.Errorf("reading kubeadm's certificates: %s: %w", row.name, err)
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func (r kubeadmRow) covers(v release.Version) bool {
	return v.Compare(r.since) >= 0 && (r.until == release.Version{} || v.Compare(r.until) < 0)
}

// SpecFor describes the certificate of a credential as kubeadm of a version
// makes it. The exact version matters: groups changed in patch releases too.
func SpecFor(credential string, v release.Version, names NodeNames) (Spec, error) {
	spec, err := specFor(credential, v, names)
	if err != nil {
		return Spec{}, fmt.Errorf("describing %s as kubeadm %s makes it: %w", fact.Text(clip(credential)), v, err)
	}
	return spec, nil
}

func specFor(credential string, v release.Version, names NodeNames) (Spec, error) {
	rows, err := kubeadmRows()
	if err != nil {
		return Spec{}, err
	}
	known := false
	for _, row := range rows {
		if row.name != credential {
			continue
		}
		if known = true; row.covers(v) {
			return row.spec(names)
		}
	}
	if known {
		return Spec{}, errors.New("that version does not make it, or is older than what is known here")
	}
	return Spec{}, errors.New("kubeadm has no such certificate that a CA signs")
}

func (r kubeadmRow) spec(n NodeNames) (Spec, error) {
	s := Spec{Name: r.name, CA: r.ca, CommonName: r.commonName, Origin: r.origin, Citation: r.citation}
	if strings.Contains(r.commonName, "{node}") {
		if n.Node == "" {
			return Spec{}, errors.New("the node's name is not known")
		}
		s.CommonName = strings.ReplaceAll(r.commonName, "{node}", n.Node)
	}
	if r.organization != "" {
		s.Organizations = []string{r.organization}
	}
	for _, usage := range strings.Fields(r.usages) {
		if usage == "server" {
			s.Usages = append(s.Usages, x509.ExtKeyUsageServerAuth)
		} else {
			s.Usages = append(s.Usages, x509.ExtKeyUsageClientAuth)
		}
	}
	switch r.names {
	case "apiserver":
		return s, s.nameAPIServer(n)
	case "etcd":
		return s, s.nameEtcd(n)
	}
	return s, nil
}

// nameAPIServer adds the names of GetAPIServerAltNames
// (cmd/kubeadm/app/util/pkiutil/pki_helpers.go, the same from 1.24 to 1.37).
func (s *Spec) nameAPIServer(n NodeNames) error {
	switch {
	case n.Node == "":
		return errors.New("the node's name is not known")
	case !n.ServiceIP.IsValid():
		return errors.New("the address of the service kubernetes, the first of the service subnet, is not known")
	case !n.Advertise.IsValid():
		return errors.New("the address that the API server advertises is not known")
	}
	s.DNS = []string{n.Node, "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
	if n.Domain != "" {
		s.DNS = append(s.DNS, "kubernetes.default.svc."+n.Domain)
	}
	s.IPs = []netip.Addr{n.ServiceIP, n.Advertise}
	if n.Endpoint != "" {
		s.add(n.Endpoint)
	}
	return s.finish(n.Extra)
}

// nameEtcd adds the names of GetEtcdAltNames and GetEtcdPeerAltNames (as
// above).
func (s *Spec) nameEtcd(n NodeNames) error {
	if !n.Advertise.IsValid() {
		return errors.New("the address that this node's API server advertises is not known")
	}
	s.DNS = []string{n.Node, "localhost"}
	s.IPs = []netip.Addr{n.Advertise, netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	return s.finish(n.Extra)
}

func (s *Spec) add(host string) {
	if ip, err := netip.ParseAddr(host); err == nil {
		s.IPs = append(s.IPs, ip)
		return
	}
	s.DNS = append(s.DNS, host)
}

// finish adds the configured names, sorts the DNS names and leaves each name
// once (RemoveDuplicateAltNames).
func (s *Spec) finish(extra []string) error {
	for _, host := range extra {
		s.add(host)
	}
	for _, name := range s.DNS {
		if !isDNSName(name) {
			return fmt.Errorf(`"%s" is neither a DNS name nor an address`, fact.Text(clip(name)))
		}
	}
	slices.Sort(s.DNS)
	s.DNS = slices.Compact(s.DNS)
	var ips []netip.Addr
	for _, ip := range s.IPs {
		if ip = ip.Unmap(); !slices.Contains(ips, ip) {
			ips = append(ips, ip)
		}
	}
	s.IPs = ips
	return nil
}

// form writes the extensions that crypto/x509 writes for kubeadm's template,
// in its order: every certificate has the two key usages and says that it is
// no CA.
func (s Spec) form() (form, error) {
	subject, err := subjectOf(s.CommonName, s.Organizations)
	if err != nil {
		return form{}, err
	}
	usage, err := keyUsage(x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment)
	if err != nil {
		return form{}, err
	}
	extended, err := extendedUsage(s.Usages)
	if err != nil {
		return form{}, err
	}
	noCA, err := asn1.Marshal(struct{}{})
	if err != nil {
		return form{}, err
	}
	f := form{subject: subject, extensions: []pkix.Extension{
		usage, extended, {Id: oidBasicConstraints, Critical: true, Value: noCA}, {Id: oidAuthorityKeyID},
	}}
	return f, f.addNames(s.DNS, s.IPs)
}
