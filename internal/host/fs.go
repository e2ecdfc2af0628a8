// SPDX-License-Identifier: Apache-2.0

// Package host is the only package that touches the file system and /proc.
//
// Everything that it reads may be hostile: a link that leads out of a mounted
// file system, a FIFO where a certificate should be, a process that calls
// itself kubelet. So every path is resolved here and inside its root, only
// regular files are opened, every read has a limit, and nothing waits longer
// than its context.
package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// FS is a file system that is looked at from its root: the running machine's,
// one that is mounted somewhere, or the one that a process sees. It is safe
// for concurrent use.
type FS struct {
	root string
	tree tree
}

// tree opens what lies at a path below a root. Paths are absolute, clean, and
// free of symbolic links, as resolve makes them.
type tree interface {
	lstat(path string) (fs.FileInfo, error)
	readlink(path string) (string, error)
	open(path string) (*os.File, error)
	close() error
}

// Open opens the file system below root, "/" for the running machine's.
func Open(root string) (*FS, error) {
	root = filepath.Clean(root)
	if root == "/" {
		return &FS{root: root, tree: whole{}}, nil
	}
	r, err := os.OpenRoot(root)
	if err != nil {
		return nil, failure("opening", root, err)
	}
	return &FS{root: root, tree: below{r}}, nil
}

// Root is the directory that was opened.
func (f *FS) Root() string { return f.root }

// Close releases the root. Reads under way end on their own.
func (f *FS) Close() error { return f.tree.close() }

// whole is the running machine's file system, opened plainly: there is nothing
// outside of it to protect, and os.Root would ask for more rights on the
// directories above a file than the kernel does.
type whole struct{}

func (whole) lstat(p string) (fs.FileInfo, error) { return os.Lstat(p) }
func (whole) readlink(p string) (string, error)   { return os.Readlink(p) }
func (whole) open(p string) (*os.File, error)     { return os.OpenFile(p, openFlags, 0) }
func (whole) close() error                        { return nil }

// below is a file system inside another one. os.Root keeps every step inside,
// also when somebody swaps a directory for a link between two steps.
type below struct{ root *os.Root }

func (b below) lstat(p string) (fs.FileInfo, error) { return b.root.Lstat(relative(p)) }
func (b below) readlink(p string) (string, error)   { return b.root.Readlink(relative(p)) }
func (b below) open(p string) (*os.File, error)     { return b.root.OpenFile(relative(p), openFlags, 0) }
func (b below) close() error                        { return b.root.Close() }

// openFlags never wait: opening a FIFO for reading blocks without O_NONBLOCK
// until somebody writes.
const openFlags = os.O_RDONLY | syscall.O_NONBLOCK

func relative(p string) string {
	if p == "/" {
		return "."
	}
	return p[1:]
}

// linkLimit is the number of symbolic links that one path may lead through,
// the kernel's own limit (path_resolution(7)).
const linkLimit = 40

// resolved is where a path ends.
type resolved struct {
	path string      // free of symbolic links, without the root
	info fs.FileInfo // nil where nothing is there
}

// resolve follows name the way the kernel does for a process that lives in the
// root: an absolute link target starts at the root, and no ".." leaves it. On
// an error the path is how far it came.
func (f *FS) resolve(name string) (resolved, error) {
	if !path.IsAbs(name) || strings.ContainsRune(name, 0) {
		return resolved{path: name}, errNotAbsolute
	}
	at := resolved{path: "/"}
	todo := strings.Split(name[1:], "/")
	for links := 0; len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		switch part {
		case "", ".":
			continue
		case "..":
			at = resolved{path: path.Dir(at.path)}
			continue
		}
		next := path.Join(at.path, part)
		info, err := f.tree.lstat(next)
		if err != nil {
			return resolved{path: next}, err
		}
		if info.Mode()&fs.ModeSymlink == 0 {
			if len(todo) > 0 && !info.IsDir() {
				return resolved{path: next}, syscall.ENOTDIR
			}
			at = resolved{path: next, info: info}
			continue
		}
		if links++; links > linkLimit {
			return resolved{path: next}, syscall.ELOOP
		}
		target, err := f.tree.readlink(next)
		if err != nil {
			return resolved{path: next}, err
		}
		if path.IsAbs(target) {
			at = resolved{path: "/"}
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	if at.info != nil {
		return at, nil
	}
	info, err := f.tree.lstat(at.path)
	at.info = info
	return at, err
}

// bounded runs a look that the kernel may never return from, such as one at a
// dead network file system, and leaves it behind when ctx ends. What is left
// behind holds a thread until the kernel answers; there is no way to end it.
func bounded[T any](ctx context.Context, look func() (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	done := make(chan outcome, 1)
	go func() {
		value, err := look()
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		return o.value, o.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

var errNotAbsolute = errors.New("not an absolute path")

// failure says what was being done to which path, once: causes that carry a
// path of their own (the looker's, with the root) are stripped of it.
func failure(doing, name string, err error) error {
	return &fs.PathError{Op: doing, Path: name, Err: Cause(err)}
}

// Cause is the innermost cause of an error of this package, without the
// operation and the path.
func Cause(err error) error {
	for {
		var p *fs.PathError
		if !errors.As(err, &p) {
			return err
		}
		err = p.Err
	}
}

// kindError says that something is there that is no regular file.
type kindError struct{ mode fs.FileMode }

func (e kindError) Error() string {
	switch {
	case e.mode.IsDir():
		return "is a directory, not a file"
	case e.mode&fs.ModeNamedPipe != 0:
		return "is a named pipe, not a file"
	case e.mode&fs.ModeSocket != 0:
		return "is a socket, not a file"
	case e.mode&fs.ModeDevice != 0:
		return "is a device, not a file"
	}
	return "is no regular file"
}

// sizeError says that a file is larger than may be read.
type sizeError struct{ limit int64 }

func (e sizeError) Error() string {
	return fmt.Sprintf("is larger than %d KiB", e.limit>>10)
}
