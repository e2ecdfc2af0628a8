// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
)

var configs = perWant{name: "configs", disk: true, atOnce: 4, look: lookConfig}

// lookConfig reads a configuration file, or, where the flag names a directory,
// every file in it that the component reads.
func lookConfig(ctx context.Context, s Scope, w layout.Want, out *found) {
	lookDirectory(ctx, s, w, out, layout.ConfigFile, lookConfigFile)
}

func lookConfigFile(ctx context.Context, s Scope, w layout.Want, out *found) {
	one := found{source: out.source, what: fact.Text(w.Path)}
	if data, _, ok := readWanted(ctx, s, w, s.Limits.YAML, &one); ok {
		for _, d := range layout.ParseConfig(w.Path, w.Component, w.Flag, data) {
			one.add(d)
		}
	}
	out.facts = append(out.facts, one.facts...)
	out.unseen = append(out.unseen, one.unseen...)
}
