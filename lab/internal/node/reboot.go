// SPDX-License-Identifier: Apache-2.0

package node

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// bootFile, below a node's directory, holds the command that a node runs when it
// boots, before containerd and the kubelet.
const bootFile = "boot.json"

// Reboot ends everything in a node at once, as a power failure does, and starts
// it again: first the command, where there is one, then containerd and the
// kubelet. What the kernel holds (mounts, networks) and the files in /run stay.
func (s Settings) Reboot(command []string) error {
	text, err := json.Marshal(command)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.Dir, bootFile), text, 0o600); err != nil {
		return fmt.Errorf("writing what the node runs at its boot: %w", err)
	}
	if err := s.Holder.Signal(unix.SIGUSR1); err != nil {
		return fmt.Errorf("rebooting the node %s: %w", s.Name, err)
	}
	return nil
}

// machine is what runs in a node below its first process.
type machine struct {
	Settings
	all     *children
	say     func(format string, args ...any)
	booting atomic.Bool // the services wait
}

func (m *machine) rebootOnSignal() {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, unix.SIGUSR1)
	go func() {
		for range asked {
			m.reboot()
		}
	}()
}

func (m *machine) reboot() {
	m.booting.Store(true)
	defer m.booting.Store(false)
	// All of the namespace but its first process, which this is.
	m.say("rebooting: %v", unix.Kill(-1, unix.SIGKILL))
	var command []string
	text, err := os.ReadFile(filepath.Join(insideDir, bootFile))
	if err == nil {
		err = json.Unmarshal(text, &command)
	}
	if err != nil {
		m.say("reading what to run at the boot: %v", err)
		return
	}
	output, err := openLog("boot")
	if err != nil {
		m.say("%v", err)
		return
	}
	defer output.Close()
	if cmd := m.command(command, output); cmd != nil {
		status, err := m.all.run(cmd)
		m.say("%v: exit code %d, %v", command, status.ExitStatus(), err)
	}
}
