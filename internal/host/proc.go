// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// argsLimit is the part of a command line that is read, in bytes. The kernel
// allows megabytes; a control plane's is a few KiB.
const argsLimit = 256 << 10

// Processes returns the running processes whose command line accept takes, by
// PID. Kernel threads and zombies have no command line and are left out, and
// so is what ends while it is looked at. The walk needs no rights, but the
// executable and the mount namespace of other users' processes need root:
// without it Exe is empty and Contained is false. An error stands beside what
// was found: the rest could not be looked at.
func Processes(ctx context.Context, accept func(args []string) bool) ([]fact.Process, error) {
	got, err := bounded(ctx, func() ([]fact.Process, error) { return processes(ctx, accept) })
	if err != nil {
		err = failure("listing", "/proc", err)
	}
	return got, err
}

func processes(ctx context.Context, accept func(args []string) bool) ([]fact.Process, error) {
	boot, err := bootTime()
	if err != nil {
		return nil, err
	}
	pids, err := pids()
	if err != nil {
		return nil, err
	}
	own := ownMounts()
	var found []fact.Process
	var worst error
	if len(pids) == 0 || pids[0] != 1 {
		worst = errHidden
	}
	for _, pid := range pids {
		if err := ctx.Err(); err != nil {
			return found, err
		}
		p, err := process(pid, boot, own, accept)
		switch {
		case err == nil:
			found = append(found, p)
		case !gone(err) && !errors.Is(err, errNotAsked):
			worst = err
		}
	}
	return found, worst
}

// errHidden is how a /proc mounted with hidepid looks: without PID 1.
var errHidden = fmt.Errorf("other users' processes are hidden: %w", fs.ErrPermission)

var errNotAsked = errors.New("not a process that was asked for")

// ownMounts are the mount namespaces in which a path leads where it leads the
// looker: its own, and that of PID 1 where that has the same root, since what
// systemd makes for a service shows the host's files in their places.
func ownMounts() []string {
	own, err := os.Readlink("/proc/self/ns/mnt")
	if err != nil {
		return nil
	}
	all := []string{own}
	here, hereErr := os.Stat("/")
	there, thereErr := os.Stat(procPath(1, "root") + "/")
	if first, err := os.Readlink(procPath(1, "ns/mnt")); errors.Join(err, hereErr, thereErr) == nil && os.SameFile(here, there) {
		all = append(all, first)
	}
	return all
}

func process(pid int, boot time.Time, ownMounts []string, accept func(args []string) bool) (fact.Process, error) {
	before, err := started(pid)
	if err != nil {
		return fact.Process{}, err
	}
	line, err := readProc(procPath(pid, "cmdline"), argsLimit)
	if err != nil {
		return fact.Process{}, err
	}
	args := splitArgs(line)
	if len(args) == 0 || !accept(args) {
		return fact.Process{}, errNotAsked
	}
	p := fact.Process{PID: pid, Start: boot.Add(before), SinceBoot: before, Args: args}
	// Neither may be read without rights; the process is still a fact.
	p.Exe, _ = os.Readlink(procPath(pid, "exe"))
	mounts, err := os.Readlink(procPath(pid, "ns/mnt"))
	p.Contained = err == nil && len(ownMounts) > 0 && !slices.Contains(ownMounts, mounts)
	status, err := readProc(procPath(pid, "status"), 16<<10)
	p.Foreign = err != nil || !ownUIDs(status, os.Geteuid())
	if cgroup, err := readProc(procPath(pid, "cgroup"), 64<<10); err == nil {
		p.Unit = unitOf(cgroup)
	}
	if env, err := readProc(procPath(pid, "environ"), argsLimit); err == nil {
		p.Env = etcdSettings(env)
	}
	// Another process may have got the PID meanwhile.
	if after, err := started(pid); err != nil || after != before {
		return fact.Process{}, syscall.ESRCH
	}
	return p, nil
}

// etcdSettings picks the variables by which etcd is told its files and
// addresses. Others may hold secrets and are not kept.
func etcdSettings(environ []byte) []string {
	var kept []string
	for _, pair := range splitArgs(environ) {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, "ETCD_") && slices.ContainsFunc(fact.EtcdEnv, func(end string) bool { return strings.HasSuffix(name, end) }) {
			kept = append(kept, pair)
		}
	}
	slices.Sort(kept)
	return kept
}

func started(pid int) (time.Duration, error) {
	stat, err := readProc(procPath(pid, "stat"), 4<<10)
	if err != nil {
		return 0, err
	}
	return startTime(stat)
}

func pids() ([]int, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var out []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			out = append(out, pid)
		}
	}
	slices.Sort(out)
	return out, nil
}

// View reads a file as a process sees it, links followed in the process's own
// file system. Meta's target is a path there. It needs root for other users'
// processes. When the process has ended, Gone says so.
func View(ctx context.Context, pid int, inside string, limit int64) ([]byte, fact.Meta, error) {
	view, err := bounded(ctx, func() (*FS, error) { return Open(procPath(pid, "root")) })
	if err != nil {
		if gone(err) {
			err = errGone
		}
		return nil, fact.Meta{}, fmt.Errorf("looking into process %d: %w", pid, err)
	}
	defer view.Close()
	data, meta, err := view.Read(ctx, inside, limit)
	if err != nil {
		return nil, meta, fmt.Errorf("looking into process %d: %w", pid, err)
	}
	return data, meta, nil
}

var errGone = errors.New("the process has ended")

// Gone says that a process ended before it could be looked at.
func Gone(err error) bool { return errors.Is(err, errGone) }

// gone is Gone for what the kernel says of files in /proc/PID.
func gone(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH)
}

func procPath(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}

func readProc(name string, limit int64) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, limit))
}
