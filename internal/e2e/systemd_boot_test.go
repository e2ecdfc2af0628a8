// SPDX-License-Identifier: Apache-2.0

//go:build linux

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// booted is a machine that systemd runs: the first process of namespaces of its own,
// with a root of its own, which sees and reaches nothing of the machine below but its
// programs, read-only. A control plane of the lab stands in the places of a node's,
// and a service of the kubelet's name for the kubelet.
type booted struct {
	*testing.T
	version string
	goroot  string
	dir     string // that outlives its end: etc, var, srv, root, bin
	cgroup  string
	unshare *exec.Cmd
	init    int // systemd's process ID, as this machine sees it
}

// bootScript makes the root and becomes systemd. Only what is bound read-only, or
// lies below the first argument, is of the machine below; /proc/sys, by which a kernel
// is set, is read-only, and so are all rights taken that reach beyond the namespaces.
const bootScript = `set -e
dir=$1 version=$2 goroot=$3 cache=$4
mount --make-rprivate /
mkdir -p "$dir/machine"
mount -t tmpfs -o mode=755 tmpfs "$dir/machine"
cd "$dir/machine"
mkdir usr etc var srv root home run tmp dev proc sys old
chmod 1777 tmp
mount --bind /usr usr
mount -o remount,bind,ro usr
for link in bin sbin lib lib64; do ln -s usr/$link $link; done
for at in etc var srv root; do mount --bind "$dir/$at" $at; done
mount --bind "$dir/bin" usr/local/bin
case "$goroot" in /usr/*) ;; *)
	mkdir -p ".$goroot"
	mount --bind "$goroot" ".$goroot"
	mount -o remount,bind,ro ".$goroot" ;;
esac
for built in "$cache/v$version"-*/; do
	at=srv/cache/perennial-lab/$(basename "$built")
	mkdir -p "$at"
	: >>"$at.lock"
	mount --bind "$built" "$at"
	mount -o remount,bind,ro "$at"
done
[ ! -d srv/lab/etc/kubernetes ] || mount --bind srv/lab/etc/kubernetes etc/kubernetes
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t bpf bpf sys/fs/bpf
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
for node in null zero full random urandom; do
	: >dev/$node
	mount --bind /dev/$node dev/$node
done
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755 tmpfs run
hostname cp1
pivot_root . old
umount -l /old
rmdir /old
cd /
exec env -i container=perennial-test PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin SYSTEMD_UNIT_PATH=/etc/systemd/system \
	setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio,-syslog,-audit_control,-audit_write,-audit_read,-wake_alarm,-mac_admin,-mac_override --inh-caps=-all \
	/usr/lib/systemd/systemd --system --show-status=0 --log-target=journal
`

// shippedUnits are those of systemd's own that a machine needs to come up.
var shippedUnits = []string{
	"sysinit.target", "basic.target", "multi-user.target", "timers.target", "sockets.target", "slices.target", "paths.target", "local-fs.target",
	"local-fs-pre.target", "swap.target", "shutdown.target", "umount.target", "final.target", "time-sync.target", "time-set.target",
	"systemd-journald.service", "systemd-journald.socket", "systemd-journald-dev-log.socket", "emergency.target", "rescue.target",
}

// ownUnits are those that the machine begins besides: what stands for the kubelet, and
// the control plane, as the kubelet would begin it.
const kubeletUnit = `[Unit]
Description=stands for the kubelet
[Service]
ExecStart=/bin/sleep infinity
`

const labUnit = `[Unit]
Description=the control plane
After=kubelet.service
[Service]
Type=oneshot
RemainAfterExit=yes
KillMode=none
Environment=HOME=/root XDG_CACHE_HOME=/srv/cache GOTOOLCHAIN=local PATH=/usr/local/bin:%s/bin:/usr/bin:/bin
ExecStart=/usr/local/bin/lab up --name booted --version %s --dir /srv/lab
`

// boot begins such a machine, and ends and removes it with the test.
func boot(t *testing.T, version string) *booted {
	t.Helper()
	m := &booted{T: t, version: version, dir: t.TempDir(), cgroup: bootable(t)}
	t.Cleanup(func() {
		m.end()
		m.removeCgroup()
	})
	m.goroot = strings.TrimSpace(m.output("go", "env", "GOROOT"))
	for name, content := range map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n", "etc/group": "root:x:0:\nsystemd-journal:x:101:\nnogroup:x:65534:\n",
		"etc/hosts": "127.0.0.1 localhost cp1\n", "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
		"etc/machine-id": strings.Repeat("0123456789abcdef", 2) + "\n", "etc/hostname": "cp1\n", "etc/fstab": "",
		"etc/systemd/system/kubelet.service": kubeletUnit, "etc/systemd/system/lab.service": fmt.Sprintf(labUnit, m.goroot, version),
	} {
		m.write(name, content)
	}
	for _, name := range shippedUnits {
		content, err := os.ReadFile("/usr/lib/systemd/system/" + name)
		if err != nil {
			t.Fatal(err)
		}
		m.write("etc/systemd/system/"+name, string(content))
	}
	for link, to := range map[string]string{
		"default.target": "multi-user.target", "sysinit.target.wants/systemd-journald.service": "../systemd-journald.service",
		"multi-user.target.wants/kubelet.service": "../kubelet.service", "multi-user.target.wants/lab.service": "../lab.service",
	} {
		at := filepath.Join(m.dir, "etc/systemd/system", link)
		if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(to, at)); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"etc/kubernetes", "var/lib", "var/cache", "var/log", "var/tmp", "root", "srv/cache/perennial-lab/labs"} {
		if err := os.MkdirAll(filepath.Join(m.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../run", filepath.Join(m.dir, "var/run")); err != nil {
		t.Fatal(err)
	}
	for name, from := range map[string]string{"perennial": os.Getenv("PERENNIAL_BIN"), "lab": os.Getenv("PERENNIAL_LAB")} {
		program, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		m.write("bin/"+name, string(program))
		if err := os.Chmod(filepath.Join(m.dir, "bin", name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.start()
	m.does("mount", "--bind", "/srv/lab/etc/kubernetes", "/etc/kubernetes")
	return m
}

// bootable says where the cgroup can be made, and skips the test where the machine
// cannot do all this.
func bootable(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, for namespaces and mounts")
	}
	for _, program := range []string{"unshare", "nsenter", "setpriv", "pivot_root", "mount", "hostname", "go", "/usr/lib/systemd/systemd", "journalctl", "systemctl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s: install systemd and util-linux", program)
		}
	}
	if out, err := exec.Command("unshare", append(slices.Clone(apart), "true")...).CombinedOutput(); err != nil {
		t.Skipf("needs namespaces, which this machine does not allow: %s", out)
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		fields := strings.Fields(line)
		if fields[2] != "cgroup2" {
			continue
		}
		dir := filepath.Join(fields[1], fmt.Sprintf("perennial-e2e-%d", os.Getpid()))
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Skipf("needs a cgroup of its own: %v", err)
		}
		return dir
	}
	t.Skip("needs cgroups of version 2")
	return ""
}

