// SPDX-License-Identifier: Apache-2.0

// Package testnode writes what kubeadm writes on a control-plane node, with
// real certificates, into a directory, for tests. Only tests import it.
package testnode

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Start is when every node's certificates begin, unless a test says otherwise.
var Start = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// Node is a node's file system below Root.
type Node struct {
	Root string // pass as --root
	Name string
	Dir  string // of the certificates, as the node sees it
	tb   testing.TB
	opts Options
	CAs  map[string]*Pair // ca, etcd-ca, front-proxy-ca
}

// Options change what New writes.
type Options struct {
	Name     string        // node name; cp1
	Version  string        // v1.37.0
	CertDir  string        // /etc/kubernetes/pki
	Key      string        // ecdsa (default), rsa, ed25519
	Life     time.Duration // of leaves; a year
	CALife   time.Duration // ten years
	External bool          // external etcd: no etcd on this node
	Worker   bool          // a worker: kubelet only
}

// Pair is a certificate with its key.
type Pair struct {
	Cert *x509.Certificate
	Key  crypto.Signer
}

// Leaf describes a certificate to issue.
type Leaf struct {
	Name, Organization string // CN and O
	DNS                []string
	IPs                []string
	Usage              []x509.ExtKeyUsage
	Start, End         time.Time
	Change             func(*x509.Certificate) // last touch to the template
}

// New writes a node.
func New(tb testing.TB, o Options) *Node {
	tb.Helper()
	if o.Name == "" {
		o.Name = "cp1"
	}
	if o.Version == "" {
		o.Version = "v1.37.0"
	}
	if o.CertDir == "" {
		o.CertDir = "/etc/kubernetes/pki"
	}
	if o.Life == 0 {
		o.Life = 365 * 24 * time.Hour
	}
	if o.CALife == 0 {
		o.CALife = 3650 * 24 * time.Hour
	}
	n := &Node{Root: tb.TempDir(), Name: o.Name, Dir: o.CertDir, tb: tb, opts: o, CAs: map[string]*Pair{}}
	n.CAs["ca"] = n.NewCA("kubernetes")
	if o.Worker {
		n.WriteCert(n.Dir+"/ca.crt", n.CAs["ca"].Cert)
		n.kubelet()
		return n
	}
	n.CAs["etcd-ca"], n.CAs["front-proxy-ca"] = n.NewCA("etcd-ca"), n.NewCA("front-proxy-ca")
	for name, file := range map[string]string{"ca": "ca", "etcd-ca": "etcd/ca", "front-proxy-ca": "front-proxy-ca"} {
		n.WritePair(n.Dir+"/"+file, n.CAs[name])
	}
	n.leaves()
	n.serviceAccounts()
	n.kubeconfigs()
	n.kubelet()
	n.manifests()
	return n
}

var client, server = x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth

