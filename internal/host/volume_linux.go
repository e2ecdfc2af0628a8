// SPDX-License-Identifier: Apache-2.0

package host

import "golang.org/x/sys/unix"

// volume is the size of a directory's file system and what of it programs may use,
// in bytes, as the kubelet counts them.
func volume(dir string) (size, free uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, 0, err
	}
	return s.Blocks * uint64(s.Bsize), s.Bavail * uint64(s.Bsize), nil
}
