// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/netip"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/release"
)

func fullNames() NodeNames {
	return NodeNames{
		Node: "cp1", Advertise: netip.MustParseAddr("10.0.0.1"), ServiceIP: netip.MustParseAddr("10.96.0.1"),
		Domain: "cluster.local", Endpoint: "api.example", Extra: []string{"10.0.0.1", "a.example", "::1"},
	}
}

func TestSpecForGroups(t *testing.T) {
	for _, c := range []struct{ version, name, want string }{
		{"1.25.0", "apiserver-kubelet-client", "system:masters"},
		{"1.28.15", "apiserver-kubelet-client", "system:masters"},
		{"1.29.0", "apiserver-kubelet-client", "kubeadm:cluster-admins"},
		{"1.32.2", "apiserver-kubelet-client", "kubeadm:cluster-admins"},
		{"1.33.11", "apiserver-kubelet-client", "kubeadm:cluster-admins"},
		{"1.33.12", "apiserver-kubelet-client", ""},
		{"1.34.4", "apiserver-kubelet-client", "kubeadm:cluster-admins"},
		{"1.34.8", "apiserver-kubelet-client", ""},
		{"1.35.4", "apiserver-kubelet-client", "kubeadm:cluster-admins"},
		{"1.35.10", "apiserver-kubelet-client", ""},
		{"1.36.0", "apiserver-kubelet-client", "kubeadm:cluster-admins"},
		{"1.36.3+k3s1", "apiserver-kubelet-client", ""},
		{"1.37.0", "apiserver-kubelet-client", ""},
		{"1.40.0", "apiserver-kubelet-client", ""},
		{"1.28.15", "apiserver-etcd-client", "system:masters"},
		{"1.29.0", "apiserver-etcd-client", ""},
		{"1.28.15", "etcd-healthcheck-client", "system:masters"},
		{"1.37.0", "etcd-healthcheck-client", ""},
		{"1.28.15", "admin.conf", "system:masters"},
		{"1.29.0", "admin.conf", "kubeadm:cluster-admins"},
		{"1.37.0", "super-admin.conf", "system:masters"},
		{"1.37.0", "kubelet.conf", "system:nodes"},
		{"1.37.0", "scheduler.conf", ""},
	} {
		spec, err := SpecFor(c.name, must(release.ParseVersion(c.version)), fullNames())
		if err != nil {
			t.Error(err)
			continue
		}
		if got := strings.Join(spec.Organizations, ","); got != c.want || spec.Citation == "" || spec.Origin == "" {
			t.Errorf("%s %s: %q, want %q", c.version, c.name, got, c.want)
		}
	}
}

// Every credential has one row for each version, with no holes and no overlap.
func TestSpecRowsFollowEachOther(t *testing.T) {
	rows, err := kubeadmRows()
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range rows {
		last := i+1 == len(rows) || rows[i+1].name != row.name
		switch {
		case last && row.until != release.Version{}:
			t.Errorf("%s ends at %s", row.name, row.until)
		case !last && rows[i+1].since != row.until:
			t.Errorf("%s: %s is followed by %s", row.name, row.until, rows[i+1].since)
		case i > 0 && rows[i-1].name > row.name:
			t.Errorf("%s is not in order", row.name)
		}
	}
}

