// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// DocumentExtensions are those of the files that are read in a directory, as
// kubectl has them (k8s.io/cli-runtime v0.37.0, pkg/resource FileExtensions).
var DocumentExtensions = []string{".json", ".yaml", ".yml"}

// Documents visits the files with documents that a name stands for, sorted: the
// file itself, whatever it is called, or those in a directory, with recursive
// also in the directories below it. Where no such file is, a pattern of names
// is expanded. Links to files are followed, those to directories only by the
// name itself; one that leads out of the directory, or back to where it came
// from, is visited with an error, as is what cannot be looked at. Paths are
// relative where the name is. The walk ends with ctx, or when visit returns
// false.
func Documents(ctx context.Context, name string, recursive bool, visit func(Document) bool) {
	w := documentWalk{ctx: ctx, recursive: recursive, visit: visit}
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		if names, _ := filepath.Glob(name); len(names) > 0 {
			for _, n := range names {
				if !w.ended {
					Documents(ctx, n, recursive, w.take)
				}
			}
			return
		}
	}
	switch {
	case err != nil:
		w.see(name, failure("reading", name, err))
	case info.IsDir():
		w.root, err = filepath.EvalSymlinks(name)
		if err == nil {
			w.root, err = filepath.Abs(w.root)
		}
		if err != nil {
			w.see(name, failure("listing", name, err))
			return
		}
		w.directory(filepath.Clean(name), 1)
		if !w.any && !w.ended && ctx.Err() == nil {
			w.see(name, failure("listing", name, errNoDocuments))
		}
	default:
		w.take(Document{Path: name, Named: true})
	}
}

// Document is a file that may hold documents.
type Document struct {
	Path    string
	Named   bool  // it is the name itself
	Regular bool  // the directory says that it is a regular file
	Err     error // why it cannot be looked at
}

var (
	errNoDocuments = errors.New("holds no .json, .yaml or .yml file")
	errLoop        = errors.New("is a link back to a directory above it")
	errManyNames   = errors.New("has too many names")
	errNobody      = errors.New("is a named pipe to which nobody writes")
)

// What a walk of documents goes through.
const (
	documentDepth = 64
	documentNames = 500_000 // in one directory
)

type documentWalk struct {
	ctx        context.Context
	recursive  bool
	root       string // resolved
	visit      func(Document) bool
	any, ended bool
}

func (w *documentWalk) take(d Document) bool {
	w.any = true
	if !w.ended && !w.visit(d) {
		w.ended = true
	}
	return !w.ended
}

// see takes what cannot be looked at.
func (w *documentWalk) see(path string, err error) { w.take(Document{Path: path, Err: err}) }

func (w *documentWalk) directory(dir string, depth int) {
	entries, err := w.entries(dir)
	if err != nil {
		w.see(dir, failure("listing", dir, err))
	}
	for _, e := range entries {
		if w.ended || w.ctx.Err() != nil {
			return
		}
		p := filepath.Join(dir, e.Name())
		switch {
		case e.Type()&fs.ModeSymlink != 0:
			w.link(p)
		case !e.IsDir():
			w.take(Document{Path: p, Regular: e.Type().IsRegular()})
		case depth == documentDepth:
			w.see(p, failure("listing", p, errTooDeep))
		default:
			w.directory(p, depth+1)
		}
	}
}

// link follows a link to a file. A directory that lies in the tree is walked by
// its own name.
func (w *documentWalk) link(p string) {
	info, err := os.Stat(p)
	switch {
	case err != nil && isDocument(p):
		w.see(p, failure("reading", p, err))
	case err != nil:
	case !info.IsDir():
		if isDocument(p) {
			w.take(Document{Path: p})
		}
	case w.recursive:
		if err := w.leads(p); err != nil {
			w.see(p, failure("listing", p, err))
		}
	}
}

// leads says what is wrong with where a link to a directory leads.
func (w *documentWalk) leads(p string) error {
	to, err := filepath.EvalSymlinks(p)
	if err != nil {
		return err
	}
	from, err := filepath.EvalSymlinks(filepath.Dir(p))
	if err != nil {
		return err
	}
	if to, err = filepath.Abs(to); err != nil {
		return err
	}
	if from, err = filepath.Abs(from); err != nil {
		return err
	}
	switch {
	case inside(from, to):
		return errLoop
	case !inside(to, w.root):
		return errElsewhere
	}
	return nil
}

