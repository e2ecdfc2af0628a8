// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/testlab"
)

// These tests compare with real kubeadms, on control planes of the lab. They
// run where PERENNIAL_LAB names the lab's program and LAB_TEST_VERSIONS the
// versions.

// plane is a control plane of the lab.
type plane struct{ *testlab.Plane }

func onPlanes(t *testing.T, test func(*plane)) {
	testlab.Each(t, func(p *testlab.Plane) { test(&plane{p}) })
}

func (p *plane) authority(base string) Authority {
	return Authority{Cert: Read(p.Read(base + ".crt")).Certs[0], Key: privateKey(p.T, p.Read(base+".key"))}
}

// place is where kubeadm keeps a credential, and the CA that signs it.
type place struct{ file, ca string }

var kubeadmPlaces = map[string]place{
	"apiserver":                {"pki/apiserver.crt", "pki/ca"},
	"apiserver-kubelet-client": {"pki/apiserver-kubelet-client.crt", "pki/ca"},
	"apiserver-etcd-client":    {"pki/apiserver-etcd-client.crt", "pki/etcd/ca"},
	"etcd-server":              {"pki/etcd/server.crt", "pki/etcd/ca"},
	"etcd-peer":                {"pki/etcd/peer.crt", "pki/etcd/ca"},
	"etcd-healthcheck-client":  {"pki/etcd/healthcheck-client.crt", "pki/etcd/ca"},
	"front-proxy-client":       {"pki/front-proxy-client.crt", "pki/front-proxy-ca"},
	"admin.conf":               {"admin.conf", "pki/ca"},
	"super-admin.conf":         {"super-admin.conf", "pki/ca"},
	"controller-manager.conf":  {"controller-manager.conf", "pki/ca"},
	"scheduler.conf":           {"scheduler.conf", "pki/ca"},
}

// credentials reads the credentials that are there, by name.
func (p *plane) credentials() map[string]fact.Cert {
	p.Helper()
	found := map[string]fact.Cert{}
	for name, at := range kubeadmPlaces {
		data, err := os.ReadFile(filepath.Join(p.KubernetesDir, at.file))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if leaf, ok := leafIn(data); ok {
			found[name] = leaf
			continue
		}
		p.Fatalf("%s: no certificate", name)
	}
	return found
}

func leafIn(data []byte) (fact.Cert, bool) {
	if IsKubeconfig(data) {
		k, _ := ReadKubeconfig(data, "/")
		return CurrentLeaf(k)
	}
	if c := Read(data); len(c.Certs) > 0 {
		return c.Certs[0], true
	}
	return fact.Cert{}, false
}

// renew makes what Perennial would make of each credential, at an instant.
func (p *plane) renew(old map[string]fact.Cert, now time.Time) map[string]Issuance {
	p.Helper()
	made := map[string]Issuance{}
	for name, cert := range old {
		issued, err := Issue(Request{Wanted: Wanted{Old: cert}, CA: p.authority(kubeadmPlaces[name].ca), Now: now, Rand: rand.Reader})
		if err != nil {
			p.Fatalf("%s: %v", name, err)
		}
		made[name] = issued
	}
	return made
}

// bothWays is one certificate renewed by both, and its CA.
type bothWays struct {
	version          release.Version
	ca               fact.Cert
	old, ours, their fact.Cert
	now              time.Time
}

// allowed are the fields in which the two may differ, and what has to hold of
// them. Every other field, and every extension, has to be equal.
var allowed = map[string]func(bothWays) error{
	"serial": func(b bothWays) error {
		if b.ours.SerialNumber.BitLen() != 127 || b.their.SerialNumber.BitLen() > 63 {
			return errors.New("not 127 bits beside at most 63")
		}
		return nil
	},
	"key": func(b bothWays) error {
		if b.ours.KeyFingerprint() != b.old.KeyFingerprint() || b.their.KeyFingerprint() == b.old.KeyFingerprint() {
			return errors.New("not the old key here and a new one there")
		}
		return nil
	},
	"begin": func(b bothWays) error {
		if !b.ours.NotBefore.Equal(b.now.Truncate(time.Second).Add(-Backdate)) && !b.ours.NotBefore.Equal(b.ca.NotBefore) {
			return errors.New("ours is neither five minutes back nor the CA's")
		}
		if b.version.Minor < 31 { // phases/certs/renewal/manager.go sets NotBefore since 1.31
			return near(b.their.NotBefore, b.ca.NotBefore, 0)
		}
		return near(b.their.NotBefore, b.ours.NotBefore, 2*time.Minute)
	},
	// Six minutes: the five that a begin lies back, which kubeadm counts into
	// the life or not, by version and by file, and one for the test itself.
	"end": func(b bothWays) error { return near(b.their.NotAfter, b.ours.NotAfter, 6*time.Minute) },
}

func near(a, b time.Time, distance time.Duration) error {
	if d := a.Sub(b).Abs(); d > distance {
		return fmt.Errorf("%s apart", d)
	}
	return nil
}

// fieldsOf are all fields of a certificate, as text to be compared.
func fieldsOf(c fact.Cert) map[string]string {
	fields := map[string]string{
		"version":   fmt.Sprint(c.Version),
		"serial":    c.SerialNumber.String(),
		"signature": c.SignatureAlgorithm.String(),
		"issuer":    fmt.Sprintf("%x", c.RawIssuer),
		"begin":     c.NotBefore.String(),
		"end":       c.NotAfter.String(),
		"name":      fmt.Sprintf("%x", c.RawSubject),
		"key":       fmt.Sprintf("%x", c.RawSubjectPublicKeyInfo),
	}
	for i, e := range c.Extensions {
		fields[fmt.Sprintf("extension %d", i)] = fmt.Sprintf("%s critical=%t %x", e.Id, e.Critical, e.Value)
	}
	return fields
}