func TestSpecForNames(t *testing.T) {
	v := must(release.ParseVersion("1.37.0"))
	for name, want := range map[string]string{
		"apiserver":   "[a.example api.example cp1 kubernetes kubernetes.default kubernetes.default.svc kubernetes.default.svc.cluster.local] [10.96.0.1 10.0.0.1 ::1]",
		"etcd-server": "[a.example cp1 localhost] [10.0.0.1 127.0.0.1 ::1]",
		"admin.conf":  "[] []",
	} {
		spec, err := SpecFor(name, v, fullNames())
		if got := fmt.Sprint(spec.DNS, spec.IPs); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

func TestSpecForRefuses(t *testing.T) {
	v := must(release.ParseVersion("1.37.0"))
	old := must(release.ParseVersion("1.28.0"))
	for want, call := range map[string]func() (Spec, error){
		"no such certificate":               func() (Spec, error) { return SpecFor("sa", v, fullNames()) },
		"that version does not make it":     func() (Spec, error) { return SpecFor("super-admin.conf", old, fullNames()) },
		"the node's name is not known":      func() (Spec, error) { return SpecFor("etcd-server", v, NodeNames{}) },
		"address of the service kubernetes": func() (Spec, error) { return SpecFor("apiserver", v, NodeNames{Node: "a"}) },
		"that the API server advertises": func() (Spec, error) {
			return SpecFor("apiserver", v, NodeNames{Node: "a", ServiceIP: netip.MustParseAddr("10.0.0.1")})
		},
		"that this node's API server": func() (Spec, error) { return SpecFor("etcd-peer", v, NodeNames{Node: "a"}) },
		`"a b" is neither`: func() (Spec, error) {
			n := fullNames()
			n.Extra = []string{"a b"}
			return SpecFor("apiserver", v, n)
		},
	} {
		if _, err := call(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

// A described certificate is, byte for byte, what crypto/x509 makes of
// kubeadm's template (NewSignedCert in cmd/kubeadm/app/util/pkiutil).
func TestIssueOfASpecIsWhatKubeadmMakes(t *testing.T) {
	ca := selfSigned(t, authority("kubernetes", 10), edKey())
	v := must(release.ParseVersion("1.32.2"))
	for _, name := range []string{"apiserver", "apiserver-kubelet-client", "etcd-peer", "kubelet.conf", "front-proxy-client"} {
		spec := must(SpecFor(name, v, fullNames()))
		key := must(NewPrivateKey(must(KeyNamed("ECDSA-P256")), rand.Reader))
		issued := issue(t, Request{Wanted: Wanted{Spec: &spec, Key: key}, CA: ca.authority(t), Now: halfway, Rand: rand.Reader})
		template := &x509.Certificate{
			SerialNumber: issued.Cert.SerialNumber, NotBefore: halfway.Add(-Backdate), NotAfter: halfway.Add(-Backdate).Add(UsualLife),
			Subject: pkix.Name{CommonName: spec.CommonName, Organization: spec.Organizations}, DNSNames: spec.DNS,
			KeyUsage: x509.KeyUsageKeyEncipherment | x509.KeyUsageDigitalSignature, ExtKeyUsage: spec.Usages, BasicConstraintsValid: true,
		}
		for _, ip := range spec.IPs {
			template.IPAddresses = append(template.IPAddresses, ip.AsSlice())
		}
		want := ca.issuesFor(t, template, key.signer().Public())
		if !bytes.Equal(issued.Cert.Raw, want.Raw) {
			t.Errorf("%s:\n%x\nis not\n%x", name, issued.Cert.RawTBSCertificate, want.RawTBSCertificate)
		}
		if issued.NewKey || issued.Assumed || issued.Capped != 0 {
			t.Errorf("%s: %+v", name, issued)
		}
	}
	spec := must(SpecFor("apiserver", v, fullNames()))
	if _, err := Issue(Request{Wanted: Wanted{Spec: &spec}, CA: ca.authority(t), Now: halfway, Rand: rand.Reader}); err == nil || !strings.Contains(err.Error(), "there is no key for it") {
		t.Error(err)
	}
	request := parseRequest(t, must(NewRequest(Wanted{Spec: &spec, Key: ca.private(t)}, rand.Reader)))
	if request.Subject.CommonName != "kube-apiserver" || len(request.DNSNames) != len(spec.DNS) || len(request.Extensions) != 4 {
		t.Errorf("requested as %s with %d extensions", request.Subject, len(request.Extensions))
	}
}

func TestKeyUsageExtension(t *testing.T) {
	for usage := x509.KeyUsage(1); usage < 512; usage++ {
		e := must(keyUsage(usage))
		cert := selfSigned(t, &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: day, NotAfter: day, ExtraExtensions: []pkix.Extension{e}}, edKey())
		if cert.KeyUsage != usage {
			t.Fatalf("%b became %b", usage, cert.KeyUsage)
		}
	}
}
