// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"time"

	"golang.org/x/sys/unix"

	"perennial.dev/perennial/lab/internal/layout"
	"perennial.dev/perennial/lab/internal/program"
)

// registry finds labs by name: labs/NAME in the cache directory is the lab's
// directory, or a symbolic link to the one given with --dir. Nodes are in
// nodes/NAME; the kind is "labs" (the default) or "nodes".
type registry struct{ name, kind string }

var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,40}[a-z0-9])?$`)

func (r *registry) dir() (string, error) {
	cache, err := program.CacheDir()
	return filepath.Join(cache, cmp.Or(r.kind, "labs")), err
}

// entry is the path that stands for the lab's name.
func (r *registry) entry() (string, error) {
	if !namePattern.MatchString(r.name) {
		return "", fmt.Errorf("reading the lab's name %q: want lower-case letters, digits and hyphens", r.name)
	}
	dir, err := r.dir()
	return filepath.Join(dir, r.name), err
}

// open returns the settings of the lab meant.
func (r *registry) open() (layout.Settings, error) {
	entry, err := r.entry()
	if err != nil {
		return layout.Settings{}, err
	}
	s, err := layout.Load(entry)
	if errors.Is(err, os.ErrNotExist) {
		return s, fmt.Errorf("no lab is called %q; see `lab list`, or make it with `lab up --name %s`", r.name, r.name)
	}
	return s, err
}

// all returns every lab, sorted by name.
func (r *registry) all() ([]layout.Settings, error) {
	dir, err := r.dir()
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the labs: %w", err)
	}
	var found []layout.Settings
	for _, entry := range entries {
		if s, err := layout.Load(filepath.Join(dir, entry.Name())); err == nil {
			found = append(found, s)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Name < found[j].Name })
	return found, nil
}

// lock keeps two commands from making or removing the same lab at once. The
// file is removed by whoever unlocks it, so a lock on a removed file does not
// count.
func (r *registry) lock(ctx context.Context) (func(), error) {
	entry, err := r.entry()
	if err != nil {
		return nil, err
	}
	return r.lockFile(ctx, filepath.Join(filepath.Dir(entry), "."+r.name+".lock"))
}

// lockAll is for what concerns more than one: nodes share a bridge.
func (r *registry) lockAll(ctx context.Context) (func(), error) {
	dir, err := r.dir()
	if err != nil {
		return nil, err
	}
	return r.lockFile(ctx, filepath.Join(dir, ".lock"))
}

func (r *registry) lockFile(ctx context.Context, path string) (func(), error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	for {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			return nil, err
		}
		if err := flock(ctx, f); err != nil {
			f.Close()
			return nil, fmt.Errorf("locking the lab %s: %w", r.name, err)
		}
		locked, err := f.Stat()
		if there, statErr := os.Stat(path); err == nil && statErr == nil && os.SameFile(locked, there) {
			return func() { os.Remove(path); f.Close() }, nil
		}
		f.Close()
	}
}

func flock(ctx context.Context, f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err != unix.EWOULDBLOCK {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// place returns the lab's directory for --dir, and registers it.
func (r *registry) place(dir string) (string, error) {
	entry, err := r.entry()
	if err != nil || dir == "" {
		return entry, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", err
	}
	if err := os.Symlink(dir, entry); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fmt.Errorf("registering the lab: %w", err)
	}
	return dir, nil
}

// remove deletes a lab whose processes have ended. Only a directory that holds
// a lab is touched.
func (r *registry) remove() error {
	entry, err := r.entry()
	if err != nil {
		return err
	}
	if dir, err := filepath.EvalSymlinks(entry); err == nil {
		if _, err := os.Stat(filepath.Join(dir, "lab.json")); err == nil {
			if err := os.RemoveAll(dir); err != nil {
				return fmt.Errorf("removing the lab's directory: %w", err)
			}
		}
	}
	if info, err := os.Lstat(entry); err == nil && info.Mode()&os.ModeSymlink != 0 {
		return os.Remove(entry)
	}
	return nil
}
