// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package steer

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// errElsewhere is what everything returns where there are no nodes.
var errElsewhere = fmt.Errorf("steering connections on a system other than Linux: %w", errors.ErrUnsupported)

// Able says what is missing.
func (l Lookup) Able(_ string, _ int) error { return errElsewhere }

// Attach makes ready to steer.
func (l Lookup) Attach(_ string, _ Target) error { return errElsewhere }

// On steers to a process.
func (l Lookup) On(_ fact.Process, _ uint16) error { return errElsewhere }

// Off stops steering.
func (l Lookup) Off() error { return errElsewhere }

// Detach removes the steering.
func (l Lookup) Detach() error { return errElsewhere }

// State tells what is there.
func (l Lookup) State() (State, error) { return State{}, errElsewhere }

// Leftovers lists the steerings in a directory.
func Leftovers(_ string) ([]Lookup, error) { return nil, errElsewhere }

// On translates the port of new connections.
func (n NAT) On(_ Target, _ uint16) error { return errElsewhere }

// Off removes the rules.
func (n NAT) Off() error { return errElsewhere }

// Detach removes the tables.
func (n NAT) Detach() error { return errElsewhere }

// State tells what is there.
func (n NAT) State() (State, error) { return State{}, errElsewhere }

// Held are connections that are held.
type Held struct{}

// Count is how many connections are held.
func (h *Held) Count() int { return 0 }

// Missed is how many connections could not be held.
func (h *Held) Missed() int { return 0 }

// Release lets everything through again.
func (h *Held) Release() error { return nil }

// Hold holds established connections.
func Hold(_ fact.Process, _ Target, _ time.Duration) (*Held, error) { return nil, errElsewhere }

// AbleToHold says why connections cannot be held here.
func AbleToHold() error { return errElsewhere }

// HeldSockets counts the connections that carry a filter.
func HeldSockets(_ fact.Process, _ Target) (int, error) { return 0, errElsewhere }

// ReleaseLeft takes the filters off.
func ReleaseLeft(_ fact.Process, _ Target) (int, error) { return 0, errElsewhere }

// Listening says whether somebody listens on a port.
func Listening(_ int, _ uint16) bool { return false }

// Connections lists the established connections of a process.
func Connections(_ fact.Process, _ uint16) ([]Connection, error) { return nil, errElsewhere }

// Reach connects from another network namespace.
func Reach(_ context.Context, _ string, _ netip.AddrPort) error { return errElsewhere }

// ProbeLinks lists the links that Reach has in a network namespace.
func ProbeLinks(_ string) ([]string, error) { return nil, errElsewhere }

// RemoveProbeLinks removes what ProbeLinks lists.
func RemoveProbeLinks(_ string) error { return errElsewhere }
