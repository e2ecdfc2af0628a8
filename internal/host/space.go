// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// Space is what a file system has left for the program's user.
type Space struct {
	Bytes  uint64
	Inodes uint64
	// AnyInodes says that the file system makes inodes as they are needed
	// (btrfs), so that Inodes says nothing.
	AnyInodes bool
}

// Space is what the file system of a directory has left, or, where the
// directory is yet to be made, that of the nearest one above it.
func (d *Disk) Space(dir string) (Space, error) {
	for at := path.Clean(dir); ; at = path.Dir(at) {
		found, err := d.fs.resolve(at)
		if errors.Is(err, fs.ErrNotExist) && at != "/" {
			continue
		}
		if err != nil {
			return Space{}, failed("measuring", dir, err)
		}
		left, err := space(filepath.Join(d.fs.root, found.path))
		return left, failed("measuring", dir, err)
	}
}

// Rights is what the program may do, which changes need.
type Rights struct {
	Root bool // its effective user is root
	// Unwritable holds the directories, of those asked for, in which it may
	// not make, replace and remove files, and why: missing rights, a file
	// system that is mounted read-only, or no such directory.
	Unwritable []Problem
}

// Rights looks at what the program may do in directories. It is what the kernel says and no promise: a full disk or an
// immutable file shows only when something is changed.
func (d *Disk) Rights(dirs ...string) Rights {
	rights := Rights{Root: os.Geteuid() == 0}
	for _, dir := range dirs {
		found, err := d.fs.resolve(dir)
		switch {
		case err == nil && !found.info.IsDir():
			err = ErrNotDirectory
		case err == nil:
			err = writable(filepath.Join(d.fs.root, found.path))
		}
		if err != nil {
			rights.Unwritable = append(rights.Unwritable, Problem{dir, failed("writing to", dir, err)})
		}
	}
	return rights
}
