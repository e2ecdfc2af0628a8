// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"

	"perennial.dev/perennial/internal/layout"
)

var node = perWant{name: "node", disk: true, atOnce: 1, look: lookNode}

func lookNode(ctx context.Context, s Scope, _ layout.Want, out *found) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Disk)
	defer cancel()
	n, err := s.FS.Node(ctx)
	out.add(n) // the clock is known in any case
	if err != nil {
		diskFailure(out, out.what, err)
	}
}
