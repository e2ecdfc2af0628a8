// SPDX-License-Identifier: Apache-2.0

// Package bridge is what a handover of an API server stands on and puts up: it
// finds out whether one is possible on this node, and does to the kernel and the
// API what its steps ask for.
package bridge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path"
	"strconv"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/steer"
)

// Crossing does the steps of a handover on the running machine (package execute,
// Bridge).
type Crossing struct {
	Disk    *host.Disk
	Version string // the program's own, for the User-Agent
	Now     func() time.Time
}

// Standby implements execute.Bridge.
func (c Crossing) Standby(_ context.Context, b plan.Bridge) ([]byte, error) {
	main, err := c.Disk.ReadFile(b.Main, host.FileLimit)
	if err != nil {
		return nil, err
	}
	made, err := layout.Standby(main, layout.StandbyOptions{PlanID: b.ID, Port: b.StandbyPort})
	return made.YAML, err
}

// administer reaches an API server as the node's administrator.
func administer(files reader, admin, server, version string) (*kube.Client, error) {
	return kube.OpenFile(server, admin, func(name string) ([]byte, error) { return files.ReadFile(name, host.FileLimit) }, version)
}

// api reaches one of the two API servers by its own port: the main one, where it
// answers.
func (c Crossing) api(b plan.Bridge, do func(*kube.Client) error) error {
	address := "127.0.0.1"
	if len(b.Addresses) > 0 {
		address = b.Addresses[0]
	}
	var errs []error
	for _, port := range []int{b.Port, b.StandbyPort} {
		client, err := administer(c.Disk, b.Admin, net.JoinHostPort(address, strconv.Itoa(port)), c.Version)
		if err == nil {
			err = do(client)
			client.Close()
		}
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Guard implements execute.Bridge.
func (c Crossing) Guard(ctx context.Context, b plan.Bridge) error {
	if b.Guard == plan.GuardLease {
		client, server, err := lease(c.Disk, b.Etcd)
		if err != nil {
			return err
		}
		return client.HoldAddress(ctx, server)
	}
	return c.api(b, func(client *kube.Client) error {
		if err := client.GuardOn(ctx); err != nil {
			return err
		}
		return client.GuardProven(ctx)
	})
}

// Unguard implements execute.Bridge.
func (c Crossing) Unguard(ctx context.Context, b plan.Bridge) error {
	var errs []error
	if b.Way == plan.ByNAT {
		errs = append(errs, steer.NAT{}.Detach())
	}
	if b.Guard == plan.GuardLease {
		client, server, err := lease(c.Disk, b.Etcd)
		if err == nil {
			err = client.ReleaseAddress(ctx, server)
		}
		return errors.Join(append(errs, err)...)
	}
	return errors.Join(append(errs, c.api(b, func(client *kube.Client) error { return client.GuardOff(ctx) }))...)
}

func target(b plan.Bridge) (steer.Target, error) {
	t := steer.Target{Port: uint16(b.Port), RemoteOnly: b.RemoteOnly}
	for _, a := range b.Addresses {
		addr, err := netip.ParseAddr(a)
		if err != nil {
			return t, fmt.Errorf("steering to %s: %w", a, err)
		}
		t.Addresses = append(t.Addresses, addr)
	}
	return t, nil
}

// Steer implements execute.Bridge. The namespace is that of the process to steer to,
// which shares it with the API server.
func (c Crossing) Steer(_ context.Context, b plan.Bridge, pid int) error {
	t, err := target(b)
	if err != nil {
		return err
	}
	if b.Way == plan.ByNAT {
		return steer.NAT{}.On(t, uint16(b.StandbyPort))
	}
	lookup := steer.Lookup{Dir: b.Pins}
	if err := lookup.Attach("/proc/"+strconv.Itoa(pid)+"/ns/net", t); err != nil {
		return err
	}
	return lookup.On(fact.Process{PID: pid}, uint16(b.StandbyPort))
}

// Unsteer implements execute.Bridge. Translations of connections that live on are left,
// until the standby has ended.
func (c Crossing) Unsteer(_ context.Context, b plan.Bridge) error {
	for _, pid := range b.Held {
		if _, err := steer.ReleaseLeft(fact.Process{PID: pid}, steer.Target{Port: uint16(b.Port)}); err != nil {
			return err
		}
	}
	if b.Way == "" {
		return nil
	}
	if b.Way == plan.ByNAT {
		return steer.NAT{}.Off()
	}
	lookup := steer.Lookup{Dir: b.Pins}
	if err := lookup.Off(); err != nil {
		return err
	}
	if err := lookup.Detach(); err != nil {
		return err
	}
	_ = os.Remove(path.Dir(b.Pins)) // unless another one is there
	return nil
}

// Hold implements execute.Bridge.
func (c Crossing) Hold(_ context.Context, b plan.Bridge, pid, port int) (int, func() error, error) {
	t, err := target(b)
	if err != nil {
		return 0, nil, err
	}
	t.Port = uint16(port)
	held, err := steer.Hold(fact.Process{PID: pid}, t, plan.HoldLimit)
	if err != nil {
		return 0, nil, err
	}
	return held.Count(), held.Release, nil
}

// Listens implements execute.Bridge. It asks by the port: in the namespace of an API
// server, nobody else listens on that.
func (c Crossing) Listens(pid, port int) bool { return steer.Listening(pid, uint16(port)) }

// ReleaseLease implements execute.Bridge.
func (c Crossing) ReleaseLease(ctx context.Context, l plan.Lease, holder fact.Text) error {
	client, err := administer(c.Disk, l.Admin, l.Endpoint, c.Version)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.ReleaseLease(ctx, l.Name, holder, c.Now())
}
