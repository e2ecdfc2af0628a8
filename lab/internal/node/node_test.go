// SPDX-License-Identifier: Apache-2.0

package node

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/lab/internal/layout"
	"perennial.dev/perennial/lab/internal/network"
)

func TestNamesFitTheKernel(t *testing.T) {
	s := Settings{Name: strings.Repeat("long-", 8) + "12"}
	for _, i := range []network.Interface{s.network(), s.workerNetwork("")} {
		if len(i.Link) > 15 {
			t.Errorf("an interface cannot be called %s", i.Link)
		}
	}
	if len(s.Name) > 63 {
		t.Errorf("a host cannot be called %s", s.Name)
	}
}

// The archive is what containerd reads: its digests are those of its contents.
func TestArchive(t *testing.T) {
	dir := t.TempDir()
	binary := bytes.Repeat([]byte("static program "), 10_000)
	path := filepath.Join(dir, "program")
	if err := os.WriteFile(path, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	tags := []string{"docker.io/lab/etcd:1-0", "docker.io/lab/kubelet:v1"}
	if err := writeArchive(&archive, []image{{tags: tags, program: path, names: []string{"all", "etcd", "kubelet"}}}); err != nil {
		t.Fatal(err)
	}
	files := untar(t, &archive)
	var manifest []manifestEntry
	if err := json.Unmarshal(files["manifest.json"], &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest) != 1 || !slices.Equal(manifest[0].RepoTags, tags) {
		t.Fatalf("the manifest is %+v", manifest)
	}
	layer := files[manifest[0].Layers[0]]
	sum := sha256.Sum256(layer)
	if config := string(files[manifest[0].Config]); !strings.Contains(config, hex.EncodeToString(sum[:])) {
		t.Errorf("the layer's digest is not in %s", config)
	}
	inside := untar(t, bytes.NewReader(layer))
	if !bytes.Equal(inside["usr/local/bin/all"], binary) {
		t.Error("the program in the layer is another")
	}
	for _, name := range []string{"etcd", "kubelet"} {
		if to := string(inside["usr/local/bin/"+name]); to != "all" {
			t.Errorf("%s leads to %q", name, to)
		}
	}
}

// untar returns the files' contents and the links' targets.
func untar(t *testing.T, r io.Reader) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for archive := tar.NewReader(r); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = append(content, header.Linkname...)
	}
}

func TestEnvironment(t *testing.T) {
	s := Settings{Name: "cp1"}
	env := s.environ([]string{"HOME=/root", "PATH=/nowhere", "HTTPS_PROXY=http://x", "no_proxy=*", "KUBECONFIG=/other"})
	for _, want := range []string{"HOME=/root", "KUBECONFIG=/etc/kubernetes/admin.conf", "LAB_NODE=cp1"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is not in %q", want, env)
		}
	}
	for _, kv := range env {
		if strings.Contains(strings.ToLower(kv), "proxy") || kv == "PATH=/nowhere" || kv == "KUBECONFIG=/other" {
			t.Errorf("%s is still there", kv)
		}
	}
}

func TestLives(t *testing.T) {
	year, decade := time.Duration(layout.DefaultCertLife), time.Duration(layout.DefaultCALife)
	for _, c := range []struct {
		version string
		life    time.Duration
		ok      bool
	}{{"1.25.0", year, true}, {"1.25.0", time.Hour, false}, {"1.32.2", time.Hour, true}} {
		err := Settings{Version: c.version, CertLife: c.life, CALife: decade}.checkLives()
		if (err == nil) != c.ok {
			t.Errorf("%s with certificates of %v: %v", c.version, c.life, err)
		}
	}
}

func TestProxyModes(t *testing.T) {
	for _, c := range []struct {
		version, mode string
		ok            bool
	}{{"1.25.0", "iptables", true}, {"1.30.0", "nftables", false}, {"1.31.0", "nftables", true}, {"1.37.0", "ipvs", false}} {
		if err := (Settings{Version: c.version}).checkProxyMode(c.mode); (err == nil) != c.ok {
			t.Errorf("kube-proxy %s in mode %s: %v", c.version, c.mode, err)
		}
	}
}

func TestNotRunning(t *testing.T) {
	err := Settings{Name: "none"}.Run(t.Context(), Streams{}, "/", "true")
	if !errors.Is(err, ErrNotRunning) {
		t.Errorf("running in a node that is not there: %v", err)
	}
}
