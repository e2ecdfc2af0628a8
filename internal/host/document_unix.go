// SPDX-License-Identifier: Apache-2.0

//go:build unix

package host

import (
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// readFast reads what a directory calls a regular file, by as few calls as
// possible: of ten thousand small files, opening takes as long as reading them.
func readFast(name string, buffer []byte, limit int64, large func()) ([]byte, error) {
	fd, err := again(func() (int, error) { return syscall.Open(name, openFlags|syscall.O_CLOEXEC, 0) })
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	defer syscall.Close(fd)
	var stat syscall.Stat_t
	if _, err := again(func() (int, error) { return 0, syscall.Fstat(fd, &stat) }); err != nil {
		return nil, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	if stat.Mode&syscall.S_IFMT != syscall.S_IFREG { // it was replaced meanwhile
		return nil, kindError{os.ModeIrregular}
	}
	size := stat.Size
	if size > limit {
		return nil, sizeError{limit}
	}
	if size >= largeDocument {
		large()
	}
	buffer = slices.Grow(buffer[:0], int(size)+1)
	for {
		n, err := again(func() (int, error) { return syscall.Read(fd, buffer[len(buffer):cap(buffer)]) })
		if err != nil {
			return nil, &fs.PathError{Op: "read", Path: name, Err: err}
		}
		buffer = buffer[:len(buffer)+n]
		switch {
		case int64(len(buffer)) > limit:
			return nil, sizeError{limit}
		case n == 0, int64(len(buffer)) == size && len(buffer) < cap(buffer): // there was room for more
			return buffer, nil
		case len(buffer) == cap(buffer):
			buffer = slices.Grow(buffer, 512)
		}
	}
}

// again repeats a call that a signal cut off.
func again(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != syscall.EINTR {
			return n, err
		}
	}
}