// ServingNames are the API server's names on this node.
func (n *Node) ServingNames() ([]string, []string) {
	return []string{n.Name, "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
		[]string{"10.96.0.1", "192.0.2.10"}
}

func (n *Node) leaves() {
	dns, ips := n.ServingNames()
	etcdDNS, etcdIPs := []string{n.Name, "localhost"}, []string{"192.0.2.10", "127.0.0.1", "::1"}
	n.Issue("ca", "apiserver", Leaf{Name: "kube-apiserver", DNS: dns, IPs: ips, Usage: []x509.ExtKeyUsage{server}})
	n.Issue("ca", "apiserver-kubelet-client", Leaf{Name: "kube-apiserver-kubelet-client", Usage: []x509.ExtKeyUsage{client}})
	n.Issue("front-proxy-ca", "front-proxy-client", Leaf{Name: "front-proxy-client", Usage: []x509.ExtKeyUsage{client}})
	n.Issue("etcd-ca", "apiserver-etcd-client", Leaf{Name: "kube-apiserver-etcd-client", Usage: []x509.ExtKeyUsage{client}})
	if n.opts.External {
		return
	}
	n.Issue("etcd-ca", "etcd/server", Leaf{Name: n.Name, DNS: etcdDNS, IPs: etcdIPs, Usage: []x509.ExtKeyUsage{server, client}})
	n.Issue("etcd-ca", "etcd/peer", Leaf{Name: n.Name, DNS: etcdDNS, IPs: etcdIPs, Usage: []x509.ExtKeyUsage{server, client}})
	n.Issue("etcd-ca", "etcd/healthcheck-client", Leaf{Name: "kube-etcd-healthcheck-client", Usage: []x509.ExtKeyUsage{client}})
}

// Issue signs a leaf with one of the node's CAs and writes it below the
// certificate directory.
func (n *Node) Issue(ca, file string, l Leaf) *Pair {
	n.tb.Helper()
	p := n.Sign(n.CAs[ca], l)
	n.WritePair(n.Dir+"/"+file, p)
	return p
}

func (n *Node) serviceAccounts() {
	key := n.key()
	n.WritePEM(n.Dir+"/sa.key", 0o600, "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(key)))
	n.WritePEM(n.Dir+"/sa.pub", 0o600, "PUBLIC KEY", must(x509.MarshalPKIXPublicKey(key.Public())))
}

func (n *Node) kubeconfigs() {
	for file, l := range map[string]Leaf{
		"admin":              {Name: "kubernetes-admin", Organization: "kubeadm:cluster-admins"},
		"super-admin":        {Name: "kubernetes-super-admin", Organization: "system:masters"},
		"controller-manager": {Name: "system:kube-controller-manager"},
		"scheduler":          {Name: "system:kube-scheduler"},
	} {
		l.Usage = []x509.ExtKeyUsage{client}
		n.Write("/etc/kubernetes/"+file+".conf", 0o600, n.Kubeconfig(n.CAs["ca"].Cert, n.Sign(n.CAs["ca"], l), l.Name))
	}
}

// Kubeconfig is a kubeconfig with embedded data, as kubeadm writes it.
func (n *Node) Kubeconfig(ca *x509.Certificate, p *Pair, user string) []byte {
	return []byte(fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: kubernetes
  cluster:
    server: https://192.0.2.10:6443
    certificate-authority-data: %s
contexts:
- name: %[2]s@kubernetes
  context: {cluster: kubernetes, user: %[2]s}
current-context: %[2]s@kubernetes
preferences: {}
users:
- name: %[2]s
  user:
    client-certificate-data: %[3]s
    client-key-data: %[4]s
`, base64.StdEncoding.EncodeToString(CertPEM(ca)), user,
		base64.StdEncoding.EncodeToString(CertPEM(p.Cert)), base64.StdEncoding.EncodeToString(n.KeyPEM(p))))
}

func (n *Node) kubelet() {
	p := n.Sign(n.CAs["ca"], Leaf{Name: "system:node:" + n.Name, Organization: "system:nodes", Usage: []x509.ExtKeyUsage{client}})
	n.Write("/var/lib/kubelet/pki/kubelet-client-2026.pem", 0o600, append(CertPEM(p.Cert), n.KeyPEM(p)...))
	n.Link("kubelet-client-2026.pem", "/var/lib/kubelet/pki/kubelet-client-current.pem")
	self := n.Sign(nil, Leaf{Name: n.Name + "@1", DNS: []string{n.Name}, Usage: []x509.ExtKeyUsage{server}})
	n.WriteCert("/var/lib/kubelet/pki/kubelet.crt", self.Cert)
	n.Write("/var/lib/kubelet/pki/kubelet.key", 0o600, n.KeyPEM(self))
	n.Write("/var/lib/kubelet/config.yaml", 0o644, []byte(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {x509: {clientCAFile: `+n.Dir+`/ca.crt}}
rotateCertificates: true
staticPodPath: /etc/kubernetes/manifests
`))
	n.Write("/etc/kubernetes/kubelet.conf", 0o600, []byte(fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: kubernetes
  cluster: {server: "https://192.0.2.10:6443", certificate-authority-data: %s}
contexts:
- name: default
  context: {cluster: kubernetes, user: default-auth}
current-context: default
users:
- name: default-auth
  user:
    client-certificate: /var/lib/kubelet/pki/kubelet-client-current.pem
    client-key: /var/lib/kubelet/pki/kubelet-client-current.pem
`, base64.StdEncoding.EncodeToString(CertPEM(n.CAs["ca"].Cert)))))
}

// NewCA makes a self-signed CA.
func (n *Node) NewCA(cn string) *Pair {
	return n.Sign(nil, Leaf{Name: cn, DNS: []string{cn}, End: Start.Add(n.opts.CALife), Change: func(c *x509.Certificate) {
		c.IsCA, c.KeyUsage = true, c.KeyUsage|x509.KeyUsageCertSign
	}})
}

// Sign issues a certificate; without a CA it is self-signed.
func (n *Node) Sign(ca *Pair, l Leaf) *Pair {
	n.tb.Helper()
	return n.SignKey(ca, n.key(), l)
}

// SignKey issues a certificate for a given key.
func (n *Node) SignKey(ca *Pair, key crypto.Signer, l Leaf) *Pair {
	n.tb.Helper()
	if l.Start.IsZero() {
		l.Start = Start
	}
	if l.End.IsZero() {
		l.End = l.Start.Add(n.opts.Life)
	}
	template := &x509.Certificate{
		SerialNumber: must(rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 62))),
		Subject:      pkix.Name{CommonName: l.Name}, NotBefore: l.Start, NotAfter: l.End,
		DNSNames: l.DNS, ExtKeyUsage: l.Usage, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, BasicConstraintsValid: true,
	}
	if l.Organization != "" {
		template.Subject.Organization = []string{l.Organization}
	}
	for _, ip := range l.IPs {
		template.IPAddresses = append(template.IPAddresses, net.ParseIP(ip))
	}
	if l.Change != nil {
		l.Change(template)
	}
	parent, signer := template, crypto.Signer(key)
	if ca != nil {
		parent, signer = ca.Cert, ca.Key
	}
	der := must(x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer))
	return &Pair{Cert: must(x509.ParseCertificate(der)), Key: key}
}

func (n *Node) key() crypto.Signer {
	switch n.opts.Key {
	case "rsa":
		return must(rsa.GenerateKey(rand.Reader, 2048))
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	}
	return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
}

// KeyPEM is a private key as kubeadm writes it: PKCS#1 or SEC1 where there is
// such a form.
func (n *Node) KeyPEM(p *Pair) []byte {
	switch key := p.Key.(type) {
	case *rsa.PrivateKey:
		return Block("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key))
	case *ecdsa.PrivateKey:
		return Block("EC PRIVATE KEY", must(x509.MarshalECPrivateKey(key)))
	}
	return Block("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(p.Key)))
}

// CertPEM is a certificate's PEM block.
func CertPEM(c *x509.Certificate) []byte { return Block("CERTIFICATE", c.Raw) }

// Block is a PEM block.
func Block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// WritePair writes PATH.crt and PATH.key.
func (n *Node) WritePair(path string, p *Pair) {
	n.WriteCert(path+".crt", p.Cert)
	n.Write(path+".key", 0o600, n.KeyPEM(p))
}

// WriteCert writes certificates as kubeadm does, mode 0644.
func (n *Node) WriteCert(path string, certs ...*x509.Certificate) {
	var all []byte
	for _, c := range certs {
		all = append(all, CertPEM(c)...)
	}
	n.Write(path, 0o644, all)
}

// WritePEM writes one block.
func (n *Node) WritePEM(path string, mode os.FileMode, kind string, der []byte) {
	n.Write(path, mode, Block(kind, der))
}

// Write writes a file at a path of the node.
func (n *Node) Write(path string, mode os.FileMode, data []byte) {
	n.tb.Helper()
	at := n.Path(path)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		n.tb.Fatal(err)
	}
	if err := os.WriteFile(at, data, mode); err != nil {
		n.tb.Fatal(err)
	}
	if err := os.Chmod(at, mode); err != nil {
		n.tb.Fatal(err)
	}
}

// Link makes a symbolic link at a path of the node.
func (n *Node) Link(target, path string) {
	n.tb.Helper()
	if err := os.Symlink(target, n.Path(path)); err != nil {
		n.tb.Fatal(err)
	}
}

// Remove removes a file of the node.
func (n *Node) Remove(path string) {
	n.tb.Helper()
	if err := os.RemoveAll(n.Path(path)); err != nil {
		n.tb.Fatal(err)
	}
}

// Path is where a path of the node lies on this machine.
func (n *Node) Path(path string) string { return filepath.Join(n.Root, filepath.FromSlash(path)) }

// Read reads a file of the node.
func (n *Node) Read(path string) []byte {
	n.tb.Helper()
	data, err := os.ReadFile(n.Path(path))
	if err != nil {
		n.tb.Fatal(err)
	}
	return data
}

// Edit replaces text in a file of the node; the text must be there.
func (n *Node) Edit(path, old, text string) {
	n.tb.Helper()
	data := string(n.Read(path))
	if !strings.Contains(data, old) {
		n.tb.Fatalf("%s does not hold %q", path, old)
	}
	info, err := os.Stat(n.Path(path))
	if err != nil {
		n.tb.Fatal(err)
	}
	n.Write(path, info.Mode().Perm(), []byte(strings.ReplaceAll(data, old, text)))
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
