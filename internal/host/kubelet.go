// SPDX-License-Identifier: Apache-2.0

package host

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
)

const (
	versionTime  = 2 * time.Second
	versionLimit = 1 << 10 // bytes of output
)

// errNotTrusted is why a program is not run: somebody with fewer rights than
// the looker could have written it.
var errNotTrusted = errors.New("its program is not run")

// KubeletVersion asks the program of a running kubelet for its version, by
// running it with --version. Only the kubelet is asked this way, because no
// port of it tells its version to a client without credentials, as the API
// server's does; and the running program is asked rather than the one in the
// path, because a package may have replaced that one since.
//
// Anybody can call a process kubelet, and a check runs as root. So the program
// runs only when the process belongs to root or to the looker, lives in the
// same mount namespace as the looker or as PID 1 (the root of a container is
// no root here), and its file can only be written by root or the looker. It
// gets no environment, no input, 2 s, and room for 1 KiB of output.
func KubeletVersion(ctx context.Context, pid int) (fact.Text, error) {
	ctx, cancel := context.WithTimeout(ctx, versionTime)
	defer cancel()
	got, err := bounded(ctx, func() (string, error) {
		program, err := trustedProgram(pid)
		if err != nil {
			return "", err
		}
		defer program.Close()
		return runVersion(ctx, program)
	})
	if err != nil {
		if gone(err) {
			err = errGone
		}
		return "", fmt.Errorf("asking process %d for its version: %w", pid, Cause(err))
	}
	return fact.Text(got), nil
}

// trustedProgram opens the program of a process. What is checked is what is
// opened, so neither a new process with the same PID nor a new file in the
// same place can slip in between.
func trustedProgram(pid int) (*os.File, error) {
	before, err := started(pid)
	if err != nil {
		return nil, err
	}
	program, err := os.Open(procPath(pid, "exe"))
	if err != nil {
		return nil, err
	}
	if err := trusted(pid, program); err != nil {
		program.Close()
		return nil, err
	}
	if after, err := started(pid); err != nil || after != before {
		program.Close()
		return nil, errGone
	}
	return program, nil
}

func trusted(pid int, program *os.File) error {
	status, err := readProc(procPath(pid, "status"), 16<<10)
	if err != nil {
		return err
	}
	if !ownUIDs(status, os.Geteuid()) {
		return fmt.Errorf("%w: the process belongs to another user", errNotTrusted)
	}
	if !trustedMounts(pid) {
		return fmt.Errorf("%w: the process lives in a container", errNotTrusted)
	}
	info, err := program.Stat()
	if err != nil {
		return err
	}
	var meta fact.Meta
	describe(&meta, info)
	if meta.Mode&0o022 != 0 || meta.UID != 0 && meta.UID != os.Geteuid() {
		return fmt.Errorf("%w: other users may write its file", errNotTrusted)
	}
	return nil
}

// ownUIDs says whether all four user IDs of /proc/PID/status are root's or the
// looker's. The owner of /proc/PID will not do: a process can make it root.
func ownUIDs(status []byte, looker int) bool {
	for line := range strings.Lines(string(status)) {
		ids, ok := strings.CutPrefix(line, "Uid:")
		if !ok {
			continue
		}
		fields := strings.Fields(ids)
		for _, f := range fields {
			if id, err := strconv.Atoi(f); err != nil || id != 0 && id != looker {
				return false
			}
		}
		return len(fields) == 4
	}
	return false
}

func trustedMounts(pid int) bool {
	mounts, err := os.Readlink(procPath(pid, "ns/mnt"))
	if err != nil {
		return false
	}
	own, _ := os.Readlink("/proc/self/ns/mnt")
	first, _ := os.Readlink("/proc/1/ns/mnt")
	return mounts == own || mounts == first
}

func runVersion(ctx context.Context, program *os.File) (string, error) {
	// The first extra file is descriptor 3 of the child.
	cmd := exec.CommandContext(ctx, "/proc/self/fd/3", "--version")
	cmd.Args[0] = "kubelet"
	cmd.ExtraFiles = []*os.File{program}
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.WaitDelay = 100 * time.Millisecond
	out := capped{limit: versionLimit}
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", fmt.Errorf("running it with --version: %w", err)
	}
	return kubeletVersion(out.data)
}

// capped is a buffer that refuses to grow beyond its limit. The buffer is not
// embedded: its ReadFrom would go around the limit.
type capped struct {
	data  []byte
	limit int
}

func (c *capped) Write(p []byte) (int, error) {
	if len(c.data)+len(p) > c.limit {
		return 0, errors.New("too much output")
	}
	c.data = append(c.data, p...)
	return len(p), nil
}
