// SPDX-License-Identifier: Apache-2.0

package steer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// makeDir makes a directory for pins. It mounts a BPF file system on Root when
// that is asked for and not there; it stays, as what systemd mounts does.
func makeDir(dir string) error {
	if err := pinnable(dir); err != nil {
		return err
	}
	inside, err := inBPFFS(dir)
	if err != nil {
		return err
	}
	if inside {
		return os.MkdirAll(dir, 0o700)
	}
	if !below(dir, Root) {
		return errNoBPFFS(dir)
	}
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_RELATIME
	if err := unix.Mount("bpf", Root, "bpf", flags, "mode=0700"); err != nil {
		return fmt.Errorf("mounting a BPF file system on %s: %w", Root, refused(err, capSysAdmin))
	}
	return os.MkdirAll(dir, 0o700)
}

// mountable says whether makeDir would find or be able to mount a BPF file
// system. The mount that it tries is attached nowhere.
func mountable(dir string) error {
	if err := pinnable(dir); err != nil {
		return err
	}
	if inside, err := inBPFFS(dir); inside || err != nil {
		return err
	}
	if !below(dir, Root) {
		return errNoBPFFS(dir)
	}
	if _, err := os.Stat(Root); err != nil {
		return fmt.Errorf("%w: BPF file systems are missing: %w", ErrKernel, err)
	}
	if err := tryMount(); err != nil {
		return fmt.Errorf("no BPF file system is mounted on %s, and mounting one: %w", Root, refused(err, capSysAdmin))
	}
	return nil
}

func tryMount() error {
	context, err := unix.Fsopen("bpf", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(context)
	if err := unix.FsconfigCreate(context); err != nil {
		return err
	}
	mount, err := unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return err
	}
	return unix.Close(mount)
}

func pinnable(dir string) error {
	if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir || dir == Root {
		return fmt.Errorf("%q is no absolute path of a directory for pins", dir)
	}
	if below(dir, Root) && strings.Contains(dir, ".") {
		return fmt.Errorf("%s has a dot in it, which BPF file systems do not allow", dir)
	}
	return nil
}

func below(path, dir string) bool { return strings.HasPrefix(path, dir+"/") }

func errNoBPFFS(dir string) error {
	return fmt.Errorf("no BPF file system is mounted above %s", dir)
}

// inBPFFS says whether the path, or what exists of it, is in a BPF file system.
func inBPFFS(path string) (bool, error) {
	for {
		var at unix.Statfs_t
		err := unix.Statfs(path, &at)
		if err == nil {
			return uint32(at.Type) == unix.BPF_FS_MAGIC, nil // its type differs by architecture
		}
		if !errors.Is(err, fs.ErrNotExist) || path == "/" {
			return false, fmt.Errorf("looking for a BPF file system at %s: %w", path, refused(err))
		}
		path = filepath.Dir(path)
	}
}
