// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// hierarchies are where the machine's cgroups are mounted: one place with
// version 2, one for each controller with version 1.
func hierarchies() ([]string, error) {
	data, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var dirs []string
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		if len(fields) > 2 && (fields[2] == "cgroup" || fields[2] == "cgroup2") && !slices.Contains(dirs, fields[1]) {
			dirs = append(dirs, fields[1])
		}
	}
	if len(dirs) == 0 {
		return nil, errors.New("finding the machine's cgroups: none are mounted")
	}
	return dirs, nil
}

// makeCgroups makes the cgroup below which the kubelet puts the node's pods,
// so that those of two nodes are kept apart.
func (s Settings) makeCgroups() error {
	dirs, err := hierarchies()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := os.Mkdir(filepath.Join(dir, s.Cgroup()), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("making the node's cgroup: %w", err)
		}
	}
	return s.preferCgroups(dirs)
}

// shares are the node's part of the processors: version 1's and version 2's file,
// and a value that is 64 times the default. A cgroup counts as much as one process
// beside it, however many it holds: without this, ten others on the machine would
// leave a whole control plane a tenth of it.
var shares = map[string]string{"cpu.shares": "65536", "cpu.weight": "6400"}

func (s Settings) preferCgroups(dirs []string) error {
	for _, dir := range dirs {
		for name, value := range shares {
			file := filepath.Join(dir, s.Cgroup(), name)
			if _, err := os.Stat(file); err != nil {
				continue // another controller's, or not enabled
			}
			if err := os.WriteFile(file, []byte(value), 0o644); err != nil {
				return fmt.Errorf("giving the node its part of the processors: %w", err)
			}
		}
	}
	return nil
}

// removeCgroups removes what is there of the node's cgroups, the innermost
// first. A cgroup is busy until the kernel has buried its last process.
func (s Settings) removeCgroups() error {
	dirs, err := hierarchies()
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := removeTree(filepath.Join(dir, s.Cgroup()), time.Now().Add(10*time.Second)); err != nil {
			return fmt.Errorf("removing the node's cgroups: %w", err)
		}
	}
	return nil
}

func removeTree(dir string, deadline time.Time) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeTree(filepath.Join(dir, entry.Name()), deadline); err != nil {
				return err
			}
		}
	}
	for {
		err := unix.Rmdir(dir)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return &fs.PathError{Op: "rmdir", Path: dir, Err: err}
		}
		time.Sleep(20 * time.Millisecond)
	}
}
