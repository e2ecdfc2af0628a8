// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"syscall"

	"perennial.dev/perennial/internal/fact"
)

// Disk changes a file system: the only part of the program that does. Paths
// are the node's and are followed inside the root, as FS follows them.
//
// A file is never seen half-written: it is written under a temporary name in
// the same directory, made durable, and renamed. The directory is held open
// meanwhile, so that somebody who may change a directory above it cannot send
// the change elsewhere. A change that has begun runs to its end; there is no
// context, because one that is left behind would take effect at any time.
//
// One process at a time may use a Disk on the same root; Lock sees to that.
type Disk struct {
	fs     *FS
	around Around
}

// NewDisk changes what f reads. around may be nil.
func NewDisk(f *FS, around Around) *Disk {
	if around == nil {
		around = func(_ Op, do func() error) error { return do() }
	}
	return &Disk{fs: f, around: around}
}

// Access is who a file belongs to and who may use it.
type Access struct {
	Mode     uint32 // permission bits
	UID, GID int
}

// Private is the access of what nobody but the program's own user may read.
func Private() Access {
	return Access{Mode: 0o600, UID: os.Geteuid(), GID: os.Getegid()}
}

// ChangedError says that a file is not what the caller expects, so somebody
// else has changed it.
type ChangedError struct {
	Want, Got string // digests; empty: no file
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("it was changed by another program: expected %s, found %s; nothing was done to it, look and plan again", shown(e.Want), shown(e.Got))
}

func shown(digest string) string {
	if digest == "" {
		return "no file"
	}
	return digest
}

// ReadFile reads a file as FS.Read does.
func (d *Disk) ReadFile(name string, limit int64) ([]byte, error) {
	data, _, err := d.fs.Read(context.Background(), name, limit)
	return data, err
}

// Digest is that of a regular file's content, as "sha256:<hex>", or the empty
// string where nothing is.
func (d *Disk) Digest(name string) (string, error) {
	data, err := d.ReadFile(name, FileLimit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", nil
	case err != nil:
		return "", err
	}
	return fact.Digest(data), nil
}

// Replace gives a file new content. It keeps its mode, owner and, as far as
// permitted, its extended attributes; where name is a symbolic link, the link
// stays and what it leads to is replaced. A file whose digest is not before,
// also when that becomes so meanwhile, is left alone: a *ChangedError.
func (d *Disk) Replace(name string, data []byte, before string) error {
	return d.replace("replacing", name, data, before, nil)
}

// Restore is Replace with the mode and the owner given.
func (d *Disk) Restore(name string, data []byte, before string, as Access) error {
	return d.replace("replacing", name, data, before, &as)
}

func (d *Disk) replace(doing, name string, data []byte, before string, as *Access) error {
	p, err := d.target(name)
	if err != nil {
		return failed(doing, name, err)
	}
	defer p.close()
	temporary, err := d.stageLike(p, data, before, as)
	if err == nil {
		err = d.commit(p, temporary, before)
	}
	return failed(doing, name, err)
}

// WriteNew makes a file in a directory that exists. It fails with fs.ErrExist
// where anything is, also a symbolic link that leads nowhere.
func (d *Disk) WriteNew(name string, data []byte, as Access) error {
	p, err := d.vacancy(name)
	if err != nil {
		return failed("writing", name, err)
	}
	defer p.close()
	temporary, err := d.stage(p, data, as, nil)
	if err == nil {
		err = d.commit(p, temporary, "")
	}
	return failed("writing", name, err)
}

// WritePrivate is WriteNew for a file that only the program's own user may
// read.
func (d *Disk) WritePrivate(name string, data []byte) error {
	return d.WriteNew(name, data, Private())
}

// Save writes a file that only the program's own user may read, in a directory
// that it makes, and compares what then can be read there. One that is there
// already with the same content, from a run that was cut off, is as good; one
// with another is a *ChangedError.
func (d *Disk) Save(name string, data []byte) error {
	if err := d.MakeDir(path.Dir(name)); err != nil {
		return err
	}
	err := d.WritePrivate(name, data)
	there := errors.Is(err, fs.ErrExist)
	if err != nil && !there {
		return err
	}
	p, err := d.target(name)
	if err != nil {
		return failed("reading", name, err)
	}
	defer p.close()
	if err := p.expect(p.name, fact.Digest(data)); err != nil {
		return failed("comparing", name, err)
	}
	if there { // whoever wrote it may have ended before its name was durable
		return failed("writing", name, d.syncDir(p))
	}
	return nil
}

