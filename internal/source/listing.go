// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
)

var listing = perWant{name: "listing", disk: true, atOnce: 4, look: lookListing}

func lookListing(ctx context.Context, s Scope, w layout.Want, out *found) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Disk)
	defer cancel()
	tree, err := s.FS.List(ctx, w.Path, s.Limits.List)
	switch {
	case err != nil && host.Missing(err):
		missing(w, fact.Meta{}, out)
		return
	case err != nil:
		diskFailure(out, out.what, err)
		return
	}
	out.add(fact.Listing{Dir: w.Path, Files: tree.Files, More: tree.More})
	for _, p := range tree.Problems {
		// A link that leads nowhere hides nothing; where something names it,
		// that is seen when the file is looked at.
		if !host.Missing(p.Err) && host.Why(p.Err) != fact.Malformed {
			diskFailure(out, fact.Text(p.Path), p.Err)
		}
	}
	tooMany(out, tree.More)
}
