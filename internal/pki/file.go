// SPDX-License-Identifier: Apache-2.0

package pki

import (
	"path"

	"perennial.dev/perennial/internal/fact"
)

// ReadFile says what a file of that name holds: a kubeconfig, signing requests,
// or certificates and keys. Relative references are to the file's directory.
// What a file system tells of it (Meta) is the caller's to add.
func ReadFile(name string, data []byte) fact.File {
	f := fact.File{Path: name, Digest: fact.Digest(data)}
	if IsKubeconfig(data) {
		f.Kubeconfig, f.Problem = ReadKubeconfig(data, path.Dir(name))
		return f
	}
	if f.Requests = ReadRequests(data); len(f.Requests) > 0 {
		return f
	}
	c := Read(data)
	f.Certs, f.Keys, f.Problem, f.Omitted = c.Certs, c.Keys, c.Problem, c.Omitted
	return f
}
