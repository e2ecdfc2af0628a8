// SPDX-License-Identifier: Apache-2.0

package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"perennial.dev/perennial/lab/internal/network"
)

// ErrNotRunning says that nothing of a node runs.
var ErrNotRunning = errors.New("the node does not run")

// namespaces are entered in this order: the mounts last, since the others are
// opened through the machine's /proc.
var namespaces = []struct {
	name string
	flag int
}{
	{"net", unix.CLONE_NEWNET}, {"uts", unix.CLONE_NEWUTS}, {"ipc", unix.CLONE_NEWIPC}, {"pid", unix.CLONE_NEWPID}, {"mnt", unix.CLONE_NEWNS},
}

// Streams are a program's input and output; nil is nothing.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Run runs a program inside all of the node's namespaces and waits for its
// end. A name without a slash is looked for in the node's PATH; a path is the
// node's, which is the machine's but for the directories that a node has of its
// own. The program starts in the directory dir, or in / where the node has none
// of that name.
func (s Settings) Run(ctx context.Context, io Streams, dir string, args ...string) error {
	inside, err := s.open()
	if err != nil {
		return err
	}
	defer closeAll(inside)
	cmd := make(chan *exec.Cmd)
	failed := make(chan error)
	go func() {
		// A thread that has entered cannot come back: it ends with this
		// goroutine, because it is never unlocked.
		runtime.LockOSThread()
		c, err := s.startInside(ctx, inside, io, dir, args)
		if err != nil {
			failed <- err
			return
		}
		cmd <- c
	}()
	select {
	case err := <-failed:
		return err
	case c := <-cmd:
		return c.Wait()
	}
}

// open opens the holder's namespaces, and only then makes sure that the
// process is the holder.
func (s Settings) open() ([]*os.File, error) {
	var files []*os.File
	for _, ns := range namespaces {
		f, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", s.Holder.PID, ns.name))
		if err != nil {
			closeAll(files)
			return nil, fmt.Errorf("entering the node %s: %w", s.Name, ErrNotRunning)
		}
		files = append(files, f)
	}
	if !s.Running() {
		closeAll(files)
		return nil, fmt.Errorf("entering the node %s: %w", s.Name, ErrNotRunning)
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

func (s Settings) startInside(ctx context.Context, inside []*os.File, io Streams, dir string, args []string) (*exec.Cmd, error) {
	// The kernel lets no thread change its mounts that shares its root and
	// working directory with others.
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return nil, fmt.Errorf("entering the node %s: %w", s.Name, err)
	}
	for i, ns := range namespaces {
		if err := unix.Setns(int(inside[i].Fd()), ns.flag); err != nil {
			return nil, fmt.Errorf("entering the node %s (its %s namespace): %w", s.Name, ns.name, err)
		}
	}
	path, err := findInside(args[0])
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, args[1:]...)
	cmd.Args[0] = args[0]
	cmd.Env = s.environ(os.Environ())
	cmd.Dir = "/"
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		cmd.Dir = dir
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = io.In, io.Out, io.Err
	return cmd, cmd.Start()
}

// findInside looks among the node's programs first, as its PATH says.
func findInside(name string) (string, error) {
	if path, err := exec.LookPath(insideBin + "/" + name); err == nil && !strings.Contains(name, "/") {
		return path, nil
	}
	return network.LookPath(name)
}

// environ is an environment with the node's variables in place of those of the
// same names, and without proxies, which kubeadm would write into manifests.
func (s Settings) environ(outer []string) []string {
	var env []string
	own := map[string]bool{}
	for _, v := range s.Variables() {
		own[v[0]] = true
		env = append(env, v[0]+"="+v[1])
	}
	for _, kv := range outer {
		name, _, _ := strings.Cut(kv, "=")
		if !own[name] && !strings.HasSuffix(strings.ToLower(name), "_proxy") {
			env = append(env, kv)
		}
	}
	return env
}
