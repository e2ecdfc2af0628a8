// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"io"
	"io/fs"
	"path"
	"slices"
)

// Dirs are the directories in a directory, by name and sorted, at most as many
// as the limit. A link is followed, since a user's home may be one.
func (f *FS) Dirs(ctx context.Context, dir string, limit int) ([]string, error) {
	got, err := bounded(ctx, func() ([]string, error) {
		at, err := f.resolve(dir)
		if err != nil {
			return nil, err
		}
		file, err := f.tree.open(at.path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		entries, err := file.ReadDir(limit)
		if err != nil && err != io.EOF {
			return nil, err
		}
		var names []string
		for _, e := range entries {
			if e.IsDir() || e.Type()&fs.ModeSymlink != 0 && f.IsDir(path.Join(at.path, e.Name())) {
				names = append(names, e.Name())
			}
		}
		slices.Sort(names)
		return names, nil
	})
	if err != nil {
		return nil, failure("listing", dir, err)
	}
	return got, nil
}
