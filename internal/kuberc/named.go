// SPDX-License-Identifier: Apache-2.0

package kuberc

import (
	"slices"
	"strings"
)

// Named is the file that --kuberc names in a line of kubectl's, as kubectl finds it
// (getExplicitKuberc): a path ends at a second equals sign.
func Named(args []string) string {
	for i, arg := range args {
		switch {
		case arg == "--":
			return ""
		case arg == "--kuberc" && i+1 < len(args):
			return args[i+1]
		case strings.Contains(arg, "--kuberc="):
			return strings.Split(arg, "=")[1]
		}
	}
	return ""
}

// Unnamed is the line without --kuberc: what results from preferences needs them no
// more.
func Unnamed(args []string) []string {
	out := slices.Clone(args)
	for i := 0; i < len(out) && out[i] != "--"; {
		switch {
		case out[i] == "--kuberc":
			out = slices.Delete(out, i, min(i+2, len(out)))
		case strings.HasPrefix(out[i], "--kuberc="):
			out = slices.Delete(out, i, i+1)
		default:
			i++
		}
	}
	return out
}