func (m *booted) output(name string, args ...string) string {
	m.Helper()
	out, err := exec.CommandContext(m.Context(), name, args...).Output()
	if err != nil {
		m.Fatalf("%s: %v", name, err)
	}
	return string(out)
}

// write puts a file in place, by its name on the machine.
func (m *booted) write(name, content string) {
	m.Helper()
	at := filepath.Join(m.dir, name)
	if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, []byte(content), 0o644)); err != nil {
		m.Fatal(err)
	}
}

// read reads one; not there is empty.
func (m *booted) read(name string) string {
	m.Helper()
	content, err := os.ReadFile(filepath.Join(m.dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.Fatal(err)
	}
	return string(content)
}

// start boots it and waits until all that begins with it has begun.
func (m *booted) start() {
	m.Helper()
	m.unshare = exec.Command("sh", slices.Concat([]string{"-c", `echo $$ >"$0/cgroup.procs" && exec unshare "$@"`, m.cgroup}, apart,
		[]string{"sh", "-c", bootScript, "boot", m.dir, m.version, m.goroot, labCache(m.T)})...)
	m.unshare.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // it ends with a test that is killed
	var said bytes.Buffer
	m.unshare.Stdout, m.unshare.Stderr = &said, &said
	if err := m.unshare.Start(); err != nil {
		m.Fatal(err)
	}
	m.init = 0
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		// Before it is systemd, the root in there may be the one of this machine.
		if m.init == 0 {
			if child := childOf(m.unshare.Process.Pid); nameOf(child) == "systemd" {
				m.init = child
			}
		} else if state, _ := m.try("systemctl", "is-system-running"); strings.TrimSpace(state) == "running" {
			return
		} else if strings.TrimSpace(state) == "degraded" || time.Now().After(deadline) {
			failed, _ := m.try("systemctl", "list-units", "--failed", "--no-pager")
			journal, _ := m.try("journalctl", "--no-pager", "-n", "50")
			m.Fatalf("it is %s\n%s%s%s", state, failed, journal, &said)
		}
	}
}

// apart are the namespaces of the machine.
var apart = []string{"--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--fork", "--kill-child"}

// nameOf is what a process calls itself; empty where there is none.
func nameOf(pid int) string {
	name, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "comm"))
	return strings.TrimSpace(string(name))
}

// end is the power's: everything ends at once.
func (m *booted) end() {
	m.Helper()
	if m.unshare == nil {
		return
	}
	if err := m.unshare.Process.Kill(); err != nil {
		m.Error(err)
	}
	_ = m.unshare.Wait()
	m.unshare = nil
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		events, err := os.ReadFile(filepath.Join(m.cgroup, "cgroup.events"))
		if err == nil && strings.Contains(string(events), "populated 0") {
			return
		}
		if time.Now().After(deadline) {
			m.Fatalf("something of it still runs: %v", err)
		}
	}
}

func (m *booted) removeCgroup() {
	var dirs []string
	_ = filepath.WalkDir(m.cgroup, func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, name)
		}
		return nil
	})
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := os.Remove(dirs[i]); err != nil {
			m.Error(err)
		}
	}
}

// try runs a program on it.
func (m *booted) try(args ...string) (string, error) {
	line := append([]string{"-t", strconv.Itoa(m.init), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "env", "-i", "HOME=/root", "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}, args...)
	out, err := exec.Command("nsenter", line...).CombinedOutput()
	return string(out), err
}

// does runs a program on it and wants it to succeed.
func (m *booted) does(args ...string) string {
	m.Helper()
	out, err := m.try(args...)
	if err != nil {
		m.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// shows are properties of a unit, in the order of their names here.
func (m *booted) shows(unit string, properties ...string) []string {
	m.Helper()
	values := map[string]string{}
	for line := range strings.Lines(m.does("systemctl", "show", unit, "-p", strings.Join(properties, ","))) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[name] = value
	}
	var all []string
	for _, p := range properties {
		all = append(all, values[p])
	}
	return all
}
