// SPDX-License-Identifier: Apache-2.0

package node

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// layered are the machine's directories in which the node makes files of its
// own: it sees the machine's, and what it writes is gone with it.
var layered = []string{"/etc", "/var/lib", "/usr/libexec"}

// owned are the node's own, below its directory on the machine: they may grow,
// and what is written there is to be as durable as on a real node.
var owned = []string{"/etc/kubernetes", "/etc/cni", "/var/lib/kubelet", "/var/lib/etcd", "/var/lib/containerd", "/var/lib/cni", "/var/lib/perennial", "/var/log"}

// tunables are what the kubelet sets (pkg/kubelet/cm, setupKernelTunables),
// for the whole machine. The node reads these values and leaves the machine's
// alone.
var tunables = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

// mountAll makes the holder's mount namespace the node's. The sources are
// opened first: a mount may hide the way to them.
func (s Settings) mountAll() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("separating the node's mounts: %w", err)
	}
	binds := map[string]string{insideDir: s.Dir, insideProgram: s.Program}
	for _, dir := range owned {
		binds[dir] = filepath.Join(s.Dir, dir)
	}
	sources := map[string]*os.File{}
	for to, from := range binds {
		f, err := os.Open(from)
		if err != nil {
			return err
		}
		defer f.Close()
		sources[to] = f
	}
	if err := mount("tmpfs", "/run", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=755"); err != nil {
		return err
	}
	for _, dir := range layered {
		if err := layer(dir); err != nil {
			return err
		}
	}
	for to, from := range sources {
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		if err := mount("/proc/self/fd/"+strconv.Itoa(int(from.Fd())), to, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	if err := hideKubeconfigs(); err != nil {
		return err
	}
	if err := MountPinned(); err != nil {
		return err
	}
	if err := mountProc(); err != nil {
		return err
	}
	// The kubelet and containerd expect what systemd gives: mounts that spread
	// into containers. They do not spread to the machine.
	return unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, "")
}

func mount(from, to, kind string, flags uintptr, options string) error {
	if err := unix.Mount(from, to, kind, flags, options); err != nil {
		return fmt.Errorf("mounting on %s: %w", to, err)
	}
	return nil
}

// layer puts an overlay over one of the machine's directories.
func layer(dir string) error {
	top := filepath.Join("/run/lab/layers", dir)
	upper, work := filepath.Join(top, "upper"), filepath.Join(top, "work")
	for _, d := range []string{upper, work} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	return mount("overlay", dir, "overlay", 0, "lowerdir="+dir+",upperdir="+upper+",workdir="+work)
}

// hideKubeconfigs hides those of the machine's users: they belong to other
// clusters.
func hideKubeconfigs() error {
	const empty = "/run/lab/empty"
	if err := os.MkdirAll(empty, 0o755); err != nil {
		return err
	}
	dirs, err := filepath.Glob("/home/*/.kube")
	if err != nil {
		return err
	}
	for _, dir := range append(dirs, "/root/.kube") {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			continue
		}
		if err := mount(empty, dir, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

// MountPinned mounts the file system for pinned BPF objects where systemd does
// (src/shared/mount-setup.c). It goes with the mount namespace that it is in.
func MountPinned() error {
	const pinned = "/sys/fs/bpf"
	if _, err := os.Stat(pinned); err != nil {
		return nil // a kernel without BPF
	}
	return mount("bpf", pinned, "bpf", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=700")
}

func mountProc() error {
	if err := mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return err
	}
	const values = "/run/lab/tunables"
	for name, value := range tunables {
		file := filepath.Join(values, name)
		if err := writeFile(file, value+"\n"); err != nil {
			return err
		}
		if err := mount(file, filepath.Join("/proc/sys", name), "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

// nameHost gives the node its name. It looks up no other: a resolver that
// leads out of the node has no place in a test.
func (s Settings) nameHost() error {
	if err := unix.Sethostname([]byte(s.Name)); err != nil {
		return fmt.Errorf("naming the node: %w", err)
	}
	id := sha256.Sum256([]byte(s.Dir))
	for path, content := range map[string]string{
		"/etc/hostname":    s.Name + "\n",
		"/etc/hosts":       "127.0.0.1 localhost\n::1 localhost\n" + s.Address + " " + s.Name + "\n",
		"/etc/resolv.conf": "nameserver 127.0.0.1\n",
		"/etc/machine-id":  hex.EncodeToString(id[:16]) + "\n",
	} {
		// It may be a link to what is not there.
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return err
		}
		if err := writeFile(path, content); err != nil {
			return err
		}
	}
	return nil
}

func writeFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o644)
}
