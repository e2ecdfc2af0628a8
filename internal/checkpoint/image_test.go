// SPDX-License-Identifier: Apache-2.0

package checkpoint_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/checkpoint"
)

// layout reads an image layout and holds it to image-spec: every blob is what its
// name says, and everything that is named is there.
func imageLayout(t *testing.T, data []byte) (manifest struct {
	Annotations map[string]string
	Config      struct{ Digest string }
	Layers      []struct {
		MediaType, Digest string
		Size              int64
	}
}, blobs map[string][]byte) {
	t.Helper()
	blobs = map[string][]byte{}
	r := tar.NewReader(bytes.NewReader(data))
	for {
		h, err := r.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		blobs[h.Name] = body
		if hash, ok := strings.CutPrefix(h.Name, "blobs/sha256/"); ok {
			if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != hash {
				t.Errorf("%s is something else", h.Name)
			}
		}
	}
	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	if err := json.Unmarshal(blobs["index.json"], &index); err != nil || len(index.Manifests) != 1 || string(blobs["oci-layout"]) != `{"imageLayoutVersion":"1.0.0"}` {
		t.Fatalf("%v %s %s", err, blobs["index.json"], blobs["oci-layout"])
	}
	if index.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "localhost/checkpoint:1" {
		t.Errorf("%v", index)
	}
	if err := json.Unmarshal(blobs["blobs/sha256/"+index.Manifests[0].Digest[7:]], &manifest); err != nil {
		t.Fatal(err)
	}
	return manifest, blobs
}

func TestTheImageIsTheArchiveWithItsAnnotations(t *testing.T) {
	archive := packed(t, whole(t)...)
	d, err := read(t, archive, checkpoint.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	for manager, annotation := range map[checkpoint.Manager]string{checkpoint.CRIO: "io.kubernetes.cri-o.annotations.checkpoint.name", checkpoint.Containerd: "org.criu.checkpoint.container.name"} {
		image := checkpoint.Image{Description: d, Manager: manager, Name: "localhost/checkpoint:1", Created: now, Size: int64(len(archive)), Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }}
		var out, again bytes.Buffer
		digest, err := image.Write(t.Context(), &out)
		if err != nil {
			t.Fatal(err)
		}
		if same, err := image.Write(t.Context(), &again); err != nil || same != digest || !bytes.Equal(out.Bytes(), again.Bytes()) {
			t.Errorf("%s: a second image differs: %v", manager, err)
		}
		m, blobs := imageLayout(t, out.Bytes())
		if m.Annotations[annotation] != "app" || m.Annotations["org.criu.checkpoint.criu.version"] != "3.17.1" {
			t.Errorf("%s: %v", manager, m.Annotations)
		}
		if _, whole := m.Annotations["org.criu.checkpoint.pod.name"]; whole {
			t.Errorf("%s: CRI-O would take it for a pod", manager)
		}
		if len(m.Layers) != 1 || m.Layers[0].Size != int64(len(archive)) || !bytes.Equal(blobs["blobs/sha256/"+m.Layers[0].Digest[7:]], archive) {
			t.Errorf("%s: the layer is not the archive: %+v", manager, m.Layers)
		}
		var config struct {
			Architecture, OS string
			Rootfs           struct {
				DiffIDs []string `json:"diff_ids"`
			}
		}
		if err := json.Unmarshal(blobs["blobs/sha256/"+m.Config.Digest[7:]], &config); err != nil || config.Architecture != "amd64" || config.OS != "linux" || len(config.Rootfs.DiffIDs) != 1 || config.Rootfs.DiffIDs[0] != m.Layers[0].Digest {
			t.Errorf("%s: %v %+v", manager, err, config)
		}
		for _, body := range blobs {
			if bytes.Equal(body, archive) {
				continue
			}
			if bytes.Contains(body, []byte("hunter")) || bytes.Contains(body, []byte(token)) {
				t.Errorf("%s: a secret is in %s", manager, body)
			}
		}
	}
}

// An archive that is exchanged between the two readings makes no image.
func TestAnArchiveThatChangesMakesNoImage(t *testing.T) {
	archive := packed(t, whole(t)...)
	d, err := read(t, archive, checkpoint.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	for name, second := range map[string][]byte{"changed": changed(archive, 900), "longer": append(bytes.Clone(archive), 1), "shorter": archive[:len(archive)-1]} {
		times := 0
		image := checkpoint.Image{Description: d, Manager: checkpoint.CRIO, Name: "x:1", Created: now, Size: int64(len(archive)), Open: func() (io.ReadCloser, error) {
			if times++; times > 1 {
				return io.NopCloser(bytes.NewReader(second)), nil
			}
			return io.NopCloser(bytes.NewReader(archive)), nil
		}}
		if _, err := image.Write(t.Context(), io.Discard); err == nil && name != "longer" || err != nil && !strings.Contains(err.Error(), "changed meanwhile") {
			t.Errorf("%s: %v", name, err)
		}
	}
	image := checkpoint.Image{Description: d, Size: 1, Open: func() (io.ReadCloser, error) { return nil, errors.New("gone") }}
	if _, err := image.Write(t.Context(), io.Discard); err == nil {
		t.Error("an archive that cannot be opened makes an image")
	}
}

func TestAdvice(t *testing.T) {
	d, err := read(t, packed(t, whole(t)...), checkpoint.DefaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	for manager, words := range map[checkpoint.Manager][]string{
		checkpoint.CRIO:       {"skopeo copy oci-archive:/x.tar containers-storage:localhost/c:1", "crictl pull docker.io/lab/shop:1", "/etc/shop", "1 TCP connections"},
		checkpoint.Containerd: {"ctr -n k8s.io images import /x.tar", "enable_experimental_restore_via_create", "2.4 does no more"},
	} {
		a := checkpoint.Advise(d, manager, "localhost/c:1", "/x.tar")
		text := strings.Join(append(a.Steps, a.Mind...), "\n")
		for _, w := range words {
			if !strings.Contains(text, w) {
				t.Errorf("%s: no %q in\n%s", manager, w, text)
			}
		}
		if strings.Contains(text, "/var/run/secrets") {
			t.Errorf("%s: asks for a mount that every container has:\n%s", manager, text)
		}
	}
}
