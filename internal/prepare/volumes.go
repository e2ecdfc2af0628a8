// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"context"
	"fmt"

	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/workload"
)

// Volumes says what is to be written.
type Volumes struct {
	At    kube.Context
	Rules *rules.Set
	To    release.Minor
	// Version is the program's own.
	Version string
	Into    *Folder
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
	return out, o.Into.write(files)
}
