// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"syscall"

	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/plan"
)

// What a plan takes on disk: each file is small and is there three times for a
// moment (backed up, prepared, beside the one that it replaces).
const (
	bytesPerFile  = 256 << 10
	inodesPerFile = 3
	journalBytes  = 4 << 20
)

// Ready says, before anything is touched, what would stop a plan half way: no
// room, or no rights.
func (b *Bench) Ready(p plan.Plan) error {
	dirs := map[string]int{b.State: 0} // with the number of files
	var owners bool
	for _, s := range p.Steps {
		for _, f := range s.Files {
			if f.Written {
				dirs[path.Dir(f.Path)]++
				dirs[b.State] += 2
				owners = owners || f.UID != os.Geteuid()
			}
		}
	}
	var errs []error
	var there []string
	for dir, files := range dirs {
		errs = append(errs, b.room(dir, files))
		if info, err := os.Stat(dir); err == nil && info.IsDir() || dir != b.State {
			there = append(there, dir)
		}
	}
	slices.Sort(there)
	rights := b.Disk.Rights(there...)
	for _, u := range rights.Unwritable {
		errs = append(errs, u.Err)
	}
	if !rights.Root && owners {
		errs = append(errs, errors.New("replacing files of another user: only root can keep their owner"))
	}
	for _, s := range p.Steps {
		if s.Stop != nil && errors.Is(syscall.Kill(s.Stop.PID, 0), syscall.EPERM) {
			errs = append(errs, fmt.Errorf("ending process %d (%s): it needs root, or CAP_KILL", s.Stop.PID, s.Stop.Component))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return Hint(fmt.Errorf("nothing was done: %w", err), "run it as root, and see that there is room: df -h; df -i")
	}
	return nil
}

func (b *Bench) room(dir string, files int) error {
	left, err := b.Disk.Space(dir)
	if err != nil {
		return err
	}
	needs := host.Space{Bytes: uint64(files) * bytesPerFile, Inodes: uint64(files+1) * inodesPerFile}
	if dir == b.State {
		needs.Bytes += journalBytes
	}
	return short(dir, left, needs)
}

// short says what is missing.
func short(dir string, left, needs host.Space) error {
	switch {
	case left.Bytes < needs.Bytes:
		return fmt.Errorf("writing to %s: %d KiB are free, and %d KiB may be needed", dir, left.Bytes>>10, needs.Bytes>>10)
	case !left.AnyInodes && left.Inodes < needs.Inodes:
		return fmt.Errorf("writing to %s: %d more files fit on its file system, and %d may be needed", dir, left.Inodes, needs.Inodes)
	}
	return nil
}
