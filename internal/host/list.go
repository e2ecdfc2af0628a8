// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// ListLimits bound a walk.
type ListLimits struct {
	Files   int // files that are kept; the rest is counted
	Entries int // names looked at in one directory; the rest is counted
	Depth   int // levels of directories; 1 is the directory alone
}

// Tree is what a walk found. Paths are absolute, as the node sees them, with
// the directory's name as it was asked for.
type Tree struct {
	Files    []string  // regular files and links to them, sorted
	More     int       // names beyond the limits, not looked at
	Problems []Problem // what could not be looked at, sorted
}

// Problem is a path that could not be looked at, and why.
type Problem struct {
	Path string
	Err  error
}

var (
	errElsewhere = errors.New("is a link to a directory outside of the listed one")
	errTooDeep   = errors.New("is nested too deeply")

	// ErrNotDirectory says that a file is where a directory was to be listed.
	ErrNotDirectory = errors.New("is not a directory")
)

// List walks the tree below dir. A link to a directory is not followed, so a
// loop of links ends: one that ends inside the tree is walked by its own name,
// and one that leads out of it is a Problem. The error is about dir itself.
func (f *FS) List(ctx context.Context, dir string, limits ListLimits) (Tree, error) {
	got, err := bounded(ctx, func() (Tree, error) {
		at, err := f.resolve(dir)
		if err != nil {
			return Tree{}, err
		}
		if !at.info.IsDir() {
			return Tree{}, ErrNotDirectory
		}
		w := walk{fs: f, asked: path.Clean(dir), real: at.path, limits: limits}
		err = w.directory(ctx, at.path, limits.Depth)
		slices.Sort(w.tree.Files)
		slices.SortFunc(w.tree.Problems, func(a, b Problem) int { return strings.Compare(a.Path, b.Path) })
		return w.tree, err
	})
	if err != nil {
		return Tree{}, failure("listing", dir, err)
	}
	return got, nil
}

// walk is a walk under way.
type walk struct {
	fs          *FS
	asked, real string // the top directory, as asked for and as resolved
	limits      ListLimits
	tree        Tree
}

func (w *walk) directory(ctx context.Context, dir string, depth int) error {
	entries, more, err := w.entries(ctx, dir)
	if err != nil {
		return err
	}
	w.tree.More += more
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		w.entry(ctx, path.Join(dir, e.Name()), e.Type(), depth)
	}
	return nil
}

func (w *walk) entry(ctx context.Context, p string, kind fs.FileMode, depth int) {
	switch {
	case kind.IsRegular():
		w.file(p)
	case kind&fs.ModeSymlink != 0:
		w.link(p)
	case kind.IsDir() && depth == 1 && w.limits.Depth > 1:
		w.problem(p, errTooDeep)
	case kind.IsDir() && depth > 1:
		if err := w.directory(ctx, p, depth-1); err != nil {
			w.problem(p, err)
		}
	}
}

func (w *walk) link(p string) {
	at, err := w.fs.resolve(p)
	switch {
	case err != nil:
		w.problem(p, err)
	case at.info.Mode().IsRegular():
		w.file(p)
	case at.info.IsDir() && w.limits.Depth > 1 && !inside(at.path, w.real):
		w.problem(p, errElsewhere)
	}
}

func (w *walk) file(p string) {
	if len(w.tree.Files) >= w.limits.Files {
		w.tree.More++
		return
	}
	w.tree.Files = append(w.tree.Files, w.named(p))
}

func (w *walk) problem(p string, err error) {
	name := w.named(p)
	w.tree.Problems = append(w.tree.Problems, Problem{name, failure("listing", name, err)})
}

// named gives a path below the resolved directory the name by which the
// directory was asked for.
func (w *walk) named(p string) string {
	return path.Join(w.asked, strings.TrimPrefix(p, w.real))
}

// entries reads a directory in batches, so that one with millions of names
// costs little memory.
func (w *walk) entries(ctx context.Context, dir string) (kept []fs.DirEntry, more int, err error) {
	file, err := w.fs.tree.open(dir)
	if err != nil {
		return nil, 0, err
	}
	defer file.Close()
	for {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		batch, err := file.ReadDir(1024)
		room := min(len(batch), w.limits.Entries-len(kept))
		kept = append(kept, batch[:room]...)
		more += len(batch) - room
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, 0, err
		}
	}
	slices.SortFunc(kept, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return kept, more, nil
}

func inside(p, dir string) bool {
	return p == dir || dir == "/" || strings.HasPrefix(p, dir+"/")
}
