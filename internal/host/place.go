// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"perennial.dev/perennial/internal/fact"
)

// place is a name in a directory that is held open: what is done there is done
// in that directory, whatever happens to its path meanwhile.
type place struct {
	root *os.Root
	dir  string // the directory's path, resolved
	name string
}

func (p place) path(name string) string { return path.Join(p.dir, name) }

func (p place) close() { _ = p.root.Close() }

// target is the place of a regular file, at the end of all links.
func (d *Disk) target(name string) (place, error) {
	at, err := d.fs.resolve(name)
	if err != nil {
		return place{}, err
	}
	if !at.info.Mode().IsRegular() {
		return place{}, kindError{at.info.Mode()}
	}
	return d.place(at.path)
}

// vacancy is the place of what does not exist yet, in a directory that does.
func (d *Disk) vacancy(name string) (place, error) {
	name = path.Clean(name)
	if name == "/" || !path.IsAbs(name) {
		return place{}, fs.ErrInvalid
	}
	at, err := d.fs.resolve(path.Dir(name))
	if err != nil {
		return place{}, err
	}
	p, err := d.place(path.Join(at.path, path.Base(name)))
	if err != nil {
		return place{}, err
	}
	if _, err := p.root.Lstat(p.name); !errors.Is(err, fs.ErrNotExist) {
		p.close()
		if err == nil {
			err = fs.ErrExist
		}
		return place{}, err
	}
	return p, nil
}

// place opens the directory of a resolved path. It has to be the directory
// that the path led to without links: one that was swapped for a link since is
// refused.
func (d *Disk) place(resolved string) (place, error) {
	p := place{dir: path.Dir(resolved), name: path.Base(resolved)}
	info, err := d.fs.tree.lstat(p.dir)
	if err != nil {
		return place{}, err
	}
	if p.root, err = d.openRoot(p.dir); err != nil {
		return place{}, err
	}
	opened, err := p.root.Stat(".")
	if err == nil && !os.SameFile(info, opened) {
		err = ErrChanging
	}
	if err != nil {
		p.close()
		return place{}, err
	}
	return p, nil
}

func (d *Disk) openRoot(dir string) (*os.Root, error) {
	if b, ok := d.fs.tree.(below); ok {
		return b.root.OpenRoot(relative(dir))
	}
	return os.OpenRoot(dir)
}

