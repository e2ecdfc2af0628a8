// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"io"
	"io/fs"
	"path"
)

// SaveStream writes a new file that only the program's own user may read, in a
// directory that it makes, from what fill writes. It is for what is too large
// to be held: the file has its name only when it is complete and durable. It
// fails with fs.ErrExist where anything is.
func (d *Disk) SaveStream(name string, fill func(io.Writer) error) error {
	if err := d.MakeDir(path.Dir(name)); err != nil {
		return err
	}
	return d.SaveNew(name, fill)
}

// SaveNew is SaveStream in a directory that is there, whoever may use it.
func (d *Disk) SaveNew(name string, fill func(io.Writer) error) error {
	p, err := d.vacancy(name)
	if err != nil {
		return failed("writing", name, err)
	}
	defer p.close()
	temporary := temporaryName(p.name, nil)
	file, err := d.create(p, temporary)
	if err != nil {
		return failed("writing", name, err)
	}
	err = fill(writes(func(data []byte) error { return d.write(file, p.path(temporary), data) }))
	if err == nil {
		err = d.syncFile(file, p.path(temporary))
	}
	if err = errors.Join(err, file.Close()); err != nil {
		_ = d.discard(p, temporary)
		return &fs.PathError{Op: "writing", Path: name, Err: err}
	}
	return failed("writing", name, d.commit(p, temporary, ""))
}

// writes is an io.Writer of whole writes.
type writes func([]byte) error

func (w writes) Write(data []byte) (int, error) {
	if err := w(data); err != nil {
		return 0, err
	}
	return len(data), nil
}
