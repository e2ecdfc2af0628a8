// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// ErrOthersWrite says that others than root could put another program in a
// program's place.
var ErrOthersWrite = errors.New("others than root may write to it")

// RootsOwn says whether a program is root's own: a file that can be executed, that
// belongs to root as all directories above it do, and that nobody else may write
// to, or to any of them. Links are followed, and what they lead to is asked.
func (f *FS) RootsOwn(ctx context.Context, name string) error {
	_, err := bounded(ctx, func() (struct{}, error) { return struct{}{}, f.rootsOwn(name) })
	if err != nil {
		return failure("trusting", name, err)
	}
	return nil
}

func (f *FS) rootsOwn(name string) error {
	at, err := f.resolve(name)
	switch {
	case err != nil:
		return err
	case !at.info.Mode().IsRegular():
		return kindError{at.info.Mode()}
	case at.info.Mode()&0o111 == 0:
		return errors.New("it cannot be executed")
	}
	// Whoever may write where the link lies may lead it elsewhere.
	for _, from := range []string{path.Clean(name), at.path} {
		for p := from; ; p = path.Dir(p) {
			if err := f.onlyRoots(p); err != nil {
				return err
			}
			if p == "/" {
				break
			}
		}
	}
	return nil
}

func (f *FS) onlyRoots(p string) error {
	info, err := f.tree.lstat(p)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 { // its own mode means nothing
		return nil
	}
	var meta fact.Meta
	describe(&meta, info)
	if meta.UID != 0 || meta.Mode&0o022 != 0 {
		return fmt.Errorf("%w: %s belongs to user %d, with the mode %04o", ErrOthersWrite, strings.TrimSuffix(p, "/")+"/", meta.UID, meta.Mode)
	}
	return nil
}
