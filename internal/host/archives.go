// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// Archives are the files in a directory of checkpoints; links, directories and
// what else is there are counted only.
func (f *FS) Archives(ctx context.Context, dir string, limit int) (fact.Checkpoints, error) {
	got, err := bounded(ctx, func() (fact.Checkpoints, error) {
		at, err := f.resolve(dir)
		if err != nil {
			return fact.Checkpoints{}, err
		}
		if !at.info.IsDir() {
			return fact.Checkpoints{}, ErrNotDirectory
		}
		all := fact.Checkpoints{Dir: dir, Reach: f.reach(at.path)}
		all.Volume, all.Free, _ = volume(filepath.Join(f.root, at.path)) // without them nothing follows
		return all, f.archives(ctx, at.path, limit, &all)
	})
	if err != nil {
		return fact.Checkpoints{}, failure("listing", dir, err)
	}
	return got, nil
}

func (f *FS) archives(ctx context.Context, dir string, limit int, all *fact.Checkpoints) error {
	file, err := f.tree.open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	for {
		batch, err := file.ReadDir(1024)
		for _, e := range batch {
			if err := ctx.Err(); err != nil {
				return err
			}
			info, err := f.tree.lstat(path.Join(dir, e.Name()))
			if errors.Is(err, fs.ErrNotExist) {
				continue // it was removed since
			}
			if err != nil || !info.Mode().IsRegular() || len(all.Archives) >= limit {
				all.More++
				continue
			}
			a := fact.Archive{Path: path.Join(all.Dir, e.Name())}
			describe(&a.Meta, info)
			all.Archives = append(all.Archives, a)
		}
		if err == io.EOF {
			slices.SortFunc(all.Archives, func(a, b fact.Archive) int { return strings.Compare(a.Path, b.Path) })
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// reach are the bits for entering that a directory and all above it have.
func (f *FS) reach(dir string) uint32 {
	bits := uint32(0o011)
	for ; ; dir = path.Dir(dir) {
		info, err := f.tree.lstat(dir)
		if err != nil {
			return 0
		}
		bits &= uint32(info.Mode().Perm())
		if dir == "/" {
			return bits
		}
	}
}

// OpenFile opens a regular file to be read piece by piece, for what is too large to
// be held.
func (f *FS) OpenFile(name string) (*os.File, fact.Meta, error) {
	file, meta, err := f.openFile(name)
	if err != nil {
		return nil, meta, failure("opening", name, err)
	}
	return file, meta, nil
}

func (f *FS) openFile(name string) (*os.File, fact.Meta, error) {
	at, err := f.resolve(name)
	if err != nil {
		return nil, fact.Meta{}, err
	}
	if !at.info.Mode().IsRegular() {
		return nil, fact.Meta{}, kindError{at.info.Mode()}
	}
	file, err := f.tree.open(at.path)
	if err != nil {
		return nil, fact.Meta{}, err
	}
	var meta fact.Meta
	info, err := file.Stat()
	if err == nil && !os.SameFile(info, at.info) {
		err = ErrChanging
	}
	if err != nil {
		return nil, meta, errors.Join(err, file.Close())
	}
	describe(&meta, info)
	return file, meta, nil
}

// Delete removes a file that is still the one described: the same file, of the same
// size, not written to since. It is for what is too large to be compared.
func (d *Disk) Delete(name string, was fact.Meta) error {
	p, err := d.target(name)
	if err != nil {
		return failed("removing", name, err)
	}
	defer p.close()
	info, err := p.root.Lstat(p.name)
	if err != nil {
		return failed("removing", name, err)
	}
	var now fact.Meta
	describe(&now, info)
	if !info.Mode().IsRegular() || now.Device != was.Device || now.Inode != was.Inode || now.Size != was.Size || !now.ModTime.Equal(was.ModTime) {
		return failed("removing", name, ErrAnotherFile)
	}
	return failed("removing", name, d.remove(p, p.name))
}

// ErrAnotherFile: what is there is not what was described.
var ErrAnotherFile = errors.New("it is another file now, or was written to; nothing was done to it, look again")