// entries are the names in a directory that matter, sorted. What was read
// before an error is given with it.
func (w *documentWalk) entries(dir string) (kept []fs.DirEntry, err error) {
	file, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for err == nil && w.ctx.Err() == nil {
		var batch []fs.DirEntry
		batch, err = file.ReadDir(1024)
		for _, e := range batch {
			link := e.Type()&fs.ModeSymlink != 0
			if link || e.IsDir() && w.recursive || !e.IsDir() && isDocument(e.Name()) {
				kept = append(kept, e)
			}
		}
		if len(kept) > documentNames {
			err = errManyNames
		}
	}
	if err == io.EOF {
		err = nil
	}
	slices.SortFunc(kept, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return kept, err
}

func isDocument(name string) bool { return slices.Contains(DocumentExtensions, filepath.Ext(name)) }

// Read reads a file of at most limit bytes into buffer, which grows as it must.
// It never waits for a device, nor for a pipe to which nobody writes; where it
// was named itself, one to which somebody does, such as a shell makes of
// <(helm template .), is read to its end or that of ctx. Before a file that is
// larger than most it calls large.
func (d Document) Read(ctx context.Context, buffer []byte, limit int64, large func()) ([]byte, error) {
	var data []byte
	err := d.Err
	switch {
	case err != nil:
		return nil, err
	case d.Regular:
		data, err = readFast(d.Path, buffer, limit, large)
	default:
		data, err = readDocument(ctx, d.Path, d.Named, buffer, limit, large)
	}
	if err != nil {
		return nil, failure("reading", d.Path, err)
	}
	return data, nil
}

// largeDocument is the size from which a file is larger than most, in bytes.
const largeDocument = 4 << 20

func readDocument(ctx context.Context, name string, pipes bool, buffer []byte, limit int64, large func()) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	// Before opening, because opening alone does things to some devices.
	pipe := pipes && info.Mode()&fs.ModeNamedPipe != 0
	if !pipe && !info.Mode().IsRegular() {
		return nil, kindError{info.Mode()}
	}
	file, err := os.OpenFile(name, openFlags, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if pipe {
		return readPipe(ctx, file, limit)
	}
	return readRegular(file, buffer, limit, large)
}

func readRegular(file *os.File, buffer []byte, limit int64, large func()) ([]byte, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	switch size := info.Size(); {
	case !info.Mode().IsRegular():
		return nil, kindError{info.Mode()}
	case size > limit:
		return nil, sizeError{limit}
	case size >= largeDocument:
		large()
		fallthrough
	default:
		buffer = slices.Grow(buffer[:0], int(size)+1)
	}
	return readUpTo(file, buffer, limit)
}

// readUpTo reads to the end, however long the file was said to be.
func readUpTo(file io.Reader, buffer []byte, limit int64) ([]byte, error) {
	for {
		n, err := file.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		switch {
		case int64(len(buffer)) > limit:
			return nil, sizeError{limit}
		case err == io.EOF:
			return buffer, nil
		case err != nil:
			return nil, err
		case len(buffer) == cap(buffer):
			buffer = slices.Grow(buffer, 512)
		}
	}
}

func readPipe(ctx context.Context, file *os.File, limit int64) ([]byte, error) {
	stop := context.AfterFunc(ctx, func() { _ = file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	data, err := readUpTo(file, make([]byte, 0, 64<<10), limit)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case err == nil && len(data) == 0:
		return nil, errNobody
	}
	return data, err
}

// ReadStream reads standard input, at most limit bytes, and waits no longer
// than ctx for it.
func ReadStream(ctx context.Context, in io.Reader, limit int64) ([]byte, error) {
	data, err := bounded(ctx, func() ([]byte, error) { return readUpTo(in, make([]byte, 0, 64<<10), limit) })
	if err != nil {
		return nil, failure("reading", "standard input", err)
	}
	return data, nil
}
