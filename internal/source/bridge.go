// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strconv"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/steer"
)

// SteeringDir is the directory below which a handover pins its program.
const SteeringDir = steer.Root + "/perennial"

var bridge = perWant{name: "bridge", atOnce: 8, look: lookBridge}

func lookBridge(ctx context.Context, s Scope, w layout.Want, out *found) {
	switch w.Verb {
	case layout.LookGuard:
		lookGuard(ctx, s, w, out)
	case layout.LookLease:
		lookLease(ctx, s, w, out)
	case layout.LookSteering:
		lookSteering(out)
	case layout.LookHeld:
		lookHeld(w, out)
	}
}

// lookSteering sees what only root can put up; for others there is no reason to
// believe that there is any.
func lookSteering(out *found) {
	if os.Geteuid() != 0 {
		return
	}
	all, err := steer.Leftovers(SteeringDir)
	if err != nil && !elsewhere(err) {
		out.failAt("the steering of new connections", steeringWhy(err), cause(err), "")
	}
	for _, l := range all {
		state, err := l.State()
		if err != nil {
			out.failAt(fact.Text(l.Dir), steeringWhy(err), cause(err), "")
			continue
		}
		out.add(steering("sk_lookup", l.Dir, state))
	}
	switch state, err := (steer.NAT{}).State(); {
	case err != nil && !elsewhere(err):
		out.failAt("the steering of new connections by nftables", steeringWhy(err), cause(err), "")
	case err == nil && state.Stage != steer.Nothing:
		out.add(steering("nftables", steer.NATTable, state))
	}
}

// steeringWhy is the class of a failure: capabilities that are missing are rights,
// too.
func steeringWhy(err error) fact.Why {
	if errors.Is(err, steer.ErrRights) {
		return fact.Denied
	}
	return host.Why(err)
}

func steering(way, place string, s steer.State) fact.Steering {
	f := fact.Steering{Way: way, Place: place, On: s.Stage == steer.Steering, Port: int(s.Target.Port)}
	for _, a := range s.Target.Addresses {
		f.Addresses = append(f.Addresses, a.String())
	}
	return f
}

func lookHeld(w layout.Want, out *found) {
	port, err := strconv.ParseUint(w.Endpoint, 10, 16)
	if os.Geteuid() != 0 || err != nil {
		return
	}
	n, err := steer.HeldSockets(fact.Process{PID: w.PID}, steer.Target{Port: uint16(port)})
	switch {
	case errors.Is(err, steer.ErrAnother) || elsewhere(err): // it has ended
	case err != nil:
		out.failAt(fact.Text("connections of process "+strconv.Itoa(w.PID)), steeringWhy(err), cause(err), "")
	case n > 0:
		out.add(fact.Held{PID: w.PID, Sockets: n})
	}
}

// elsewhere says whether there is nothing of the kind on this machine.
func elsewhere(err error) bool {
	return errors.Is(err, errors.ErrUnsupported) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, steer.ErrKernel)
}

// lookGuard asks the API server as the node's administrator. Only while a standby
// is there is there reason to believe in a guard that cannot be looked at. Where a guard is
// there, it is tried by requests that change nothing.
func lookGuard(ctx context.Context, s Scope, w layout.Want, out *found) {
	ctx, cancel := context.WithTimeout(ctx, 2*s.Timeouts.Local)
	defer cancel()
	client, err := administer(ctx, s, w)
	if err != nil {
		return // that the file cannot be read is said where it is looked at
	}
	defer client.Close()
	guard, err := client.GuardState(ctx)
	if err != nil && w.Required {
		out.failAt("the guard of the service kubernetes", host.Why(err), cause(err), "")
	}
	if err != nil {
		return
	}
	f := fact.Guard{Way: "policy", Place: kube.GuardName, Present: guard.Presence == kube.Present}
	f.Active = f.Present && guard.Whole && client.GuardProven(ctx) == nil
	out.add(f)
}

// administer reaches an API server as the node's administrator.
func administer(ctx context.Context, s Scope, w layout.Want) (*kube.Client, error) {
	if s.FS == nil {
		return nil, fs.ErrNotExist
	}
	read := func(name string) ([]byte, error) {
		data, _, err := s.FS.Read(ctx, name, s.Limits.File)
		return data, err
	}
	return kube.OpenFile(w.Endpoint, w.Path, read, "")
}

// lookLease asks who leads. Where that cannot be had, a proof does without.
func lookLease(ctx context.Context, s Scope, w layout.Want, out *found) {
	ctx, cancel := context.WithTimeout(ctx, 2*s.Timeouts.Local)
	defer cancel()
	client, err := administer(ctx, s, w)
	if err != nil {
		return
	}
	defer client.Close()
	if lease, err := client.Lease(ctx, w.Inside); err == nil {
		out.add(lease)
	}
}
