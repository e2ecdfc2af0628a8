// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/workbench"
	"perennial.dev/perennial/internal/workload"
)

// Volumes says what is to be written.
type Volumes struct {
	At    kube.Context
	Rules *rules.Set
	To    release.Minor
	// Version is the program's own.
	Version string
	Dir     string // made; it must not be there, or be empty
}

// Written is what came of it.
type Written struct {
	Server string
	Files  []string // below the directory, the order of work first
	Found  int      // uses of in-tree plugins
	Left   int      // those that nothing translates
}

// OrderFile is the order of work.
const OrderFile = "ORDER.md"

// WriteVolumes writes what in-tree volumes are translated to. Nothing in the
// cluster is changed, and the directory is there whole or not at all.
func WriteVolumes(ctx context.Context, o Volumes) (Written, error) {
	if err := vacant(o.Dir); err != nil {
		return Written{}, err
	}
	client, err := kube.OpenContext(o.At, o.Version)
	if err != nil {
		return Written{}, err
	}
	defer client.Close()
	from, err := version(ctx, client)
	if err != nil {
		return Written{}, err
	}
	if o.To == 0 {
		o.To = o.Rules.Newest()
	}
	if o.To < from {
		return Written{}, fmt.Errorf("preparing volumes: %s is older than the API server, which runs %s", o.To, from)
	}
	all, err := newListing(ctx, client)
	if err != nil {
		return Written{}, err
	}
	c := workload.NewConversion(o.Rules, rules.Way{From: from, To: o.To})
	kinds := append([]string{"storage.k8s.io/CSIDriver", "storage.k8s.io/CSINode", "storage.k8s.io/StorageClass", "/PersistentVolume"}, makers...)
	if err := all.each(ctx, c.See, append(kinds, "/Pod")...); err != nil {
		return Written{}, err
	}
	out := Written{Server: client.Server(), Found: len(c.Found())}
	files := map[string][]byte{OrderFile: c.Order()}
	out.Files = append(out.Files, OrderFile)
	for _, f := range c.Found() {
		if f.File == "" {
			out.Left++
			continue
		}
		if files[f.File] != nil {
			return out, fmt.Errorf("writing %s: two objects would have that file", f.File)
		}
		files[f.File] = f.YAML
		out.Files = append(out.Files, f.File)
	}
	if out.Found == 0 {
		return out, nil
	}
	return out, writeDir(o.Dir, files)
}

// vacant refuses a directory that holds something.
func vacant(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("reading the directory: %w", err)
	case len(entries) > 0:
		return workbench.Hint(fmt.Errorf("writing to %s: it is not empty, and nothing of it is overwritten", fact.Text(dir)), "name a directory that is not there yet")
	}
	return nil
}

// unfinished begins the names of directories that were not finished.
const unfinished = ".perennial-"

// writeDir makes a directory with files: beside its place first, so that what is
// cut off leaves nothing in it. What an earlier one left there is swept.
func writeDir(dir string, files map[string][]byte) error {
	above, name := filepath.Split(filepath.Clean(dir))
	above = filepath.Clean(above + ".")
	beside := filepath.Join(above, unfinished+name)
	if err := os.RemoveAll(beside); err != nil {
		return fmt.Errorf("removing what an earlier run left: %w", err)
	}
	for file, data := range files {
		at := filepath.Join(beside, filepath.FromSlash(file))
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			return fmt.Errorf("making a directory: %w", err)
		}
		if err := os.WriteFile(at, data, 0o644); err != nil {
			return fmt.Errorf("writing a file: %w", err)
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("taking the place of %s: %w", fact.Text(dir), err)
	}
	if err := os.Rename(beside, dir); err != nil {
		return fmt.Errorf("moving the files into place: %w", err)
	}
	return nil
}

// PatchFiles writes patches into a directory, for PodSecurity.Patch.
func PatchFiles(dir string) (func(workload.Mutation) (string, error), error) {
	if err := vacant(dir); err != nil {
		return nil, err
	}
	return func(m workload.Mutation) (string, error) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", fmt.Errorf("making a directory: %w", err)
		}
		name := strings.ToLower(workload.FileName(m.Namespace+"."+m.Kind+"."+m.Name) + ".json")
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, append(m.Patch, '\n'), 0o644); err != nil {
			return "", fmt.Errorf("writing a patch: %w", err)
		}
		return file, nil
	}, nil
}
