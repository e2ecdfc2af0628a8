// SPDX-License-Identifier: Apache-2.0

package checkpoint_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/checkpoint"
)

// taken is an archive that a kubelet has had written: testdata/README.md.
func taken(t testing.TB) []byte {
	t.Helper()
	file, err := os.Open("testdata/containerd.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestAnArchiveThatAKubeletTook(t *testing.T) {
	archive := taken(t)
	d, err := checkpoint.Read(t.Context(), bytes.NewReader(archive), checkpoint.Options{Limits: checkpoint.DefaultLimits, Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	if d.Namespace != "shop" || d.Pod != "web-0" || d.Container != "app" || d.Manager != checkpoint.Containerd || d.Runtime != "io.containerd.runc.v2" ||
		d.Image != "docker.io/lab/shop:1" || d.CRIU != "4.1.1" || d.Kernel != "6.18.44-lab-001" || d.Arch != "amd64" || d.Cgroup != 1 ||
		d.Entries != 29 || d.Memory != 57344 || d.Images == 0 || d.RootDiff != 259 || d.OpenFiles == 0 || d.Checkpointed.IsZero() {
		t.Errorf("%+v", d)
	}
	if !slices.Equal(d.Processes, []checkpoint.Process{{PID: 1, Threads: 1, Name: "sleeper"}}) || !slices.Equal(d.Sockets, []checkpoint.Socket{{Kind: "unix", State: "listening", Local: "/tmp/shop.sock"}}) {
		t.Errorf("%+v %+v", d.Processes, d.Sockets)
	}
	if !slices.Contains(d.Environment, checkpoint.Variable{Name: "DB_PASSWORD", Bytes: 7}) || len(d.Secrets) != 3 {
		t.Errorf("%+v %+v", d.Environment, d.Secrets)
	}
	if text := encoded(t, d); strings.Contains(text, "hunter2") || strings.Contains(text, "BEGIN EC") || !bytes.Contains(archive, []byte("hunter2")) {
		t.Errorf("a value is in %s", text)
	}
	var out bytes.Buffer
	image := checkpoint.Image{Description: d, Manager: checkpoint.Containerd, Name: "localhost/checkpoint:1", Created: now, Size: int64(len(archive)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }}
	if _, err := image.Write(t.Context(), &out); err != nil {
		t.Fatal(err)
	}
	if m, _ := imageLayout(t, out.Bytes()); m.Annotations["org.criu.checkpoint.container.name"] != "app" || m.Annotations["org.criu.checkpoint.rootfsImageName"] != "docker.io/lab/shop:1" {
		t.Errorf("%v", m.Annotations)
	}
}

// A byte that is changed anywhere makes a refusal or another description, and never
// a panic or a hang.
func TestADamagedArchiveIsNoTrouble(t *testing.T) {
	archive := taken(t)
	for at := 0; at < len(archive); at += 397 {
		d, err := checkpoint.Read(t.Context(), bytes.NewReader(changed(archive, at)), checkpoint.Options{Limits: tight()})
		if (d == nil) == (err == nil) {
			t.Fatalf("byte %d: %v, %v", at, d, err)
		}
	}
	for n := 0; n < len(archive); n += 1009 {
		if d, err := checkpoint.Read(t.Context(), bytes.NewReader(archive[:n]), checkpoint.Options{Limits: tight()}); d != nil || err == nil {
			t.Fatalf("%d bytes: %v, %v", n, d, err)
		}
	}
}
