// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"

	"perennial.dev/perennial/internal/layout"
)

var kubelet = perWant{name: "kubelet", disk: true, atOnce: 4, look: lookKubelet}

func lookKubelet(ctx context.Context, s Scope, w layout.Want, out *found) {
	if data, _, ok := readWanted(ctx, s, w, s.Limits.YAML, out); ok {
		out.add(layout.ParseKubeletConfig(w.Path, data))
	}
}