// open opens a regular file of the directory; it follows no link, and waits
// for no FIFO.
func (p place) open(name string, flags int) (*os.File, error) {
	info, err := p.root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, kindError{info.Mode()}
	}
	file, err := p.root.OpenFile(name, flags|openFlags, 0)
	if err != nil {
		return nil, err
	}
	opened, err := file.Stat()
	if err == nil && !os.SameFile(info, opened) {
		err = ErrChanging
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// expect says whether a file of the directory has a digest. An empty one is no
// file.
func (p place) expect(name, digest string) error {
	got, err := p.digest(name)
	if err != nil {
		return err
	}
	if got != digest {
		return &ChangedError{Want: digest, Got: got}
	}
	return nil
}

func (p place) digest(name string) (string, error) {
	file, err := p.open(name, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer file.Close()
	data, _, err := readOpen(file, fact.Meta{}, FileLimit)
	if err != nil {
		return "", err
	}
	return fact.Digest(data), nil
}

// stageLike prepares new content for the file that is there, if that still has
// a digest.
func (d *Disk) stageLike(p place, data []byte, before string, as *Access) (temporary string, err error) {
	if err := p.expect(p.name, before); err != nil {
		return "", err
	}
	old, err := p.open(p.name, 0)
	if err != nil {
		return "", err
	}
	defer old.Close()
	if as == nil {
		info, err := old.Stat()
		if err != nil {
			return "", err
		}
		var meta fact.Meta
		describe(&meta, info)
		as = &Access{Mode: meta.Mode, UID: meta.UID, GID: meta.GID}
	}
	return d.stage(p, data, *as, old)
}

// stage writes a temporary file with everything that the file in place shall
// have, and makes its content durable. Nobody else may read it before it is
// complete.
func (d *Disk) stage(p place, data []byte, as Access, like *os.File) (temporary string, err error) {
	temporary = temporaryName(p.name, data)
	file, err := d.create(p, temporary)
	if err != nil {
		return "", err
	}
	err = d.fill(file, p.path(temporary), data, as, like)
	if closing := file.Close(); err == nil {
		err = closing
	}
	if err != nil {
		_ = d.discard(p, temporary)
		return "", err
	}
	return temporary, nil
}

func (d *Disk) fill(file *os.File, name string, data []byte, as Access, like *os.File) error {
	if err := d.write(file, name, data); err != nil {
		return err
	}
	owner := Op{Do: Chown, Path: name, UID: as.UID, GID: as.GID}
	if err := d.around(owner, func() error { return file.Chown(owner.UID, owner.GID) }); err != nil {
		return err
	}
	if like != nil {
		d.copyLabels(like, file, name)
	}
	// After the labels: of an access control list the mode sets the mask.
	mode := Op{Do: Chmod, Path: name, Mode: fs.FileMode(as.Mode) & fs.ModePerm}
	if err := d.around(mode, func() error { return file.Chmod(mode.Mode) }); err != nil {
		return err
	}
	return d.syncFile(file, name)
}

// commit gives a temporary its name, if what is there still has the digest
// before, and makes that durable. It leaves no temporary behind.
func (d *Disk) commit(p place, temporary, before string) error {
	if err := d.putInPlace(p, temporary, before); err != nil {
		_ = d.discard(p, temporary)
		return err
	}
	if err := d.syncDir(p); err != nil {
		return fmt.Errorf("it is in place, but may not survive a power failure: %w", innermost(err))
	}
	return nil
}

func (d *Disk) putInPlace(p place, temporary, before string) error {
	op := Op{Do: Rename, Path: p.path(temporary), To: p.path(p.name)}
	if before != "" {
		if err := p.expect(p.name, before); err != nil {
			return err
		}
		return d.around(op, func() error { return p.root.Rename(temporary, p.name) })
	}
	// A rename would replace what somebody else has made since; a link fails.
	op.Do = Link
	if err := d.around(op, func() error { return p.root.Link(temporary, p.name) }); err != nil {
		return err
	}
	return d.unlink(p, temporary)
}

// create makes a temporary. One of that name is from a run that was cut off.
func (d *Disk) create(p place, name string) (file *os.File, err error) {
	op := Op{Do: Create, Path: p.path(name), Mode: 0o600}
	anew := func() error {
		file, err = p.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, op.Mode)
		return err
	}
	err = d.around(op, anew)
	if errors.Is(err, fs.ErrExist) {
		if err := d.unlink(p, name); err != nil {
			return nil, err
		}
		err = d.around(op, anew)
	}
	return file, err
}

func (d *Disk) write(file *os.File, name string, data []byte) error {
	return d.around(Op{Do: Write, Path: name, Data: data}, func() error {
		_, err := file.Write(data)
		return err
	})
}

func (d *Disk) syncFile(file *os.File, name string) error {
	return d.around(Op{Do: SyncFile, Path: name}, file.Sync)
}

func (d *Disk) syncDir(p place) error {
	return d.around(Op{Do: SyncDir, Path: p.dir}, func() error {
		dir, err := p.root.Open(".")
		if err != nil {
			return err
		}
		defer dir.Close()
		return dir.Sync()
	})
}

func (d *Disk) unlink(p place, name string) error {
	return d.around(Op{Do: Remove, Path: p.path(name)}, func() error { return p.root.Remove(name) })
}

func (d *Disk) remove(p place, name string) error {
	if err := d.unlink(p, name); err != nil {
		return err
	}
	return d.syncDir(p)
}

// discard removes a temporary that did not come into place.
func (d *Disk) discard(p place, temporary string) error {
	if _, err := p.root.Lstat(temporary); err != nil {
		return err
	}
	return d.unlink(p, temporary)
}
