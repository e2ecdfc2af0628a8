// SPDX-License-Identifier: Apache-2.0

package checkpoint

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// Annotations by which the runtimes know an image of a checkpoint (cri-o
// internal/annotations; checkpointctl v1.7.0 lib/annotations.go, which containerd
// 2.1 to 2.3 asks for). That of the pod, org.criu.checkpoint.pod.name, is left out:
// CRI-O takes an image that has it for one of a whole pod.
const (
	crioName     = "io.kubernetes.cri-o.annotations.checkpoint.name"
	crioImage    = "io.kubernetes.cri-o.annotations.checkpoint.rootfsImageName"
	crioCRIU     = "io.kubernetes.cri-o.annotations.checkpoint.criu.version"
	criuName     = "org.criu.checkpoint.container.name"
	criuEngine   = "org.criu.checkpoint.engine.name"
	criuImage    = "org.criu.checkpoint.rootfsImageName"
	criuImageID  = "org.criu.checkpoint.rootfsImageID"
	criuRuntime  = "org.criu.checkpoint.runtime.name"
	criuVersion  = "org.criu.checkpoint.criu.version"
	criuArch     = "org.criu.checkpoint.host.arch"
	criuKernel   = "org.criu.checkpoint.host.kernel"
	criuCgroup   = "org.criu.checkpoint.cgroup.version"
	imageCreated = "org.opencontainers.image.created"
	imageRefName = "org.opencontainers.image.ref.name"
	imageName    = "io.containerd.image.name" // containerd names what it imports by it
)

// Annotations are what an image of the archive says of itself to a manager.
func Annotations(d *Description, of Manager) map[string]string {
	a := map[string]string{}
	put := func(key string, value fact.Text) {
		if value != "" {
			a[key] = value.String()
		}
	}
	put(criuVersion, d.CRIU)
	put(criuKernel, d.Kernel)
	put(criuArch, fact.Text(d.Arch))
	put(criuRuntime, d.Runtime)
	put(criuCgroup, group(d.Cgroup))
	switch of {
	case CRIO:
		put(crioName, d.Container)
		put(crioImage, d.Image)
		put(crioCRIU, d.CRIU)
	default:
		put(criuName, d.Container)
		put(criuEngine, fact.Text(d.Manager))
		put(criuImage, d.Image)
		put(criuImageID, d.ImageRef)
	}
	return a
}

// Image says what image to write.
type Image struct {
	Description *Description
	Manager     Manager // that is to restore it
	Name        string  // such as localhost/checkpoint/web:1
	Created     time.Time
	Size        int64 // bytes of the archive
	// Open opens the archive anew. It is read twice, since what a layer is called
	// by stands before it.
	Open func() (io.ReadCloser, error)
}

// The media types of image-spec v1.1.1.
const (
	typeIndex    = "application/vnd.oci.image.index.v1+json"
	typeManifest = "application/vnd.oci.image.manifest.v1+json"
	typeConfig   = "application/vnd.oci.image.config.v1+json"
	typeLayer    = "application/vnd.oci.image.layer.v1.tar"
)

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Platform    *platform         `json:"platform,omitempty"`
}

type platform struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
}

// Write writes an image layout as one tar file, which `ctr images import` and
// `skopeo copy oci-archive:` read. Its one layer is the archive as it is. The digest
// that is returned is the manifest's.
func (i Image) Write(ctx context.Context, w io.Writer) (digest string, err error) {
	layer, err := i.digest(ctx)
	if err != nil {
		return "", err
	}
	runs := platform{i.Description.Arch, "linux"}
	config := encode(map[string]any{
		"created": i.Created.UTC().Format(time.RFC3339), "architecture": runs.Architecture, "os": runs.OS, "config": map[string]any{},
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{layer.Digest}},
	})
	annotations := Annotations(i.Description, i.Manager)
	annotations[imageCreated] = i.Created.UTC().Format(time.RFC3339)
	manifest := encode(map[string]any{
		"schemaVersion": 2, "mediaType": typeManifest, "config": describe(typeConfig, config), "layers": []descriptor{layer}, "annotations": annotations,
	})
	top := describe(typeManifest, manifest)
	top.Platform, top.Annotations = &runs, map[string]string{imageRefName: i.Name, imageName: i.Name}
	index := encode(map[string]any{"schemaVersion": 2, "mediaType": typeIndex, "manifests": []descriptor{top}})
	out := tar.NewWriter(w)
	for _, f := range []struct {
		name string
		data []byte
	}{
		{"oci-layout", encode(map[string]string{"imageLayoutVersion": "1.0.0"})}, {"index.json", index},
		{blob(top.Digest), manifest}, {blob(describe(typeConfig, config).Digest), config},
	} {
		if err := i.file(ctx, out, f.name, int64(len(f.data)), bytes.NewReader(f.data)); err != nil {
			return "", err
		}
	}
	archive, err := i.Open()
	if err != nil {
		return "", err
	}
	defer archive.Close()
	sum := sha256.New()
	if err := i.file(ctx, out, blob(layer.Digest), layer.Size, io.TeeReader(archive, sum)); err != nil {
		return "", err
	}
	if "sha256:"+hex.EncodeToString(sum.Sum(nil)) != layer.Digest {
		return "", fmt.Errorf("reading the archive a second time: it was changed meanwhile")
	}
	return top.Digest, out.Close()
}

func (i Image) digest(ctx context.Context) (descriptor, error) {
	archive, err := i.Open()
	if err != nil {
		return descriptor{}, err
	}
	defer archive.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, &bounded{ctx: ctx, r: archive, left: i.Size})
	if err != nil && err != errTooMuch || n != i.Size {
		return descriptor{}, fmt.Errorf("reading the archive: %d of %d bytes: %w", n, i.Size, orChanged(err))
	}
	return descriptor{MediaType: typeLayer, Digest: "sha256:" + hex.EncodeToString(sum.Sum(nil)), Size: n}, nil
}

func orChanged(err error) error {
	if err == nil || err == errTooMuch {
		return fmt.Errorf("it was changed meanwhile")
	}
	return err
}

func (i Image) file(ctx context.Context, out *tar.Writer, name string, size int64, r io.Reader) error {
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: i.Created.UTC().Truncate(time.Second), Format: tar.FormatPAX}); err != nil {
		return err
	}
	n, err := io.Copy(out, io.LimitReader(&bounded{ctx: ctx, r: r, left: size + 1}, size))
	if err == nil && n != size {
		err = orChanged(nil)
	}
	return err
}

func blob(digest string) string { return "blobs/sha256/" + digest[len("sha256:"):] }

func describe(media string, data []byte) descriptor {
	sum := sha256.Sum256(data)
	return descriptor{MediaType: media, Digest: "sha256:" + hex.EncodeToString(sum[:]), Size: int64(len(data))}
}

// encode writes what can always be written.
func encode(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("writing an image's JSON: %v", err))
	}
	return data
}
