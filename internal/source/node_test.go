// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/source"
)

// machine is a control-plane node's file system below a directory, with real
// certificates and keys.
type machine struct {
	t       *testing.T
	root    string
	secrets []string // the private parts of its keys, in several spellings
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, root: t.TempDir()}
	m.put("etc/hostname", "cp1\n")
	m.put("etc/kubernetes/manifests/kube-apiserver.yaml", manifest("kube-apiserver",
		"--tls-cert-file=/etc/kubernetes/pki/apiserver.crt", "--tls-private-key-file=/etc/kubernetes/pki/apiserver.key",
		"--client-ca-file=/etc/kubernetes/pki/ca.crt"))
	m.put("var/lib/kubelet/config.yaml", "apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\nstaticPodPath: /etc/kubernetes/manifests\n")
	crt, key := m.pair("kube-apiserver")
	m.put("etc/kubernetes/pki/apiserver.crt", crt)
	m.put("etc/kubernetes/pki/apiserver.key", key)
	ca, caKey := m.pair("kubernetes")
	m.put("etc/kubernetes/pki/ca.crt", ca)
	m.put("etc/kubernetes/pki/ca.key", caKey)
	m.put("etc/kubernetes/scheduler.conf", m.kubeconfig("system:kube-scheduler"))
	return m
}

func (m *machine) path(name string) string { return filepath.Join(m.root, name) }

func (m *machine) put(name, content string) {
	m.t.Helper()
	p := m.path(name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) link(target, name string) {
	m.t.Helper()
	if err := os.Symlink(target, m.path(name)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) open() *host.FS {
	m.t.Helper()
	fs, err := host.Open(m.root)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { fs.Close() })
	return fs
}

// patient bounds are for looks that a busy machine must not cut short.
var patient = source.Timeouts{Disk: time.Minute, Local: time.Minute, Outside: time.Minute}

// scope is a scope with patient bounds, for the wants.
func (m *machine) scope(wants ...layout.Want) source.Scope {
	s := source.Scope{FS: m.open(), Wants: wants, Timeouts: patient, Limits: source.DefaultLimits}
	s.Root = m.root
	return s
}

// pair makes a certificate and its key in PEM, and remembers the key.
func (m *machine) pair(name string) (cert, key string) {
	m.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		m.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, k.Public(), k)
	if err != nil {
		m.t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		m.t.Fatal(err)
	}
	cert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	key = string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
	private, err := k.Bytes()
	if err != nil {
		m.t.Fatal(err)
	}
	m.secrets = append(m.secrets, hex.EncodeToString(private), new(big.Int).SetBytes(private).String(),
		base64.StdEncoding.EncodeToString(private)[:40], base64.StdEncoding.EncodeToString([]byte(key))[60:100])
	for _, line := range strings.Split(key, "\n")[1:3] { // those that hold the private part
		m.secrets = append(m.secrets, line[:20])
	}
	return cert, key
}

func (m *machine) kubeconfig(user string) string {
	cert, key := m.pair(user)
	in := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: c
contexts:
- {name: c, context: {cluster: k, user: u}}
clusters:
- {name: k, cluster: {server: "https://127.0.0.1:1", certificate-authority-data: %s}}
users:
- {name: u, user: {client-certificate-data: %s, client-key-data: %s}}
`, in(cert), in(cert), in(key))
}

func manifest(name string, args ...string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: kube-system}
spec:
  containers:
  - name: %s
    image: registry.k8s.io/%s:v1.37.0
    command: [%s, "%s"]
`, name, name, name, name, strings.Join(args, `", "`))
}
