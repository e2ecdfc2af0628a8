// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"

	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
)

var archives = perWant{name: "archives", disk: true, atOnce: 1, look: lookArchives}

// archivesLimit is the number of entries of a directory of checkpoints that are
// looked at.
const archivesLimit = 10_000

// lookArchives lists the archives of checkpoints. They are not opened: reading the
// memory of processes is no part of a check.
func lookArchives(ctx context.Context, s Scope, w layout.Want, out *found) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Disk)
	defer cancel()
	all, err := s.FS.Archives(ctx, w.Path, archivesLimit)
	switch {
	case err == nil:
		out.add(all)
	case !host.Missing(err):
		diskFailure(out, out.what, err)
	}
}
