// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/workbench"
)

// Folder is a directory that is made with all its files, or not at all: they are
// written beside its place, and what holds them is moved into it. What a run that was
// cut off has left there is swept by the next one.
type Folder struct {
	named string // as it was asked for
	dir   string // absolute
	// before is told of each change of the disk before it is made; nil: nobody is.
	before func()
}

// unfinished begins the names of directories that are being written.
const unfinished = ".perennial-"

// NewFolder finds the place of a directory and refuses one that holds something.
// Nothing is made yet.
func NewFolder(dir string) (*Folder, error) {
	const next = "name a directory that is not there yet"
	if dir == "" {
		return nil, workbench.Hint(errors.New("writing to a directory: it has no name"), next)
	}
	at, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("finding the directory %s: %w", fact.Text(dir), err)
	}
	f := &Folder{named: dir, dir: at}
	info, err := os.Lstat(at)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return f, nil
	case err != nil:
		return nil, fmt.Errorf("reading the directory: %w", err)
	case !info.IsDir():
		return nil, workbench.Hint(fmt.Errorf("writing to %s: it is no directory", fact.Text(dir)), next)
	}
	entries, err := os.ReadDir(at)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the directory: %w", err)
	case len(entries) > 0:
		return nil, workbench.Hint(fmt.Errorf("writing to %s: it is not empty, and nothing of it is overwritten", fact.Text(dir)), next)
	}
	if here, err := os.Stat("."); err == nil && os.SameFile(here, info) {
		return nil, workbench.Hint(fmt.Errorf("writing to %s: it is the working directory, which another one would replace", fact.Text(dir)), next)
	}
	return f, nil
}

// write makes the directory, with files by their paths below it.
func (f *Folder) write(files map[string][]byte) error {
	above, name := filepath.Split(f.dir)
	f.changing()
	if err := os.MkdirAll(above, 0o755); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	beside := filepath.Join(above, unfinished+name)
	f.changing()
	letGo, err := host.Hold(beside)
	if err != nil {
		return err
	}
	defer letGo()
	if err = f.fill(beside, files); err == nil {
		err = f.place(beside)
	}
	if err != nil {
		return errors.Join(err, os.RemoveAll(beside))
	}
	syncDir(above)
	return nil
}

// fill makes the files, and nothing else, durable in a directory.
func (f *Folder) fill(beside string, files map[string][]byte) error {
	left, err := os.ReadDir(beside)
	if err != nil {
		return fmt.Errorf("reading the directory: %w", err)
	}
	for _, entry := range left {
		f.changing()
		if err := os.RemoveAll(filepath.Join(beside, entry.Name())); err != nil {
			return fmt.Errorf("removing what an earlier run left: %w", err)
		}
	}
	dirs := []string{beside}
	for file, data := range files {
		at := filepath.Join(beside, filepath.FromSlash(file))
		if dir := filepath.Dir(at); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
			f.changing()
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("making a directory: %w", err)
			}
		}
		if err := f.file(at, data); err != nil {
			return fmt.Errorf("writing a file: %w", err)
		}
	}
	for _, dir := range slices.Backward(dirs) {
		syncDir(dir)
	}
	return nil
}

func (f *Folder) file(at string, data []byte) error {
	f.changing()
	file, err := os.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	f.changing()
	_, err = file.Write(data)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// place moves what was written to where it is to be. An empty directory there gives
// way in the same moment, and its mode stays.
func (f *Folder) place(beside string) error {
	if info, err := os.Stat(f.dir); err == nil {
		f.changing()
		if err := os.Chmod(beside, info.Mode().Perm()); err != nil {
			return fmt.Errorf("taking the place of %s: %w", fact.Text(f.dir), err)
		}
	}
	f.changing()
	if err := syscall.Rename(beside, f.dir); err != nil { // os.Rename refuses every directory
		return fmt.Errorf("moving the files to %s: %w", fact.Text(f.dir), err)
	}
	return nil
}

func (f *Folder) changing() {
	if f.before != nil {
		f.before()
	}
}

// syncDir makes what was made in a directory durable, where its file system can.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		d.Close()
	}
}
