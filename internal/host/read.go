// SPDX-License-Identifier: Apache-2.0

package host

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// FileLimit is the size up to which a file is read, in bytes. A kubeconfig is
// a few KiB; a bundle of ten thousand certificates is about 16 MiB.
const FileLimit = 16 << 20

// Read reads a regular file of at most limit bytes. It never waits for a FIFO,
// a device or a socket, and never opens one.
//
// The content is of one state of the file: if the file changes meanwhile it is
// read again, since kubeadm rewrites in place and half a file is no finding.
// Meta is set as far as it is known when there is an error, too.
func (f *FS) Read(ctx context.Context, name string, limit int64) ([]byte, fact.Meta, error) {
	type outcome struct {
		data []byte
		meta fact.Meta
		err  error
	}
	got, err := bounded(ctx, func() (outcome, error) {
		data, meta, err := f.readWhole(ctx, name, limit)
		return outcome{data, meta, err}, nil
	})
	if err == nil {
		err = got.err
	}
	if err != nil {
		return nil, got.meta, failure("reading", name, err)
	}
	return got.data, got.meta, nil
}

// A file is read this often before it counts as never at rest.
const (
	readTries = 5
	readPause = 20 * time.Millisecond
)

// ErrChanging says that a file did not come to rest while it was read.
var ErrChanging = errors.New("changes while it is read")

func (f *FS) readWhole(ctx context.Context, name string, limit int64) (data []byte, meta fact.Meta, err error) {
	for try := range readTries {
		if try > 0 {
			time.Sleep(readPause)
		}
		if err := ctx.Err(); err != nil {
			return nil, meta, err
		}
		if data, meta, err = f.readOnce(name, limit); !errors.Is(err, ErrChanging) {
			break
		}
	}
	return data, meta, err
}

func (f *FS) readOnce(name string, limit int64) ([]byte, fact.Meta, error) {
	at, err := f.resolve(name)
	var meta fact.Meta
	if at.path != path.Clean(name) {
		meta.Target = at.path
	}
	if err != nil {
		return nil, meta, err
	}
	describe(&meta, at.info)
	// Before opening, because opening alone does things to some devices.
	if !at.info.Mode().IsRegular() {
		return nil, meta, kindError{at.info.Mode()}
	}
	file, err := f.tree.open(at.path)
	if err != nil {
		return nil, meta, err
	}
	defer file.Close()
	return readOpen(file, meta, limit)
}

func readOpen(file *os.File, meta fact.Meta, limit int64) ([]byte, fact.Meta, error) {
	before, err := file.Stat()
	if err != nil {
		return nil, meta, err
	}
	describe(&meta, before)
	if !before.Mode().IsRegular() {
		return nil, meta, kindError{before.Mode()}
	}
	if before.Size() > limit {
		return nil, meta, sizeError{limit}
	}
	var data bytes.Buffer
	data.Grow(int(before.Size()) + bytes.MinRead)
	n, err := data.ReadFrom(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, meta, err
	}
	if n > limit {
		return nil, meta, sizeError{limit}
	}
	after, err := file.Stat()
	if err != nil {
		return nil, meta, err
	}
	// Files of /proc have the size 0, whatever is in them.
	torn := before.Size() != 0 && before.Size() != n
	if torn || after.Size() != before.Size() || !after.ModTime().Equal(before.ModTime()) {
		return nil, meta, ErrChanging
	}
	return data.Bytes(), meta, nil
}
