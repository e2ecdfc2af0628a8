// SPDX-License-Identifier: Apache-2.0

package fact_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"reflect"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
)

func certificate(t *testing.T) fact.Cert {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "a\x1b[31m"}, NotAfter: time.Unix(1_900_000_000, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return fact.Cert{Certificate: cert}
}

// every is one fact of each kind, with every field set.
func every(t *testing.T) []fact.Fact {
	cert, at := certificate(t), time.Date(2026, 11, 22, 8, 0, 0, 123456789, time.UTC)
	certs := []fact.Cert{cert, cert}
	key := fact.Key{Algorithm: "RSA", Bits: 2048, Format: "PKCS#1", Public: true, Fingerprint: "sha256:1", Encrypted: true}
	meta := fact.Meta{Mode: 0o640, UID: 1, GID: 2, Size: 3, ModTime: at, Device: 4, Inode: 5, Target: "/t"}
	return []fact.Fact{
		fact.Node{Hostname: "cp1\u202e", Root: "/", Now: at, Addresses: []string{"10.0.0.1"}},
		fact.Manifest{Digest: "sha256:00", Path: "/m", Meta: meta, Name: "n", Namespace: "ns", Problem: "p",
			Containers: []fact.Container{{Name: "c", Image: "i", Args: []string{"a", "--b=\x1b\u202e\u009b\U000e0041<&>"}}},
			Mounts:     []fact.Mount{{Container: "c", HostPath: "/h", Path: "/p", Type: "File"}}},
		fact.Process{PID: 1, Start: at, SinceBoot: time.Hour, Args: []string{"etcd"}, Exe: "/etcd", Contained: true, Foreign: true, Env: []string{"ETCD_NAME=a"},
			Unit: "etcd.service", UnitRestart: "always"},
		fact.KubeletConfig{Path: "/k", StaticPodPath: "/s", ClientCAFile: "/c", Node: "cp1", Gates: map[string]bool{"X": true}, FailCgroupV1: new(true), TLSCertFile: "/t", TLSKeyFile: "/u", RotateCertificates: true,
			ServerTLSBootstrap: true, Address: "::", Port: 1, ClusterDomain: "cluster.local", Problem: "p"},
		fact.File{Path: "/f", Meta: meta, Missing: true, Certs: certs, Keys: []fact.Key{key}, Digest: "sha256:3", Problem: "p", Omitted: 9,
			Requests: []fact.Key{key}, Copy: true,
			Kubeconfig: &fact.Kubeconfig{CurrentContext: "x",
				Clusters: []fact.KubeconfigCluster{{Name: "c", Current: true, Server: "https://a", CAFile: "/ca", CAs: certs}},
				Users:    []fact.KubeconfigUser{{Name: "u", Current: true, CertFile: "/c", KeyFile: "/k", Certs: certs, Key: &key, Other: "token", Problem: "p"}}}},
		fact.View{PID: 1, Path: "/f", Device: 2, Inode: 3, ModTime: at, Fingerprint: "sha256:2"},
		fact.Listing{Dir: "/d", Files: []string{"/d/a"}, More: 4},
		fact.Served{Endpoint: "a:1", SNI: "s", Certs: certs, Protocol: "TLS 1.3", At: at},
		fact.Version{Endpoint: "a:1", PID: 1, Git: "v1.37.0", Emulated: "1.36"},
		fact.Renewer{Path: "/etc/cron.d/x", What: "kubeadm certs renew"},
		fact.Ready{Endpoint: "127.0.0.1:6443", Status: 200},
		fact.Steering{Way: "sk_lookup", Place: "/sys/fs/bpf/perennial/x", On: true, Port: 6443, Addresses: []string{"10.0.0.1"}},
		fact.Guard{Way: "policy", Place: "x", Present: true, Active: true},
		fact.Held{PID: 7, Sockets: 2},
		fact.Lease{Name: "kube-scheduler", Holder: "cp1_x", Renewed: meta.ModTime},
		fact.Object{APIVersion: "batch/v1beta1", Type: "CronJob", Namespace: "default", Name: "c", File: "c.yaml", Line: 2,
			Uses: []fact.Use{{By: fact.ManagedFields, APIVersion: "batch/v1beta1", Who: "helm", At: meta.ModTime}}, Content: []byte(`{"spec":{}}`)},
		fact.Requested{Endpoint: "127.0.0.1:6443", Group: "batch", Version: "v1beta1", Resource: "cronjobs", Subresource: "status", RemovedIn: "1.25"},
		fact.EtcdMember{Endpoint: "127.0.0.1:2379", Name: "cp1", Version: "3.5.2", Hash: 7, Revision: 9, Compacted: 3, Learner: true, Alarms: []fact.Text{"NOSPACE"}},
		fact.Platform{Kernel: "6.1.0", Cgroup: 1, Runtime: "containerd://1.7.2"},
		fact.ConfigDocument{Path: "/etc/x.yaml", Line: 1, Component: "kube-apiserver", Flag: "admission-control-config-file", APIVersion: "apiserver.config.k8s.io/v1", Type: "AdmissionConfiguration", Gates: map[string]bool{"X": true}, Args: []string{"--v=2"}, Files: []string{"y.yaml"}, Problem: "cut off"},
		fact.Checkpoints{Dir: "/var/lib/kubelet/checkpoints", Reach: 0o011, Archives: []fact.Archive{{Path: "/var/lib/kubelet/checkpoints/x.tar", Meta: meta}}, More: 2, Volume: 9, Free: 5},
		fact.Unfinished{Plan: "p", Begun: meta.ModTime, Step: "s"},
	}
}

