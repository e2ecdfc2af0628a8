// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/pki"
)

// swaps is how often the pair is replaced; bench/swaps asks for more.
func swaps(t *testing.T) int {
	t.Helper()
	text := os.Getenv("PERENNIAL_SWAPS")
	if text == "" {
		return 500
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// etcd's server certificate is replaced again and again, by what writes the
// product's files, while clients shake hands with a real etcd without a pause.
// With the same key there is no instant at which a handshake fails. With a new
// key there is one between two renames: the figure is told and not judged.
func TestSwaps(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			p := up(t, version)
			e := newEtcdPair(t, p)
			n := swaps(t)
			same := e.swapped(n, e.certificate)
			fresh := e.swapped(n, e.pair)
			t.Logf("SWAPS etcd of Kubernetes %s, same key: %d swaps, %d handshakes, %d failed, %d certificates seen", version, n, same.shaken, same.failed, same.seen)
			t.Logf("SWAPS etcd of Kubernetes %s, new key: %d swaps, %d handshakes, %d failed, %d certificates seen; key and certificate apart for %.1f ms each time, one swap after the other %.1f ms", version, n, fresh.shaken, fresh.failed, fresh.seen,
				e.apart.Seconds()*1000/float64(n), fresh.took.Seconds()*1000/float64(n))
			if same.failed > 0 || same.shaken < n/10 || same.seen < n/10 {
				t.Errorf("with the same key %d of %d handshakes failed (%v), %d certificates were seen", same.failed, same.shaken, same.last, same.seen)
			}
		})
	}
}

// etcdPair is etcd's server certificate and key, with what makes new ones.
type etcdPair struct {
	t          *testing.T
	disk       *host.Disk
	cert, key  string // paths
	ca         pki.Authority
	endpoint   string
	client     *tls.Config
	content    map[string][]byte
	presenting fact.Cert
	keyed      time.Time     // when the key was replaced
	apart      time.Duration // the sum of times between key and certificate
}

func newEtcdPair(t *testing.T, p *plane) *etcdPair {
	t.Helper()
	dir := filepath.Join(p.KubernetesDir, "pki/etcd")
	files, err := host.Open("/")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	e := &etcdPair{t: t, cert: filepath.Join(dir, "server.crt"), key: filepath.Join(dir, "server.key"), content: map[string][]byte{}}
	e.disk = host.NewDisk(files, e.timed)
	for _, name := range []string{e.cert, e.key} {
		e.content[name] = e.read(name)
	}
	ca := e.read(filepath.Join(dir, "ca.crt"))
	e.ca.Cert = pki.Read(ca).Certs[0]
	if e.ca.Key, err = pki.ReadPrivateKey(e.read(filepath.Join(dir, "ca.key"))); err != nil {
		t.Fatal(err)
	}
	e.presenting = pki.Read(e.content[e.cert]).Certs[0]
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "healthcheck-client.crt"), filepath.Join(dir, "healthcheck-client.key"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	e.client = &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}, ServerName: "localhost"}
	for _, i := range p.check().Items {
		if i.ID.Name() != "etcd-server" {
			continue
		}
		for _, evidence := range i.Evidence {
			for _, s := range evidence.Served {
				e.endpoint = s.Endpoint
			}
		}
	}
	if e.endpoint == "" {
		t.Fatal("etcd's port was not found")
	}
	return e
}

// timed adds up for how long key and certificate are apart.
func (e *etcdPair) timed(op host.Op, do func() error) error {
	err := do()
	switch {
	case op.Do != host.Rename:
	case op.To == e.key:
		e.keyed = time.Now()
	case !e.keyed.IsZero():
		e.apart += time.Since(e.keyed)
	}
	return err
}

func (e *etcdPair) read(name string) []byte {
	e.t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		e.t.Fatal(err)
	}
	return data
}

func (e *etcdPair) issue(key *pki.PrivateKey) fact.Cert {
	e.t.Helper()
	issued, err := pki.Issue(pki.Request{Wanted: pki.Wanted{Old: e.presenting, Key: key}, CA: e.ca, Now: time.Now(), Rand: rand.Reader})
	if err != nil {
		e.t.Fatal(err)
	}
	return issued.Cert
}

func (e *etcdPair) replace(name string, data []byte, err error) {
	e.t.Helper()
	if err == nil {
		err = e.disk.Replace(name, data, fact.Digest(e.content[name]))
	}
	if err != nil {
		e.t.Fatal(err)
	}
	e.content[name] = data
}

// certificate replaces the certificate, for the same key.
func (e *etcdPair) certificate() {
	e.t.Helper()
	e.presenting = e.issue(nil)
	data, err := pki.ReplaceLeaf(e.content[e.cert], e.presenting)
	e.replace(e.cert, data, err)
}

// pair replaces the key, and then the certificate. Its key is one of another
// kind than RSA, which would take longer to make than all the rest.
func (e *etcdPair) pair() {
	e.t.Helper()
	kind := pki.KeyOf(e.presenting)
	kind.Algorithm, kind.Bits = "ECDSA", 256
	key, err := pki.NewPrivateKey(kind, rand.Reader)
	if err != nil {
		e.t.Fatal(err)
	}
	e.presenting = e.issue(key)
	data, err := pki.ReplaceLeaf(e.content[e.cert], e.presenting)
	e.replace(e.key, key.PEM(), nil)
	e.replace(e.cert, data, err)
}

// handshakes are what clients have seen.
type handshakes struct {
	shaken, failed, seen int
	last                 error
	took                 time.Duration
}

// swapped swaps n times, while two clients shake hands without a pause.
func (e *etcdPair) swapped(n int, swap func()) handshakes {
	e.t.Helper()
	var over atomic.Bool
	var clients sync.WaitGroup
	var mu sync.Mutex
	var all handshakes
	seen := map[string]bool{}
	for range 2 {
		clients.Go(func() {
			for !over.Load() {
				print, err := shake(e.endpoint, e.client)
				mu.Lock()
				all.shaken++
				if seen[print] = true; err != nil {
					all.failed, all.last = all.failed+1, err
				}
				mu.Unlock()
			}
		})
	}
	start := time.Now()
	for range n {
		swap()
	}
	all.took = time.Since(start)
	over.Store(true)
	clients.Wait()
	delete(seen, "")
	all.seen = len(seen)
	return all
}

// shake makes a new connection, verified on both sides, and says what was
// served on it.
func shake(endpoint string, config *tls.Config) (string, error) {
	conn, err := tls.Dial("tcp", endpoint, config)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	return string(conn.ConnectionState().PeerCertificates[0].Raw), nil
}
