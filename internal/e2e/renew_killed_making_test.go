// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/timeline"
)

// healthcheck is a credential of the lab that no process holds: etcd's probes
// use it, and those are the kubelet's work.
const healthcheck = "etcd-healthcheck-client"

// momentsOfMaking are where a step that makes or replaces a file is ended. One
// is enough to see that a kind of step is gone on with; bench/matrix has all.
func momentsOfMaking() []string {
	if os.Getenv("PERENNIAL_KILLS") == "all" {
		return []string{"before the intent", "after the intent", "after the rename", "during the proof"}
	}
	return []string{"after the rename"}
}

// Whatever kind of step is killed, on a running control plane, the next run
// finishes it: what makes a pair, asks an external CA, accepts what it signed,
// refreshes a copy, and takes back.
func TestKilledWhileMaking(t *testing.T) {
	for _, version := range versions(t) {
		t.Run(version, func(t *testing.T) {
			k := &kills{workshop: shop(t, version), requests: t.TempDir(), copies: t.TempDir()}
			pr := k.plane.probe()
			for _, moment := range momentsOfMaking() {
				k.create(moment)
				k.requestAndAccept(moment)
				if moment != "before the intent" { // which the renewal beside it comes to first
					k.refresh(moment)
					k.restore(moment)
				}
			}
			k.create("between the two renames")
			k.clean()
			k.Inside("kubectl", "get", "--raw", "/readyz")
			pr.end(t)
		})
	}
}

type kills struct {
	*workshop
	requests, copies string
}

func (k *kills) at(name string) string { return filepath.Join(k.KubernetesDir, name) }

func (k *kills) read(name string) []byte {
	k.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		k.Fatal(err)
	}
	return data
}

func (k *kills) must(err error) {
	k.Helper()
	if err != nil {
		k.Fatal(err)
	}
}

func (k *kills) victim(moment string, names ...string) *victim {
	return &victim{Dir: k.KubernetesDir, State: k.state, Names: names, Moment: moment}
}

func (k *kills) create(moment string) {
	k.Helper()
	for _, ending := range []string{".crt", ".key"} {
		k.must(os.Remove(k.at("pki/etcd/healthcheck-client" + ending)))
	}
	v := k.victim(moment, healthcheck)
	v.Create = true
	k.killed(v)
}

// requestAndAccept takes the CA's key away meanwhile.
func (k *kills) requestAndAccept(moment string) {
	k.Helper()
	key, away := k.at("pki/etcd/ca.key"), filepath.Join(k.copies, "ca.key")
	caKey := k.read(key)
	k.must(os.Rename(key, away))
	old := k.read(k.at("pki/etcd/healthcheck-client.crt"))
	v := k.victim(moment, healthcheck)
	v.Requests, v.Place = k.requests, k.requests
	k.killed(v)
	request := filepath.Join(k.requests, healthcheck+".csr")
	signed := filepath.Join(k.requests, healthcheck+".crt")
	k.must(os.WriteFile(signed, k.sign(k.read(request), k.read(k.at("pki/etcd/ca.crt")), caKey), 0o644))
	v = k.victim(moment, healthcheck)
	v.Requests = k.requests
	k.killed(v)
	if now := k.read(k.at("pki/etcd/healthcheck-client.crt")); bytes.Equal(now, old) {
		k.Errorf("%s: what was signed is not in place", moment)
	}
	k.must(os.Rename(away, key))
	k.must(os.Remove(request))
	k.must(os.Remove(signed))
}

// sign is what an external CA does.
func (k *kills) sign(request, caCert, caKey []byte) []byte {
	k.Helper()
	der := func(text []byte) []byte {
		block, _ := pem.Decode(text)
		return block.Bytes
	}
	asked, err := x509.ParseCertificateRequest(der(request))
	k.must(err)
	ca, err := x509.ParseCertificate(der(caCert))
	k.must(err)
	key, err := x509.ParsePKCS1PrivateKey(der(caKey))
	k.must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), RawSubject: asked.RawSubject, ExtraExtensions: asked.Extensions,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, ca, asked.PublicKey, key)
	k.must(err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
}

func (k *kills) refresh(moment string) {
	k.Helper()
	copied := filepath.Join(k.copies, "config")
	k.must(os.WriteFile(copied, k.read(k.at("admin.conf")), 0o640))
	v := k.victim(moment, "admin.conf")
	v.Copies, v.Place = []string{copied}, k.copies
	k.killed(v)
	if !bytes.Equal(k.read(copied), k.read(k.at("admin.conf"))) {
		k.Errorf("%s: the copy is not what admin.conf is", moment)
	}
}

func (k *kills) restore(moment string) {
	k.Helper()
	old := k.read(k.at("admin.conf"))
	id := idOf(k.T, k.change(timeline.ExitOK, "renew", "admin.conf"))
	v := k.victim(moment)
	v.Undo = id
	k.killed(v)
	if !bytes.Equal(k.read(k.at("admin.conf")), old) {
		k.Errorf("%s: admin.conf is not what it was", moment)
	}
	if shown := k.history(); !strings.Contains(shown, id) {
		k.Errorf("%s: the history does not name %s:\n%s", moment, id, shown)
	}
}

func (k *kills) history() string {
	k.Helper()
	out, errs, code := k.perennial("history", "--state", k.state)
	if code != timeline.ExitOK {
		k.Fatalf("perennial history: exit code %d\n%s", code, errs)
	}
	return out
}
