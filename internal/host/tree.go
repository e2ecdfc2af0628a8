// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"perennial.dev/perennial/internal/fact"
)

// RemoveTree removes a directory with everything in it, and no link out of it is
// followed. One that is not there is as good as removed.
func (d *Disk) RemoveTree(name string) error {
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
	if err := d.around(Op{Do: Remove, Path: p.path(p.name)}, func() error { return p.root.RemoveAll(p.name) }); err != nil {
		return failed("removing", name, err)
	}
	return failed("removing", name, d.syncDir(p))
}

// MakeShared makes a directory that everybody may enter, and those above it that
// are missing. What is there keeps the access that it has.
func (d *Disk) MakeShared(name string) error {
	if d.fs.IsDir(name) {
		return nil
	}
	if above := path.Dir(path.Clean(name)); above != path.Clean(name) {
		if err := d.MakeShared(above); err != nil {
			return err
		}
	}
	if err := d.MakeDir(name); err != nil {
		return err
	}
	at, err := d.fs.resolve(name)
	var p place
	if err == nil {
		p, err = d.place(at.path)
	}
	if err != nil {
		return failed("making", name, err)
	}
	defer p.close()
	op := Op{Do: Chmod, Path: p.path(p.name), Mode: 0o755}
	if err := d.around(op, func() error { return p.root.Chmod(p.name, op.Mode) }); err != nil {
		return failed("making", name, err)
	}
	return failed("making", name, d.syncDir(p))
}

// RemoveLink removes a symbolic link, and nothing that it leads to. Where none is,
// nothing is done.
func (d *Disk) RemoveLink(name string) error {
	above, err := d.fs.resolve(path.Dir(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var p place
	if err == nil {
		p, err = d.place(path.Join(above.path, path.Base(name)))
	}
	if err != nil {
		return failed("removing", name, err)
	}
	defer p.close()
	info, err := p.root.Lstat(p.name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Mode()&fs.ModeSymlink == 0 {
		return nil
	}
	if err == nil {
		err = d.remove(p, p.name)
	}
	return failed("removing", name, err)
}

// IsDir says whether a directory is there.
func (f *FS) IsDir(name string) bool {
	_, is := f.Directory(name)
	return is
}

// Directory is whose a directory is, where it is there.
func (f *FS) Directory(name string) (meta fact.Meta, there bool) {
	at, err := f.resolve(name)
	if err != nil || !at.info.IsDir() {
		return meta, false
	}
	describe(&meta, at.info)
	return meta, true
}

// Exists says whether something is there.
func (f *FS) Exists(name string) bool {
	_, err := f.resolve(name)
	return err == nil
}
