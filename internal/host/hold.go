// SPDX-License-Identifier: Apache-2.0

package host

import (
	"errors"
	"io/fs"
	"os"
)

// Hold makes a directory, where there is none, and keeps other processes that do
// the same out of it, until it is let go or the process ends, however it ends. The
// directory may be moved meanwhile. Where the file system or the system has no such
// locks, nobody is kept out. That another process has it is a *HeldError.
func Hold(dir string) (letGo func(), err error) {
	const tries = 5 // it may be moved away between making and opening
	for range tries {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, failed("making", dir, err)
		}
		file, err := os.Open(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, failed("opening", dir, err)
		}
		if errors.Is(flock(file), errLocked) {
			file.Close()
			return nil, &HeldError{Path: dir}
		}
		if samePath(file, dir) == nil {
			return func() { file.Close() }, nil
		}
		file.Close()
	}
	return nil, failed("locking", dir, errReplaced)
}