func record(t *testing.T) fact.Record {
	return fact.Record{
		Header: fact.Header{Record: fact.RecordVersion, Tool: "perennial 1", Observed: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), Note: "somebody's\u202e",
			Scope: fact.Scope{Root: "/", KubernetesDir: "/etc/kubernetes", Endpoints: []string{"a:1"}, RequestDir: "/r", Copies: []string{"/c"}}},
		Facts:  every(t),
		Unseen: []fact.Unseen{{Source: "files", What: "/x\x1b", Why: fact.Denied, Detail: "d", Hint: "h"}, {Source: "wire"}},
	}
}

func write(t *testing.T, r fact.Record) string {
	t.Helper()
	var out bytes.Buffer
	if err := r.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestRecordKeepsEverything(t *testing.T) {
	r := record(t)
	written := write(t, r)
	back, err := fact.ReadRecord(strings.NewReader(written))
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range r.Facts {
		full(t, reflect.ValueOf(f), string(f.Kind()))
		if i >= len(back.Facts) || !reflect.DeepEqual(back.Facts[i], f) {
			t.Errorf("%s was not read back as it was", f.Kind())
		}
	}
	if !reflect.DeepEqual(back, r) {
		t.Errorf("got  %+v\nwant %+v", back, r)
	}
	if again := write(t, back); again != written {
		t.Error("writing it again gives another record")
	}
	for n, line := range strings.Split(strings.TrimSuffix(written, "\n"), "\n") {
		if !visible(line) {
			t.Errorf("line %d acts upon a terminal: %q", n+1, line)
		}
	}
}

// full fails for a field that the test left empty, so that a new one is not
// forgotten here.
func full(t *testing.T, v reflect.Value, name string) {
	t.Helper()
	switch {
	case v.Type() == reflect.TypeFor[fact.Cert](), v.Type() == reflect.TypeFor[time.Time]():
	case v.Kind() == reflect.Pointer && !v.IsNil():
		full(t, v.Elem(), name)
	case v.Kind() == reflect.Slice && v.Len() > 0:
		full(t, v.Index(0), name)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			full(t, v.Field(i), name+"."+v.Type().Field(i).Name)
		}
	case v.IsZero():
		t.Errorf("%s is empty, so nothing is known about it", name)
	}
}

func TestEveryKindIsKnown(t *testing.T) {
	kinds := map[fact.Kind]bool{}
	for _, f := range every(t) {
		if kinds[f.Kind()] {
			t.Errorf("two facts call themselves %s", f.Kind())
		}
		kinds[f.Kind()] = true
	}
	for _, k := range []fact.Kind{fact.KindNode, fact.KindManifest, fact.KindProcess, fact.KindKubeletConfig, fact.KindFile, fact.KindView, fact.KindListing, fact.KindServed, fact.KindVersion} {
		if !kinds[k] {
			t.Errorf("no fact of the kind %s is tested", k)
		}
	}
}

func TestRefusedRecords(t *testing.T) {
	header := `{"record":1,"observed":"2026-11-22T08:00:00Z","scope":{}}` + "\n"
	for name, c := range map[string]struct{ text, says string }{
		"empty":                {"", "line 1: EOF"},
		"no JSON":              {"hello", "line 1: invalid character"},
		"a newer version":      {strings.Replace(header, "1", "2", 1), "format version 2 is not known, this program reads up to 1"},
		"no version":           {"{}", "format version 0 is not known"},
		"a negative version":   {`{"record":-1}`, "format version -1"},
		"an unknown kind":      {header + `{"kind":"Plan\u001b","fact":{}}`, `line 2: unknown kind of fact`},
		"neither of the two":   {header + `{}`, "line 2: unknown kind of fact"},
		"cut off":              {header + `{"kind":"Node","fact":{"host`, "line 2: unexpected EOF"},
		"a wrong type":         {header + `{"kind":"Node","fact":{"now":7}}`, "line 2: "},
		"no certificate in it": {header + `{"kind":"Served","fact":{"certs":["AAAA"]}}`, "parsing a recorded certificate"},
		"a later line":         {header + `{"kind":"Node","fact":{}}` + "\n" + `{"kind":"Node","fact":[]}`, "line 3: "},
	} {
		_, err := fact.ReadRecord(strings.NewReader(c.text))
		if err == nil || !strings.HasPrefix(err.Error(), "reading a record: ") || !strings.Contains(err.Error(), c.says) || !visible(err.Error()) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// What a newer program adds within a version is left out.
func TestRecordWithMoreFields(t *testing.T) {
	r, err := fact.ReadRecord(strings.NewReader(`{"record":1,"mood":"good"}` + "\n" + `{"kind":"Version","fact":{"endpoint":"a:1","colour":"red"},"more":1}`))
	if err != nil || len(r.Facts) != 1 || r.Facts[0] != (fact.Version{Endpoint: "a:1"}) {
		t.Errorf("%+v, %v", r, err)
	}
}

func FuzzReadRecord(f *testing.F) {
	var t testing.T
	var out bytes.Buffer
	if err := record(&t).Write(&out); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Add([]byte(`{"record":1}` + "\n" + `{"unseen":{}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := fact.ReadRecord(bytes.NewReader(data))
		if err != nil {
			return
		}
		first := write(t, r)
		back, err := fact.ReadRecord(strings.NewReader(first))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v\n%s", err, first)
		}
		if again := write(t, back); again != first {
			t.Fatalf("got  %s\nwant %s", again, first)
		}
	})
}
