// SPDX-License-Identifier: Apache-2.0

// Package npm fetches packages from npm for tests, each once for a user, and takes
// none that is another than it should be. Nothing of a package is run by fetching it.
package npm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Package is one by its name, version and integrity, as npm knows them.
type Package struct{ Name, Version, Integrity string }

// Unavailable says that a package cannot be had here: a test without it is skipped.
type Unavailable struct{ error }

// Files fetches the package, if it was not fetched before, and returns those of its
// files that are wanted, by their names in it.
func (p Package) Files(wanted func(name string) bool) (map[string][]byte, error) {
	archive, err := p.fetch()
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		name := strings.TrimPrefix(h.Name, "package/")
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(name) || !wanted(name) {
			continue
		}
		if files[name], err = io.ReadAll(r); err != nil {
			return nil, err
		}
	}
}

// patience is how long npm may take for one package: without a network it would try
// for many minutes.
const patience = 2 * time.Minute

// fetch asks npm for the archive, where it is not in the user's cache.
func (p Package) fetch() ([]byte, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, Unavailable{err}
	}
	dir := filepath.Join(cache, "perennial-npm")
	name := strings.ReplaceAll(strings.TrimPrefix(p.Name, "@"), "/", "-") + "-" + p.Version + ".tgz"
	kept := filepath.Join(dir, name)
	if body, err := os.ReadFile(kept); err == nil && p.is(body) {
		return body, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, Unavailable{err}
	}
	fresh, err := os.MkdirTemp(dir, "fetching-") // beside it, for the rename
	if err != nil {
		return nil, Unavailable{err}
	}
	defer os.RemoveAll(fresh)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "npm", "pack", p.Name+"@"+p.Version, "--silent", "--fetch-retries=1", "--pack-destination", fresh)
	cmd.Dir, cmd.WaitDelay = fresh, time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, Unavailable{fmt.Errorf("fetching %s through npm: %w: %s", p.Name, err, out[max(0, len(out)-2000):])}
	}
	body, err := os.ReadFile(filepath.Join(fresh, name))
	if err != nil {
		return nil, Unavailable{err}
	}
	if !p.is(body) {
		return nil, fmt.Errorf("%s %s as npm gives it is not the one that these tests were written with: %s", p.Name, p.Version, integrity(body))
	}
	return body, os.Rename(filepath.Join(fresh, name), kept)
}

func (p Package) is(body []byte) bool { return integrity(body) == p.Integrity }

// integrity is npm's name of a content.
func integrity(body []byte) string {
	sum := sha512.Sum512(body)
	return "sha512-" + base64.StdEncoding.EncodeToString(sum[:])
}
