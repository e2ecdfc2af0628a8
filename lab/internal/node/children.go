// SPDX-License-Identifier: Apache-2.0

package node

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// children are the processes below the first process of a namespace: its own,
// and those whose parents have ended, which only it can bury. There must be one
// waiter for all of them, or two would race for the same end.
type children struct {
	mu      sync.Mutex
	waiting map[int]chan unix.WaitStatus
}

func newChildren() *children {
	c := &children{waiting: map[int]chan unix.WaitStatus{}}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, unix.SIGCHLD)
	go func() {
		for range ended {
			c.bury()
		}
	}()
	return c
}

// bury collects all that have ended: signals may be merged.
func (c *children) bury() {
	for {
		// Locked, so that no child ends unnoticed between its start and its
		// entry in the list.
		c.mu.Lock()
		var status unix.WaitStatus
		pid, err := unix.Wait4(-1, &status, unix.WNOHANG, nil)
		if pid > 0 && c.waiting[pid] != nil {
			c.waiting[pid] <- status
			delete(c.waiting, pid)
		}
		c.mu.Unlock()
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if pid <= 0 {
			return
		}
	}
}

// run starts a command whose input and output are files, and waits for its
// end.
func (c *children) run(cmd *exec.Cmd) (unix.WaitStatus, error) {
	c.mu.Lock()
	if err := cmd.Start(); err != nil {
		c.mu.Unlock()
		return 0, err
	}
	ended := make(chan unix.WaitStatus, 1)
	c.waiting[cmd.Process.Pid] = ended
	c.mu.Unlock()
	status := <-ended
	return status, cmd.Process.Release()
}

// keep runs a command for ever, with a pause before each new start, as a unit
// of systemd with Restart=always does. Before each start, ready says what to
// start, or nil while there is nothing to start yet.
func (c *children) keep(ready func() *exec.Cmd, pause time.Duration, say func(format string, args ...any)) {
	for {
		cmd := ready()
		if cmd == nil {
			time.Sleep(100 * time.Millisecond)
			continue
		}
		say("starting %s", cmd.Args[0])
		status, err := c.run(cmd)
		if err != nil {
			say("starting %s: %v", cmd.Args[0], err)
		} else {
			say("%s ended: exit code %d, signal %d", cmd.Args[0], status.ExitStatus(), status.Signal())
		}
		time.Sleep(pause)
	}
}
