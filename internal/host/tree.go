// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// RemoveTree removes a directory with everything in it, and no link out of it is
// followed. One that is not there is as good as removed.
func (d *Disk) RemoveTree(name string) error {
	return d.removeDir(name, func(p place) error { return p.root.RemoveAll(p.name) })
}

// RemoveEmpty removes a directory, unless something is in it. Removed says whether
// nothing is there any more.
func (d *Disk) RemoveEmpty(name string) (removed bool, err error) {
	err = d.removeDir(name, func(p place) error { return p.root.Remove(p.name) })
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
		return false, nil
	}
	return err == nil, err
}

func (d *Disk) removeDir(name string, remove func(place) error) error {
	at, err := d.fs.resolve(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && (!at.info.IsDir() || at.path == "/") {
		err = fmt.Errorf("%w that can be removed", ErrNotDirectory)
	}
	var p place
	if err == nil {
		p, err = d.place(at.path)
	}
	if err != nil {
		return failed("removing", name, err)
	}
	defer p.close()
	if err := d.around(Op{Do: Remove, Path: p.path(p.name)}, func() error { return remove(p) }); err != nil {
		return failed("removing", name, err)
	}
	return failed("removing", name, d.syncDir(p))
}
