// SPDX-License-Identifier: Apache-2.0

package unit

// Granted says whether a unit of the agent's, by its file's name, grants a need.
func Granted(name string, n Need, o Options) bool {
	of := works
	if name == EndName {
		of = finishes
	}
	return n.counts(of, o)
}
