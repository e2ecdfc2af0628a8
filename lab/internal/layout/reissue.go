// SPDX-License-Identifier: Apache-2.0

package layout

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/yaml"
)

// reissue gives certificates the wanted lives where kubeadm (before 1.31)
// cannot: each certificate again, with the same key, names and usages, under
// the same CA key. It does nothing where kubeadm's own lives are wanted or
// kubeadm was told them.
func (s Settings) reissue(now time.Time) error {
	if s.v1beta4() || (s.CertLife == DefaultCertLife && s.CALife == DefaultCALife) {
		return nil
	}
	authorities := map[string]*authority{}
	for _, path := range []string{"ca", "front-proxy-ca", "etcd/ca"} {
		a, err := loadAuthority(filepath.Join(s.PKI(), path))
		if err != nil {
			return err
		}
		if a.certificate, err = a.sign(a.certificate, a.key.Public(), now, s.CALife); err != nil {
			return err
		}
		if err := writeCertificate(filepath.Join(s.PKI(), path+".crt"), a.certificate); err != nil {
			return err
		}
		authorities[a.certificate.Subject.String()] = a
	}
	if err := s.reissueFiles(authorities, now); err != nil {
		return err
	}
	return s.reissueKubeconfigs(authorities, now)
}

// authority is a CA with its key.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

func loadAuthority(base string) (*authority, error) {
	certificate, err := readCertificate(base + ".crt")
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(base + ".key")
	if err != nil {
		return nil, err
	}
	key, err := parseKey(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s.key: %w", base, err)
	}
	return &authority{certificate, key}, nil
}

// sign issues old's certificate once more, to live from now on.
func (a *authority) sign(old *x509.Certificate, public crypto.PublicKey, now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, big.NewInt(math.MaxInt64-1))
	if err != nil {
		return nil, err
	}
	template := *old
	template.SerialNumber = serial.Add(serial, big.NewInt(1))
	template.NotBefore = now.Add(-5 * time.Minute).UTC() // as kubeadm does, for clocks that differ
	template.NotAfter = now.Add(life).UTC()
	template.SignatureAlgorithm = x509.UnknownSignatureAlgorithm
	der, err := x509.CreateCertificate(rand.Reader, &template, a.certificate, public, a.key)
	if err != nil {
		return nil, fmt.Errorf("issuing the certificate of %s again: %w", old.Subject, err)
	}
	return x509.ParseCertificate(der)
}

func (s Settings) reissueFiles(authorities map[string]*authority, now time.Time) error {
	return filepath.WalkDir(s.PKI(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".crt" {
			return err
		}
		old, err := readCertificate(path)
		if err != nil || old.IsCA {
			return err
		}
		issued, err := s.reissueLeaf(old, authorities, now)
		if err != nil {
			return err
		}
		return writeCertificate(path, issued)
	})
}

func (s Settings) reissueLeaf(old *x509.Certificate, authorities map[string]*authority, now time.Time) (*x509.Certificate, error) {
	a := authorities[old.Issuer.String()]
	if a == nil {
		return nil, fmt.Errorf("issuing the certificate of %s again: no CA called %s", old.Subject, old.Issuer)
	}
	return a.sign(old, old.PublicKey, now, s.CertLife)
}

func (s Settings) reissueKubeconfigs(authorities map[string]*authority, now time.Time) error {
	paths, err := filepath.Glob(filepath.Join(s.Kubernetes(), "*.conf"))
	if err != nil {
		return err
	}
	ca, err := os.ReadFile(filepath.Join(s.PKI(), "ca.crt"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := s.reissueKubeconfig(path, ca, authorities, now); err != nil {
			return fmt.Errorf("issuing the certificate in %s again: %w", path, err)
		}
	}
	return nil
}

func (s Settings) reissueKubeconfig(path string, ca []byte, authorities map[string]*authority, now time.Time) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	const caField, certificateField = "certificate-authority-data: ", "client-certificate-data: "
	var config struct {
		Users []struct {
			User struct {
				Certificate []byte `json:"client-certificate-data"`
			}
		}
		Clusters []struct {
			Cluster struct {
				CA []byte `json:"certificate-authority-data"`
			}
		}
	}
	if err := yaml.Unmarshal(data, &config); err != nil {
		return err
	}
	if len(config.Users) != 1 || len(config.Clusters) != 1 {
		return fmt.Errorf("want one user and one cluster")
	}
	old, err := parseCertificate(config.Users[0].User.Certificate)
	if err != nil {
		return err
	}
	issued, err := s.reissueLeaf(old, authorities, now)
	if err != nil {
		return err
	}
	encode := base64.StdEncoding.EncodeToString
	text := strings.NewReplacer(
		caField+encode(config.Clusters[0].Cluster.CA), caField+encode(ca),
		certificateField+encode(config.Users[0].User.Certificate), certificateField+encode(encodeCertificate(issued)),
	).Replace(string(data))
	return os.WriteFile(path, []byte(text), 0o600)
}

func readCertificate(path string) (*x509.Certificate, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	certificate, err := parseCertificate(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return certificate, nil
}

func parseCertificate(data []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("no PEM block")
	}
	return x509.ParseCertificate(block.Bytes)
}

// parseKey reads the two encodings that kubeadm writes.
func parseKey(data []byte) (crypto.Signer, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("no PEM block")
	}
	if block.Type == "EC PRIVATE KEY" {
		return x509.ParseECPrivateKey(block.Bytes)
	}
	return x509.ParsePKCS1PrivateKey(block.Bytes)
}

func encodeCertificate(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}

func writeCertificate(path string, c *x509.Certificate) error {
	return os.WriteFile(path, encodeCertificate(c), 0o644)
}