// Backup saves a copy of a file. It returns what Restore needs: the digest and
// the access of the original.
func (d *Disk) Backup(name, to string) (digest string, as Access, err error) {
	data, meta, err := d.fs.Read(context.Background(), name, FileLimit)
	if err != nil {
		return "", Access{}, err
	}
	if err := d.Save(to, data); err != nil {
		return "", Access{}, fmt.Errorf("backing up %s: %w", name, err)
	}
	return fact.Digest(data), Access{Mode: meta.Mode, UID: meta.UID, GID: meta.GID}, nil
}

// Remove removes a file whose digest is before; a symbolic link is followed.
func (d *Disk) Remove(name, before string) error {
	p, err := d.target(name)
	if err != nil {
		return failed("removing", name, err)
	}
	defer p.close()
	if err := p.expect(p.name, before); err != nil {
		return failed("removing", name, err)
	}
	return failed("removing", name, d.remove(p, p.name))
}

// Append adds data to a file that exists, and returns when it is durable.
// After an error any part of the data may be there.
func (d *Disk) Append(name string, data []byte) error {
	p, err := d.target(name)
	if err != nil {
		return failed("appending to", name, err)
	}
	defer p.close()
	file, err := p.open(p.name, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return failed("appending to", name, err)
	}
	err = d.write(file, p.path(p.name), data)
	if err == nil {
		err = d.syncFile(file, p.path(p.name))
	}
	return failed("appending to", name, errors.Join(err, file.Close()))
}

// MakeDir makes a directory that only the program's own user may enter, and
// those above it that are missing. One that is there must belong to that user
// or to root, and nobody else may write to it.
func (d *Disk) MakeDir(name string) error {
	at, err := d.fs.resolve(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if above := path.Dir(path.Clean(name)); above != path.Clean(name) {
			if err := d.makeAbove(above); err != nil {
				return err
			}
		}
		return failed("making", name, d.makeOne(name))
	case err != nil:
		return failed("making", name, err)
	case !at.info.IsDir():
		return failed("making", name, ErrNotDirectory)
	}
	var meta fact.Meta
	describe(&meta, at.info)
	if meta.Mode&0o022 != 0 || meta.UID != 0 && meta.UID != os.Geteuid() {
		return failed("making", name, errors.New("it is there, and other users may write to it; make it root's with mode 0700"))
	}
	return nil
}

// makeAbove makes what is missing above a directory. What is there is the
// machine's, with the access that it has.
func (d *Disk) makeAbove(name string) error {
	if at, err := d.fs.resolve(name); err == nil && at.info.IsDir() {
		return nil
	}
	return d.MakeDir(name)
}

func (d *Disk) makeOne(name string) error {
	p, err := d.vacancy(name)
	if err != nil {
		return err
	}
	defer p.close()
	op := Op{Do: Mkdir, Path: p.path(p.name), Mode: 0o700}
	if err := d.around(op, func() error { return p.root.Mkdir(p.name, op.Mode) }); err != nil {
		return err
	}
	return d.syncDir(p)
}

// failed says what was being done to which path, the cause, and where the
// cause alone says too little, what to do. A nil error stays nil.
func failed(doing, name string, err error) error {
	if err == nil {
		return nil
	}
	err = innermost(err)
	switch {
	case errors.Is(err, syscall.EROFS):
		err = fmt.Errorf("%w: mount it writable, or see why the kernel made it read-only (dmesg)", err)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		err = fmt.Errorf("%w: free some (df -h, df -i) and try again", err)
	case errors.Is(err, syscall.EPERM) && os.Geteuid() == 0:
		err = fmt.Errorf("%w: root is refused, so it may be immutable (lsattr) or on a restricted mount", err)
	case errors.Is(err, syscall.EBUSY):
		err = fmt.Errorf("%w: it may be a mount point of its own (findmnt), which no rename can replace", err)
	}
	return &fs.PathError{Op: doing, Path: name, Err: err}
}

// innermost strips what os says of operation and path: the path there is
// relative to a directory.
func innermost(err error) error {
	for {
		switch e := err.(type) {
		case *fs.PathError:
			err = e.Err
		case *os.LinkError:
			err = e.Err
		case *os.SyscallError:
			err = e.Err
		default:
			return err
		}
	}
}
