// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package host

import (
	"io/fs"

	"perennial.dev/perennial/internal/fact"
)

// describe fills in what the file system tells, and leaves meta.Target.
func describe(meta *fact.Meta, info fs.FileInfo) {
	meta.Mode = uint32(info.Mode().Perm())
	meta.Size = info.Size()
	meta.ModTime = info.ModTime().UTC()
}
