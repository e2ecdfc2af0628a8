// SPDX-License-Identifier: Apache-2.0

package host

import "golang.org/x/sys/unix"

func space(dir string) (Space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return Space{}, err
	}
	// What root may use beyond Bavail is there to repair the machine with.
	return Space{Bytes: s.Bavail * uint64(s.Bsize), Inodes: s.Ffree, AnyInodes: s.Files == 0}, nil
}

func writable(dir string) error {
	return unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
}
