// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
)

var manifests = perWant{name: "manifests", disk: true, atOnce: 4, look: lookManifests}

// lookManifests reads what the kubelet reads: of a directory every regular
// file whose name does not begin with a dot, whatever it ends with (a backup
// beside a manifest is a second definition of the same pod), and no
// sub-directory; or one file (pkg/kubelet/config/file.go, 1.25 to 1.37).
func lookManifests(ctx context.Context, s Scope, w layout.Want, out *found) {
	lookDirectory(ctx, s, w, out, visible, lookManifest)
}

// lookDirectory looks at the files right below a directory whose names are such
// that its reader reads them; or at one file, where that is no directory.
func lookDirectory(ctx context.Context, s Scope, w layout.Want, out *found, reads func(path string) bool, look func(context.Context, Scope, layout.Want, *found)) {
	tree, err := listManifests(ctx, s, w.Path)
	switch {
	case errors.Is(err, host.ErrNotDirectory):
		look(ctx, s, w, out)
		return
	case err != nil && host.Missing(err):
		missing(w, fact.Meta{}, out)
		return
	case err != nil:
		diskFailure(out, out.what, err)
		return
	}
	w.Required = false
	for _, w.Path = range tree.Files {
		if reads(w.Path) {
			look(ctx, s, w, out)
		}
	}
	for _, p := range tree.Problems {
		if reads(p.Path) {
			diskFailure(out, fact.Text(p.Path), p.Err)
		}
	}
	tooMany(out, tree.More)
}

func listManifests(ctx context.Context, s Scope, dir string) (host.Tree, error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Disk)
	defer cancel()
	return s.FS.List(ctx, dir, host.ListLimits{Files: s.Limits.Manifests, Entries: s.Limits.List.Entries, Depth: 1})
}

func lookManifest(ctx context.Context, s Scope, w layout.Want, out *found) {
	one := found{source: out.source, what: fact.Text(w.Path)}
	if data, meta, ok := readWanted(ctx, s, w, s.Limits.YAML, &one); ok {
		one.add(layout.ParseManifest(w.Path, meta, data))
	}
	out.facts = append(out.facts, one.facts...)
	out.unseen = append(out.unseen, one.unseen...)
}

func visible(p string) bool { return !strings.HasPrefix(path.Base(p), ".") }

func tooMany(out *found, more int) {
	if more > 0 {
		out.fail(fact.TooLarge, fact.Text(fmt.Sprintf("%d more files are in it than are looked at", more)), "")
	}
}
