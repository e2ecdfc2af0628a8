// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"perennial.dev/perennial/internal/testnode"
)

const pki = "/etc/kubernetes/pki"

// hostileFiles are files that are damaged, are something else, or are not
// where they should be.
func hostileFiles() []bad {
	lost := []string{"cp1/apiserver CertificateExpires"}
	broken := []string{"cp1/apiserver FileMalformed"}
	missing := []string{"cp1/apiserver FileMissing"}
	crt, key := pki+"/apiserver.crt", pki+"/apiserver.key"
	return []bad{
		{name: "truncated certificate", change: func(_ *testing.T, n *testnode.Node) {
			n.Write(crt, 0o644, n.Read(crt)[:300])
		}, gone: lost, want: broken, exit: 11, says: []string{"the file is cut off"}},
		{name: "truncated key", change: func(_ *testing.T, n *testnode.Node) {
			n.Write(key, 0o600, n.Read(key)[:120])
		}, want: broken, exit: 11, says: []string{"apiserver.key"}},
		{name: "wrong key", change: func(_ *testing.T, n *testnode.Node) {
			n.Write(key, 0o600, n.Read(pki+"/etcd/server.key"))
		}, want: []string{"cp1/apiserver KeyMismatch"}, exit: 11},
		{name: "empty file", change: func(_ *testing.T, n *testnode.Node) { n.Write(crt, 0o644, nil) },
			gone: lost, want: broken, exit: 11, says: []string{"empty"}},
		{name: "only NUL bytes, as after a power cut", change: func(_ *testing.T, n *testnode.Node) {
			n.Write(crt, 0o644, make([]byte, 1100))
		}, gone: lost, want: broken, exit: 11},
		{name: "directory in place of a file", change: func(t *testing.T, n *testnode.Node) {
			n.Remove(crt)
			mkdir(t, n.Path(crt))
		}, gone: lost, want: broken, exit: 11, says: []string{"is a directory"}},
		{name: "symlink loop", change: func(_ *testing.T, n *testnode.Node) {
			n.Remove(crt)
			n.Link("apiserver.crt", crt)
		}, gone: lost, want: broken, exit: 11},
		{name: "loop of directories", change: func(_ *testing.T, n *testnode.Node) {
			n.Link(".", pki+"/again")
			n.Link("../..", pki+"/etcd/up")
		}},
		{name: "dangling link", change: func(_ *testing.T, n *testnode.Node) {
			n.Remove(crt)
			n.Link("apiserver-2026.crt", crt)
		}, gone: lost, want: missing, exit: 11},
		{name: "absolute link out of the root", change: func(t *testing.T, n *testnode.Node) {
			n.Remove(crt)
			n.Link(outside(t, n), crt)
		}, gone: lost, want: missing, exit: 11, never: []string{"outside the root"}},
		{name: "relative link out of the root", change: func(t *testing.T, n *testnode.Node) {
			n.Remove(crt)
			n.Link(strings.Repeat("../", 30)+outside(t, n), crt)
		}, gone: lost, want: missing, exit: 11, never: []string{"outside the root"}},
		{name: "pki directory that is a link out of the root", change: func(t *testing.T, n *testnode.Node) {
			other := testnode.New(t, testnode.Options{Name: "elsewhere"})
			n.Remove(pki)
			n.Link(other.Path(pki), pki)
		}, node: testnode.Options{Worker: true}, gone: []string{"cp1/ca CAExpires"}, want: []string{"cp1/ca FileMissing", "cp1/kubelet.conf/ca CAExpires"}, exit: 11, never: []string{"elsewhere"}},
		{name: "100 MB sparse file", change: func(t *testing.T, n *testnode.Node) {
			if err := os.Truncate(n.Path(crt), 100<<20); err != nil {
				t.Fatal(err)
			}
		}, gone: lost, unseen: []string{"TooLarge " + crt}, exit: 12, says: []string{"larger than"}},
		{name: "FIFO", change: func(t *testing.T, n *testnode.Node) {
			if err := syscall.Mkfifo(n.Path(pki+"/queue.crt"), 0o644); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "FIFO in place of a certificate", change: func(t *testing.T, n *testnode.Node) {
			n.Remove(crt)
			if err := syscall.Mkfifo(n.Path(crt), 0o644); err != nil {
				t.Fatal(err)
			}
		}, gone: lost, want: broken, exit: 11, says: []string{"named pipe"}},
		{name: "text without a certificate", change: func(_ *testing.T, n *testnode.Node) {
			n.Write(crt, 0o644, []byte("see the vault\n"))
		}, gone: lost, want: broken, exit: 11, never: []string{"vault"}},
		{name: "DER instead of PEM", change: func(_ *testing.T, n *testnode.Node) {
			b, _ := pem.Decode(n.Read(crt))
			n.Write(crt, 0o644, b.Bytes)
		}, want: broken, exit: 11, says: []string{"openssl x509 -inform der"}},
		{name: "byte-order mark", change: func(_ *testing.T, n *testnode.Node) {
			n.Write(crt, 0o644, append([]byte("\uFEFF"), n.Read(crt)...))
		}, want: broken, exit: 11, says: []string{"byte-order mark"}},
		{name: "line breaks lost", change: func(_ *testing.T, n *testnode.Node) {
			n.Write(key, 0o600, bytes.ReplaceAll(n.Read(key), []byte("\n"), nil))
		}, want: broken, exit: 11, says: []string{"line breaks were lost"}},
		{name: "CRLF and text around is fine", change: func(_ *testing.T, n *testnode.Node) {
			for _, file := range []string{crt, key, pki + "/ca.crt", pki + "/sa.pub"} {
				text := "Subject: made by hand\n\n" + string(n.Read(file)) + "\nend of the file\n"
				n.Write(file, 0o600, []byte(strings.ReplaceAll(text, "\n", "\r\n")))
			}
		}},
		{name: "PKCS#8 in place of SEC1 is fine", change: func(_ *testing.T, n *testnode.Node) { asPKCS8(n, key) }},
		{name: "PKCS#8 in place of PKCS#1 is fine", node: testnode.Options{Key: "rsa"}, change: func(_ *testing.T, n *testnode.Node) { asPKCS8(n, key) }},
		{name: "PKCS#8 under the name of PKCS#1", node: testnode.Options{Key: "rsa"}, change: func(_ *testing.T, n *testnode.Node) {
			asPKCS8(n, key)
			n.Edit(key, "PRIVATE KEY", "RSA PRIVATE KEY")
		}},
		{name: "encrypted key", change: func(_ *testing.T, n *testnode.Node) {
			n.WritePEM(key, 0o600, "ENCRYPTED PRIVATE KEY", []byte("0 bytes that only a password opens"))
		}, want: broken, exit: 11, says: []string{"password"}},
		{name: "key in place of the certificate", change: func(_ *testing.T, n *testnode.Node) {
			n.Write(crt, 0o600, n.Read(key))
		}, gone: lost, want: broken, exit: 11},
		{name: "certificate in place of the key", change: func(_ *testing.T, n *testnode.Node) {
			n.Write(key, 0o600, n.Read(crt))
		}, want: broken, exit: 11},
		{name: "duplicate certificates in a bundle", change: func(_ *testing.T, n *testnode.Node) {
			ca := n.CAs["ca"].Cert
			n.WriteCert(pki+"/ca.crt", ca, ca, ca)
		}},
		{name: "10,000 certificates in one file", change: func(_ *testing.T, n *testnode.Node) {
			one := string(n.Read(pki + "/ca.crt"))
			n.Write(pki+"/ca.crt", 0o644, []byte(strings.Repeat(one, 10_000)))
		}, unseen: []string{"TooLarge " + pki + "/ca.crt"}, exit: 12, says: []string{"9000 more certificates"}},
		{name: "a thousand and more CAs in one file", change: func(_ *testing.T, n *testnode.Node) {
			n.WriteCert(pki+"/ca.crt", append([]*x509.Certificate{n.CAs["ca"].Cert}, many(n, 1500)...)...)
		}, want: bundle("cp1/ca", 2, 1000), unseen: []string{"TooLarge " + pki + "/ca.crt"}, exit: 12},
		{name: "file name that is no UTF-8", change: func(_ *testing.T, n *testnode.Node) {
			n.WriteCert(pki+"/old-\xff\xfe.crt", n.CAs["ca"].Cert)
		}, want: []string{"cp1/pki/old-__.crt CAExpires"}},
		{name: "file name with escape codes", change: func(_ *testing.T, n *testnode.Node) {
			n.WriteCert(pki+"/\x1b[31m\u202e\u0085.crt", n.CAs["ca"].Cert)
			n.Write(pki+"/\x1b]0;title\a.key", 0o644, n.Read(key))
		}, want: []string{"cp1/pki/_[31m__.crt CAExpires", "cp1/pki/_]0;title_.key KeyReadable"}},
	}
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

// outside is a certificate beside the root, to which nothing may lead.
func outside(t *testing.T, n *testnode.Node) string {
	t.Helper()
	file := t.TempDir() + "/secret.crt"
	cert := testnode.CertPEM(n.Sign(nil, testnode.Leaf{Name: "outside the root"}).Cert)
	if err := os.WriteFile(file, cert, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// asPKCS8 writes a key in the other form, without another change.
func asPKCS8(n *testnode.Node, file string) {
	b, _ := pem.Decode(n.Read(file))
	var key any
	var err error
	if key, err = x509.ParseECPrivateKey(b.Bytes); err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(b.Bytes); err != nil {
			panic(err)
		}
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	n.WritePEM(file, 0o600, "PRIVATE KEY", der)
}

// bundle are the names of the further certificates of a file.
func bundle(id string, from, to int) (all []string) {
	for i := from; i <= to; i++ {
		all = append(all, fmt.Sprintf("%s#%d CAExpires", id, i))
	}
	return all
}

// many are different CA certificates with one key.
func many(n *testnode.Node, count int) []*x509.Certificate {
	key := n.CAs["ca"].Key
	all := make([]*x509.Certificate, count)
	for i := range all {
		all[i] = n.SignKey(nil, key, testnode.Leaf{Name: "ca", Change: func(c *x509.Certificate) { c.IsCA = true }}).Cert
	}
	return all
}
