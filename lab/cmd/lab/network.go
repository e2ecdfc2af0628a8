// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"

	"perennial.dev/perennial/lab/internal/layout"
	"perennial.dev/perennial/lab/internal/network"
	"perennial.dev/perennial/lab/internal/node"
	"perennial.dev/perennial/lab/internal/supervise"
)

// hostOf is a lab on the bridge. No node's name has a dot.
func hostOf(s layout.Settings) network.Host {
	return network.Host{Name: s.Name + ".lab", Address: s.Address}
}

func networkOf(s layout.Settings) network.Interface {
	host := hostOf(s)
	return network.Interface{Netns: "perennial-" + host.Name, Link: network.Link("pb", host.Name), Address: s.Address}
}

// errNoNetwork says that this machine gives labs no network of their own.
var errNoNetwork = errors.New("this machine gives the lab no network of its own")

// withNetwork gives a lab a network of its own and then lets it be made. The
// address is nobody else's once the lab's files say so: until then the others
// wait.
func withNetwork(ctx context.Context, labs *registry, s layout.Settings, create func(layout.Settings) (layout.Settings, error)) (layout.Settings, error) {
	if os.Geteuid() != 0 {
		return s, fmt.Errorf("%w, which needs root", errNoNetwork)
	}
	unlock, err := labs.nodes().lockAll(ctx)
	if err != nil {
		return s, err
	}
	defer unlock()
	others, err := labs.hosts()
	if err != nil {
		return s, err
	}
	if s.Address, err = network.ChooseAddress(hostOf(s).Name, others); err != nil {
		return s, err
	}
	own := networkOf(s)
	if err := own.Detach(); err != nil { // of a lab whose making was killed
		return s, err
	}
	if err = own.Attach(); err != nil {
		err = fmt.Errorf("%w: %w", errNoNetwork, err)
	} else {
		s, err = create(s)
	}
	if err != nil {
		err = errors.Join(err, own.Detach())
	}
	return s, err
}

// connect makes a lab's network again that is gone, as after a reboot.
func connect(ctx context.Context, labs *registry, s layout.Settings) error {
	if s.Address == "" || networkOf(s).There() {
		return nil
	}
	unlock, err := labs.nodes().lockAll(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return networkOf(s).Attach()
}

// disconnect removes a lab's network, if it has one.
func disconnect(ctx context.Context, labs *registry, s layout.Settings) error {
	if !networkOf(s).There() {
		return nil
	}
	unlock, err := labs.nodes().lockAll(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return networkOf(s).Detach()
}

// startInside starts a program where the lab's programs run: in its network, and
// among its supervisor's mounts. The program needs a directory to start in.
func startInside(s layout.Settings, cmd *exec.Cmd) error {
	if s.Address == "" {
		return cmd.Start()
	}
	if supervisor := supervise.Supervisor(runDir(s)); supervisor.Alive() {
		return network.InWith(networkOf(s).Netns, supervisor.PID, cmd.Start)
	}
	return network.In(networkOf(s).Netns, cmd.Start)
}

// startApart starts the supervisor, with mounts of its own where the lab has a
// network of its own.
func startApart(s layout.Settings, cmd *exec.Cmd) error {
	if s.Address == "" {
		return cmd.Start()
	}
	cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNS
	return network.In(networkOf(s).Netns, cmd.Start)
}

// mountOwn gives the lab a file system for pinned BPF objects, so that nothing
// of it is left on the machine.
func mountOwn(s layout.Settings) error {
	if s.Address == "" {
		return nil
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("separating the lab's mounts: %w", err)
	}
	return node.MountPinned()
}
