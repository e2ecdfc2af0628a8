// SPDX-License-Identifier: Apache-2.0

package node

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"perennial.dev/perennial/lab/internal/program"
)

// image is a container image of one layer: a static program under some names.
type image struct {
	tags    []string
	program string   // the file on the machine
	names   []string // in /usr/local/bin; the first is the file, the others lead to it
	command []string
}

// images are those that kubeadm's list names: one that holds every component,
// and the pause program.
func (s Settings) images(tags []string, pauseTag string) []image {
	names := append([]string{"perennial-lab-program"}, program.Names()...)
	return []image{
		{tags: tags, program: filepath.Join(s.Program, "perennial-lab-program"), names: names},
		{tags: []string{pauseTag}, program: s.Pause, names: []string{"pause"}, command: []string{"/usr/local/bin/pause"}},
	}
}

// manifestEntry is one image in the archive that `ctr images import` reads
// (the format of docker save).
type manifestEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// writeArchive writes images as one archive. Nothing is kept in between: the
// layer is made twice, first for its digest.
func writeArchive(w io.Writer, images []image) error {
	archive := tar.NewWriter(w)
	var manifest []manifestEntry
	for i, img := range images {
		digest, size, err := img.measure()
		if err != nil {
			return err
		}
		entry := manifestEntry{Config: fmt.Sprintf("%d.json", i), RepoTags: img.tags, Layers: []string{fmt.Sprintf("%d.tar", i)}}
		manifest = append(manifest, entry)
		if err := writeJSON(archive, entry.Config, img.config(digest)); err != nil {
			return err
		}
		if err := archive.WriteHeader(&tar.Header{Name: entry.Layers[0], Mode: 0o644, Size: size}); err != nil {
			return err
		}
		if err := img.writeLayer(archive); err != nil {
			return err
		}
	}
	if err := writeJSON(archive, "manifest.json", manifest); err != nil {
		return err
	}
	return archive.Close()
}

func writeJSON(archive *tar.Writer, name string, content any) error {
	data, err := json.Marshal(content)
	if err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data))}); err != nil {
		return err
	}
	_, err = archive.Write(data)
	return err
}

// config is the image's configuration (OCI image specification).
func (img image) config(layer string) any {
	return map[string]any{
		"architecture": runtime.GOARCH,
		"os":           "linux",
		"config":       map[string]any{"Env": []string{"PATH=/usr/local/bin"}, "Entrypoint": img.command},
		"rootfs":       map[string]any{"type": "layers", "diff_ids": []string{layer}},
	}
}

// measure returns the layer's digest and its length in bytes.
func (img image) measure() (string, int64, error) {
	hash := sha256.New()
	counted := &counter{w: hash}
	err := img.writeLayer(counted)
	return "sha256:" + hex.EncodeToString(hash.Sum(nil)), counted.n, err
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return c.w.Write(p)
}

func (img image) writeLayer(w io.Writer) error {
	file, err := os.Open(img.program)
	if err != nil {
		return fmt.Errorf("making an image: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	layer := tar.NewWriter(w)
	for _, dir := range []string{"etc/", "tmp/", "usr/", "usr/local/", "usr/local/bin/"} {
		mode := int64(0o755)
		if dir == "tmp/" {
			mode = 0o1777
		}
		if err := layer.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: mode}); err != nil {
			return err
		}
	}
	if err := layer.WriteHeader(&tar.Header{Name: "usr/local/bin/" + img.names[0], Mode: 0o755, Size: info.Size()}); err != nil {
		return err
	}
	if _, err := io.Copy(layer, file); err != nil {
		return fmt.Errorf("making an image of %s: %w", img.program, err)
	}
	for _, name := range img.names[1:] {
		link := &tar.Header{Typeflag: tar.TypeSymlink, Name: "usr/local/bin/" + name, Linkname: img.names[0], Mode: 0o777}
		if err := layer.WriteHeader(link); err != nil {
			return err
		}
	}
	return layer.Close()
}
