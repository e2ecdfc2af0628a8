// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"fmt"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/wire"
)

var ports = perWant{name: "wire", atOnce: 64, look: lookPort}

func lookPort(ctx context.Context, s Scope, w layout.Want, out *found) {
	timeout := s.Timeouts.Outside
	if w.Local {
		timeout = s.Timeouts.Local
	}
	switch w.Verb {
	case layout.LookHandshake:
		served, err := wire.Handshake(ctx, w.Endpoint, w.SNI, timeout)
		if err != nil {
			out.fail(wire.Why(err), wire.Cause(err), "")
			return
		}
		out.add(served)
	case layout.LookVersion:
		version, err := wire.GetVersion(ctx, w.Endpoint, timeout)
		if err != nil {
			out.fail(wire.Why(err), wire.Cause(err), "")
			return
		}
		out.add(version)
	case layout.LookReady:
		ready, err := wire.GetReady(ctx, w.Endpoint, w.Inside, timeout)
		if err != nil {
			out.fail(wire.Why(err), wire.Cause(err), "")
			return
		}
		out.add(ready)
	case layout.LookFleet:
		lookFleet(ctx, w, timeout, out)
	}
}

func lookFleet(ctx context.Context, w layout.Want, timeout time.Duration, out *found) {
	// Two dials in a row may hang at a dead server behind a balancer and
	// still leave no one waiting longer than for a single look.
	fleet, err := wire.FindFleet(ctx, w.Endpoint, w.SNI, wire.FleetLimits{Dial: timeout / 2, Total: timeout})
	if err != nil {
		out.fail(wire.Why(err), wire.Cause(err), "")
		return
	}
	for _, a := range fleet.Loopback {
		out.add(a.Served)
	}
	for _, a := range fleet.Serving {
		out.add(a.Served)
	}
	if fleet.Failed > 0 {
		detail := fmt.Sprintf("%d of %d connections failed: %s", fleet.Failed, fleet.Dials, wire.Cause(fleet.Err))
		out.fail(wire.Why(fleet.Err), fact.Text(detail), "")
	}
	if !fleet.Settled {
		out.fail(fact.Timeout, "new API servers still appeared when the time was over, so there may be more", "")
	}
}
