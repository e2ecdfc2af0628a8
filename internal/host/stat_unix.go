// SPDX-License-Identifier: Apache-2.0

//go:build unix

package host

import (
	"io/fs"
	"syscall"

	"perennial.dev/perennial/internal/fact"
)

// describe fills in what the file system tells, and leaves meta.Target.
func describe(meta *fact.Meta, info fs.FileInfo) {
	meta.Mode = uint32(info.Mode().Perm())
	meta.Size = info.Size()
	meta.ModTime = info.ModTime().UTC()
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		meta.UID, meta.GID = int(s.Uid), int(s.Gid)
		meta.Device, meta.Inode = uint64(s.Dev), uint64(s.Ino)
	}
}
