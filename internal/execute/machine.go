// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"errors"
	"fmt"

	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/plan"
)

// Machine is the Hands of the running machine.
type Machine struct {
	Disk *host.Disk
	Bridge
	API
}

var _ Hands = Machine{}

// Read implements Hands.
func (m Machine) Read(_ context.Context, name string) ([]byte, error) {
	return m.Disk.ReadFile(name, host.FileLimit)
}

// Digest implements Hands.
func (m Machine) Digest(_ context.Context, name string) (string, error) { return m.Disk.Digest(name) }

// Save implements Hands.
func (m Machine) Save(_ context.Context, name string, data []byte) error {
	return m.Disk.Save(name, data)
}

// Replace implements Hands.
func (m Machine) Replace(_ context.Context, name string, data []byte, before string) error {
	return m.Disk.Replace(name, data, before)
}

// Restore implements Hands.
func (m Machine) Restore(_ context.Context, name string, data []byte, before string, as Access) error {
	access := host.Access{Mode: as.Mode, UID: as.UID, GID: as.GID}
	if before == "" {
		return m.Disk.WriteNew(name, data, access)
	}
	return m.Disk.Restore(name, data, before, access)
}

// Remove implements Hands.
func (m Machine) Remove(_ context.Context, name string, before string) error {
	return m.Disk.Remove(name, before)
}

// Stop implements Hands.
func (m Machine) Stop(ctx context.Context, s plan.Stop) error {
	_, err := host.Stop(ctx, s.Process(), s.Grace.Duration)
	if host.Gone(err) || errors.Is(err, host.ErrAnother) {
		return fmt.Errorf("stopping %s: %w", s.Component, ErrGone)
	}
	return err
}

// Sweep implements Hands.
func (m Machine) Sweep(_ context.Context, dirs ...string) error {
	left, err := m.Disk.Leftovers(dirs...)
	problems := []error{err}
	for _, name := range left {
		problems = append(problems, m.Disk.RemoveLeftover(name))
	}
	return errors.Join(problems...)
}