func (b bothWays) compare(t *testing.T, name string) (differing []string) {
	t.Helper()
	ours, theirs := fieldsOf(b.ours), fieldsOf(b.their)
	all := maps.Clone(ours)
	maps.Copy(all, theirs)
	for field := range all {
		check := allowed[field]
		if check != nil {
			if err := check(b); err != nil {
				t.Errorf("%s: %s: %v: %s here, %s there", name, field, err, ours[field], theirs[field])
			}
		}
		if ours[field] == theirs[field] {
			continue
		}
		if differing = append(differing, field); check == nil {
			t.Errorf("%s: %s is %s here and %s there", name, field, ours[field], theirs[field])
		}
	}
	slices.Sort(differing)
	return differing
}

// Three renewals of each credential by both, 200 days apart: of what kubeadm
// has made with the CA, of what it renewed at once, and of what it renewed late,
// which up to 1.30 looks as old as the CA.
func TestLabRenewsAsKubeadmDoes(t *testing.T) {
	onPlanes(t, func(p *plane) {
		version := must(release.ParseVersion(p.Version))
		for round := range 3 {
			later := time.Duration(round) * 200 * 24 * time.Hour
			if round > 0 {
				p.Do("clock", "+200d")
			}
			old, now := p.credentials(), time.Now().Add(later)
			ours := p.renew(old, now)
			p.Inside("kubeadm", "certs", "renew", "all")
			theirs := p.credentials()
			differing := map[string]bool{}
			for name := range old {
				b := bothWays{version, p.authority(kubeadmPlaces[name].ca).Cert, old[name], ours[name].Cert, theirs[name], now}
				for _, field := range b.compare(p.T, name) {
					differing[field] = true
				}
				if assumed := round == 2 && version.Minor < 31; ours[name].Assumed != assumed {
					p.Errorf("%s: the life is assumed: %t", name, ours[name].Assumed)
				}
			}
			p.Logf("%d credentials after %d days differ in %v and nothing else", len(old), round*200, slices.Sorted(maps.Keys(differing)))
			if len(old) < 10 {
				p.Errorf("only %d credentials: too few to show anything", len(old))
			}
		}
	})
}

// What is made for a missing credential is what this version's kubeadm made.
func TestLabSpecsAreKubeadms(t *testing.T) {
	onPlanes(t, func(p *plane) {
		version := must(release.ParseVersion(p.Version))
		names := NodeNames{
			Node: "cp1", Advertise: netip.MustParseAddr("192.0.2.10"), ServiceIP: netip.MustParseAddr("10.96.0.1"),
			Domain: "cluster.local", Endpoint: "127.0.0.1",
		}
		kind := must(KeyNamed("RSA-2048"))
		for name, theirs := range p.credentials() {
			if names.Extra = nil; name == "apiserver" {
				names.Extra = []string{"127.0.0.1", "localhost"}
			}
			spec, err := SpecFor(name, version, names)
			if err != nil {
				p.Error(err)
				continue
			}
			key := must(NewPrivateKey(kind, rand.Reader))
			ca := p.authority(kubeadmPlaces[name].ca)
			issued, err := Issue(Request{Wanted: Wanted{Spec: &spec, Key: key}, CA: ca, Now: time.Now(), Rand: rand.Reader})
			if err != nil {
				p.Fatal(err)
			}
			ours, want := fieldsOf(issued.Cert), fieldsOf(theirs)
			for field := range want {
				switch field {
				case "serial", "key", "begin", "end":
				default:
					if ours[field] != want[field] {
						p.Errorf("%s: %s is %s here and %s there", name, field, ours[field], want[field])
					}
				}
			}
		}
	})
}

// The renewed files, written over the old ones, satisfy this version's kubeadm,
// kubectl and the running API server.
func TestLabAcceptsWhatIsRenewed(t *testing.T) {
	onPlanes(t, func(p *plane) {
		old := p.credentials()
		made := p.renew(old, time.Now())
		for name, issued := range made {
			p.put(name, issued.Cert)
		}
		table := p.Inside("kubeadm", "certs", "check-expiration")
		for name, issued := range made {
			if row := name + " "; !strings.Contains(table, row) || !strings.Contains(table, issued.Cert.NotAfter.Format("Jan 02, 2006 15:04 UTC")) {
				p.Errorf("check-expiration does not list %s with its new end:\n%s", name, table)
			}
		}
		p.Inside("kubectl", "get", "--raw", "/api/v1/namespaces/default")
		p.serves(made["apiserver"].Cert)
	})
}

func (p *plane) put(name string, cert fact.Cert) {
	p.Helper()
	file := kubeadmPlaces[name].file
	data := p.Read(file)
	var err error
	if IsKubeconfig(data) {
		data, err = ReplaceKubeconfig(data, "", cert, nil)
	} else {
		data, err = ReplaceLeaf(data, cert)
	}
	if err != nil {
		p.Fatal(err)
	}
	path := filepath.Join(p.KubernetesDir, file)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		p.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		p.Fatal(err)
	}
}

// serves waits until the API server serves a certificate: it looks at its
// files each minute.
func (p *plane) serves(want fact.Cert) {
	p.Helper()
	for deadline := time.Now().Add(90 * time.Second); ; time.Sleep(200 * time.Millisecond) {
		conn, err := tls.Dial("tcp", p.Endpoint, &tls.Config{InsecureSkipVerify: true})
		if err == nil {
			served := fact.Cert{Certificate: conn.ConnectionState().PeerCertificates[0]}
			conn.Close()
			if served.Fingerprint() == want.Fingerprint() {
				return
			}
		}
		if time.Now().After(deadline) {
			p.Fatalf("the API server does not serve the new certificate: %v", err)
		}
	}
}
