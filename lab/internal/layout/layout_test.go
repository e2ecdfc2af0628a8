// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

func TestPortsAreFreeAndDifferent(t *testing.T) {
	p, err := choosePorts()
	if err != nil {
		t.Fatal(err)
	}
	all := []int{p.API, p.EtcdClient, p.EtcdPeer, p.EtcdMetrics, p.ControllerManager, p.Scheduler}
	slices.Sort(all)
	if len(slices.Compact(all)) != 6 || all[0] < 10_000 || all[5] >= 30_000 {
		t.Errorf("got %v", all)
	}
}

func TestConfigurationFitsTheVersion(t *testing.T) {
	s := Settings{Name: "x", Dir: "/d", Node: "cp1", CertLife: 20 * time.Minute, CALife: DefaultCALife, KeyAlgorithm: "ECDSA-P256", Ports: Ports{API: 12345}}
	for version, want := range map[string][]string{
		"1.37.0": {"apiVersion: kubeadm.k8s.io/v1beta4", "certificateValidityPeriod: 20m0s", "encryptionAlgorithm: ECDSA-P256", "- name: bind-address"},
		"1.25.0": {"apiVersion: kubeadm.k8s.io/v1beta3", "PublicKeysECDSA: true", "bind-address: 127.0.0.1"},
	} {
		s.Version = version
		data, err := yaml.Marshal(s.clusterConfiguration())
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range append(want, "certificatesDir: /d/etc/kubernetes/pki", "controlPlaneEndpoint: 127.0.0.1:12345", "kubernetesVersion: v"+version) {
			if !strings.Contains(string(data), line) {
				t.Errorf("%s: no %q in\n%s", version, line, data)
			}
		}
		// kubeadm's own life of a CA is not repeated, so that its default is tested.
		if strings.Contains(string(data), "caCertificateValidityPeriod") {
			t.Errorf("%s: the default life of CAs is written\n%s", version, data)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	used := t.TempDir()
	if err := os.WriteFile(filepath.Join(used, "precious"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for want, s := range map[string]Settings{
		"is not empty": {Dir: used, Version: "1.37.0"},
		"want RSA-20":  {Dir: t.TempDir(), Version: "1.37.0", KeyAlgorithm: "DSA"},
		"kubeadm 1.25": {Dir: t.TempDir(), Version: "1.25.0", KeyAlgorithm: "RSA-4096"},
	} {
		if err := s.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}

// pkiWriter makes a small PKI as kubeadm would lay it out.
type pkiWriter struct {
	*testing.T
	s Settings
}

func (w pkiWriter) authority(base, name string) *authority {
	w.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, NotBefore: time.Now(), NotAfter: time.Now().Add(DefaultCALife), SerialNumber: big.NewInt(1),
	}
	key := newKey(w.T)
	a := &authority{template, key}
	a.certificate = sign(w.T, template, a, key)
	w.save(base, a.certificate, key)
	return a
}

func (w pkiWriter) leaf(base string, ca *authority, template x509.Certificate) *x509.Certificate {
	w.Helper()
	key := newKey(w.T)
	template.NotBefore, template.NotAfter, template.SerialNumber = time.Now(), time.Now().Add(DefaultCertLife), big.NewInt(2)
	template.KeyUsage = x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	c := sign(w.T, &template, ca, key)
	if base != "" {
		w.save(base, c, key)
	}
	return c
}

func (w pkiWriter) save(base string, c *x509.Certificate, key *ecdsa.PrivateKey) {
	w.Helper()
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		w.Fatal(err)
	}
	path := filepath.Join(w.s.PKI(), base)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(path+".key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		w.Fatal(err)
	}
	if err := writeCertificate(path+".crt", c); err != nil {
		w.Fatal(err)
	}
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t *testing.T, template *x509.Certificate, ca *authority, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, ca.certificate, key.Public(), ca.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestReissueChangesOnlyTheLife(t *testing.T) {
	s := Settings{Dir: t.TempDir(), Version: "1.25.0", CertLife: 20 * time.Minute, CALife: time.Hour}
	w := pkiWriter{t, s}
	ca, etcd := w.authority("ca", "kubernetes"), w.authority("etcd/ca", "etcd-ca")
	w.authority("front-proxy-ca", "front-proxy-ca")
	before := w.leaf("apiserver", ca, x509.Certificate{
		Subject: pkix.Name{CommonName: "kube-apiserver"}, DNSNames: []string{"cp1"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	w.leaf("etcd/server", etcd, x509.Certificate{Subject: pkix.Name{CommonName: "cp1"}})
	admin := w.leaf("", ca, x509.Certificate{
		Subject: pkix.Name{CommonName: "kubernetes-admin", Organization: []string{"system:masters"}}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	encode := base64.StdEncoding.EncodeToString
	config := fmt.Sprintf("apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: %s\n    server: https://127.0.0.1:1\n  name: x\nusers:\n- name: admin\n  user:\n    client-certificate-data: %s\n    client-key-data: S0VZ\n",
		encode(encodeCertificate(ca.certificate)), encode(encodeCertificate(admin)))
	if err := os.WriteFile(s.AdminConf(), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}

	now := time.Now().AddDate(-1, 0, 0) // the lab's, by its clock
	if err := s.reissue(now); err != nil {
		t.Fatal(err)
	}

	newCA, err := readCertificate(filepath.Join(s.PKI(), "ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	after, err := readCertificate(filepath.Join(s.PKI(), "apiserver.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if !newCA.PublicKey.(*ecdsa.PublicKey).Equal(ca.certificate.PublicKey) || !after.PublicKey.(*ecdsa.PublicKey).Equal(before.PublicKey) {
		t.Error("a key changed")
	}
	roots := x509.NewCertPool()
	roots.AddCert(newCA)
	if _, err := after.Verify(x509.VerifyOptions{Roots: roots, DNSName: "cp1", CurrentTime: now}); err != nil {
		t.Error(err)
	}
	wantEnd(t, "apiserver", after, now.Add(s.CertLife))
	wantEnd(t, "ca", newCA, now.Add(s.CALife))
	etcdServer, err := readCertificate(filepath.Join(s.PKI(), "etcd/server.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := etcdServer.CheckSignatureFrom(etcd.certificate); err != nil {
		t.Error(err)
	}

	var got struct {
		Clusters []struct {
			Cluster struct {
				CA     []byte `json:"certificate-authority-data"`
				Server string
			}
		}
		Users []struct {
			User struct {
				Certificate []byte `json:"client-certificate-data"`
				Key         string `json:"client-key-data"`
			}
		}
	}
	data, err := os.ReadFile(s.AdminConf())
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	client, err := parseCertificate(got.Users[0].User.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	wantEnd(t, "admin.conf", client, now.Add(s.CertLife))
	if client.Subject.String() != admin.Subject.String() || got.Users[0].User.Key != "S0VZ" || got.Clusters[0].Cluster.Server != "https://127.0.0.1:1" {
		t.Errorf("more than the certificate changed:\n%s", data)
	}
	if string(got.Clusters[0].Cluster.CA) != string(encodeCertificate(newCA)) {
		t.Error("the kubeconfig does not trust the new CA certificate")
	}
}

func wantEnd(t *testing.T, name string, c *x509.Certificate, end time.Time) {
	t.Helper()
	if d := c.NotAfter.Sub(end); d > 0 || d < -10*time.Minute {
		t.Errorf("%s ends on %v, not about %v", name, c.NotAfter, end)
	}
}

func TestReissueLeavesDefaultsAlone(t *testing.T) {
	// There is no PKI to read: touching it would be an error.
	for _, s := range []Settings{
		{Dir: t.TempDir(), Version: "1.25.0", CertLife: DefaultCertLife, CALife: DefaultCALife},
		{Dir: t.TempDir(), Version: "1.37.0", CertLife: time.Hour, CALife: time.Hour},
	} {
		if err := s.reissue(time.Now()); err != nil {
			t.Error(err)
		}
	}
}
