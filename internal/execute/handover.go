// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
)

const (
	// pollEvery is between two looks at a port that is about to be closed, and
	// goAway how long its server then takes to tell its clients to go away:
	// both were measured (k8s.io/apiserver 1.36, 40 to 150 ms and some ms).
	pollEvery = 2 * time.Millisecond
	goAway    = 20 * time.Millisecond
	// beforeClosing is how long before its port closes the connections of an
	// API server are held that first serves on for some time.
	beforeClosing = 200 * time.Millisecond
	// watchEvery is between two looks at what carries the clients over.
	watchEvery = time.Second
	// carryPatience is how long what carries the clients over may take to stand.
	carryPatience = time.Minute
)

// errStands is a step of a handover that cannot be done now, and that must not
// be counted as failed: what serves is to stay as it is.
var errStands = errors.New("the standby keeps serving")

// crossed says whether a step of a handover has gone too far to be taken back:
// the API server was told to end, or the standby was.
func crossed(s plan.Step) bool {
	return s.Bridge != nil && (s.Verb == plan.Restart || s.Bridge.Off)
}

// held says what keeps the API going where a step has not had its effect.
func held(s plan.Step) string {
	if s.Verb == plan.Restart {
		return "The standby keeps serving; find out why the API server does not start (crictl ps -a; /var/log/pods)"
	}
	return "Nothing that serves was touched"
}

// instead says what is there where a standby did not start, and where to look.
func instead(s plan.Step) string {
	if s.Verb != plan.Standby || s.Bridge.Off {
		return ""
	}
	return ". Nothing that serves was touched; find out why it does not start (its image, its flags: journalctl -u kubelet; crictl ps -a --name kube-apiserver)"
}

// pause waits before a step of a handover, where clients need the time.
func (r *Runner) pause(ctx context.Context, s plan.Step) error {
	if s.Bridge == nil || s.Bridge.Wait.Duration == 0 {
		return nil
	}
	wait := s.Bridge.Wait.Duration
	if wait >= 10*time.Second {
		r.tell(s, "", fmt.Sprintf("waiting %s, until watches that are idle have got a bookmark", wait))
	}
	r.last = nil
	return r.Sleep(ctx, wait)
}

// standby is the manifest of the standby, or its absence.
func (r *Runner) standby(ctx context.Context, s plan.Step) ([]content, error) {
	name := s.Bridge.Standby
	if !s.Bridge.Off {
		data, err := r.Hands.Standby(ctx, *s.Bridge)
		return []content{{path: name, data: data}}, err
	}
	there, err := r.Hands.Digest(ctx, name)
	if err != nil || there == "" {
		return nil, err
	}
	data, err := r.Hands.Read(ctx, name)
	if err != nil {
		return nil, err
	}
	if m := layout.ParseManifest(name, fact.Meta{}, data); m.Name != layout.APIServerStandby {
		return nil, fmt.Errorf("removing %s: it is no manifest of a standby", name)
	}
	return []content{{path: name, gone: true, access: &Access{Mode: 0o600}}}, nil
}

// guard puts up the guard, or takes it away: an API server that has just started,
// on a busy node, may not answer the first time.
func (r *Runner) guard(ctx context.Context, s plan.Step) error {
	act := r.Hands.Guard
	if s.Bridge.Off {
		act = r.Hands.Unguard
	}
	for start := r.Now(); ; {
		err := act(ctx, *s.Bridge)
		if err == nil || !s.Bridge.Off || r.Now().Sub(start) > carryPatience {
			return err
		}
		if slept := r.Sleep(ctx, watchEvery); slept != nil {
			return errors.Join(err, slept)
		}
	}
}

// steer leads new connections to the standby, or back; not back to an API server
// that is not ready.
func (r *Runner) steer(ctx context.Context, s plan.Step) error {
	seen, err := r.Eyes.Look(ctx)
	if err != nil {
		return err
	}
	if !s.Bridge.Off {
		standby, ok := seen.Layout.Component(layout.APIServerStandby)
		if !ok || standby.Process == nil {
			return errors.New("steering new connections to the standby: it does not run")
		}
		return r.Hands.Steer(ctx, *s.Bridge, standby.Process.PID)
	}
	if !seen.IsReady(layout.APIServer) && seen.IsReady(layout.APIServerStandby) {
		return fmt.Errorf("steering new connections back: %s is not ready: %w", layout.APIServer, errStands)
	}
	return r.Hands.Unsteer(ctx, *s.Bridge)
}

// exchange ends the API server while the standby serves, and waits until it is
// there again. One that has started meanwhile is not ended.
func (r *Runner) exchange(ctx context.Context, s plan.Step) error {
	seen, err := r.carried(ctx, s)
	if err != nil {
		return err
	}
	main, ok := seen.Layout.Component(s.Stop.Component)
	if !ok || replaced(main, s) || !r.Hands.Listens(s.Stop.PID, s.Bridge.Port) {
		return r.accompany(ctx, s, nil)
	}
	ended := make(chan error, 1)
	end := sync.OnceFunc(func() { go func() { ended <- r.Hands.Stop(ctx, *s.Stop) }() })
	if delay := s.Stop.Delay.Duration; delay > beforeClosing {
		end()
		if err := r.Sleep(ctx, delay-beforeClosing); err != nil {
			return errors.Join(err, <-ended)
		}
	}
	release := func() error { return nil }
	if s.Bridge.Hold {
		count, free, err := r.Hands.Hold(ctx, *s.Bridge, s.Stop.PID, s.Bridge.Port)
		if err == nil {
			release = free
			r.tell(s, "", fmt.Sprintf("holding %d kept connections for a moment", count))
		} else {
			r.tell(s, "", "going on without holding the kept connections: "+err.Error())
		}
	}
	end()
	err = r.untilClosed(ctx, s.Stop.PID, s.Bridge.Port, ended)
	if err = errors.Join(err, release()); err != nil {
		return errors.Join(err, <-ended)
	}
	return r.accompany(ctx, s, ended)
}

// replaced says whether another process than the one to end runs.
func replaced(main layout.Component, s plan.Step) bool {
	return main.Process == nil || !main.Process.Same(s.Stop.Process())
}

// untilClosed waits until a process accepts no connections any more and has told
// its clients, or could not be told to end.
func (r *Runner) untilClosed(ctx context.Context, pid, port int, ended chan error) error {
	for waited := time.Duration(0); waited < plan.HoldLimit; waited += pollEvery {
		select {
		case err := <-ended:
			ended <- err // for whoever waits for the end
			return nil
		default:
		}
		if !r.Hands.Listens(pid, port) {
			return r.Sleep(ctx, goAway)
		}
		if err := r.Sleep(ctx, pollEvery); err != nil {
			return err
		}
	}
	return nil
}

// carried makes sure, just before the API server is ended, that everything
// stands that carries its clients over; what does not is put up again.
func (r *Runner) carried(ctx context.Context, s plan.Step) (plan.Seen, error) {
	start := r.Now()
	for {
		seen, err := r.Eyes.Look(ctx)
		if err != nil {
			return seen, err
		}
		if main, ok := seen.Layout.Component(s.Stop.Component); ok && replaced(main, s) {
			return seen, nil
		}
		missing, err := r.carry(ctx, s, seen)
		switch {
		case err != nil:
			return seen, err
		case missing == "":
			return seen, nil
		case r.Now().Sub(start) > carryPatience:
			return seen, fmt.Errorf("%s was not touched: %s", s.Stop.Component, missing)
		}
		if err := r.Sleep(ctx, watchEvery); err != nil {
			return seen, err
		}
	}
}

// carry puts up again what is missing, and says what that was. While the standby
// is missing, connections go to the API server if that is ready: the kernel sees
// to it only where a standby that is steered to by sk_lookup has died.
func (r *Runner) carry(ctx context.Context, s plan.Step, seen plan.Seen) (missing string, err error) {
	standby, ok := seen.Layout.Component(layout.APIServerStandby)
	if ok = ok && standby.Process != nil; !ok {
		missing = "the standby does not run"
	} else if !seen.IsReady(layout.APIServerStandby) {
		missing = "the standby is not ready"
	}
	if missing != "" && seen.IsReady(s.Stop.Component) {
		return missing, r.Hands.Unsteer(ctx, *s.Bridge)
	}
	if missing != "" {
		return missing, nil
	}
	if answer, why := (plan.Expect{Predicate: plan.Guarded}).Holds(seen); answer == plan.No && s.Bridge.Guard != plan.GuardNone {
		return why, r.Hands.Guard(ctx, *s.Bridge)
	}
	for _, e := range seen.Layout.Reached {
		if answer, why := (plan.Expect{Predicate: plan.Reaches, Endpoint: e, Component: layout.APIServerStandby}).Holds(seen); answer != plan.Yes {
			return why, r.Hands.Steer(ctx, *s.Bridge, standby.Process.PID)
		}
	}
	return "", nil
}

// accompany waits for the API server to be there again, and meanwhile sees to it
// that the standby is reached: one that has died and started again is not, by
// itself.
func (r *Runner) accompany(ctx context.Context, s plan.Step, ended chan error) error {
	start, told := r.Now(), ""
	for {
		select {
		case err := <-ended:
			if ended = nil; err != nil && !errors.Is(err, ErrGone) {
				return err
			}
		default:
		}
		seen, err := r.Eyes.Look(ctx)
		if err != nil {
			return err
		}
		main, ok := seen.Layout.Component(s.Stop.Component)
		again := ok && main.Process != nil && replaced(main, s) && seen.IsReady(s.Stop.Component)
		late := r.Now().Sub(start) > r.longest(s)+s.Stop.Grace.Duration
		switch {
		case again && (ended == nil || late):
			return nil
		case late: // the proof would wait as long again, and not look after the standby
			return fmt.Errorf("%s has not come back, and %w; find out why it does not start (crictl ps -a --name %s; /var/log/pods)", s.Stop.Component, errStands, s.Stop.Component)
		}
		if !again {
			missing, err := r.carry(ctx, s, seen)
			if err != nil {
				missing = err.Error()
			}
			if missing != "" && missing != told {
				r.tell(s, "", "while the API server is away: "+missing)
			}
			told = missing
		}
		if err := r.Sleep(ctx, watchEvery); err != nil {
			return err
		}
	}
}

// drain ends the standby: its connections are held until its port is closed,
// as the API server's were.
func (r *Runner) drain(ctx context.Context, s plan.Step, changes []journal.File) error {
	seen, err := r.Eyes.Look(ctx)
	if err != nil {
		return err
	}
	standby, ok := seen.Layout.Component(layout.APIServerStandby)
	if !ok || standby.Process == nil || !s.Bridge.Hold || !r.Hands.Listens(standby.Process.PID, s.Bridge.StandbyPort) {
		return r.place(ctx, changes)
	}
	port := s.Bridge.Port // its connections have the port to which they were made
	if s.Bridge.Way == plan.ByNAT {
		port = s.Bridge.StandbyPort
	}
	_, release, err := r.Hands.Hold(ctx, *s.Bridge, standby.Process.PID, port)
	if err != nil {
		r.tell(s, "", "going on without holding the kept connections: "+err.Error())
		return r.place(ctx, changes)
	}
	err = r.place(ctx, changes)
	if err == nil {
		err = r.untilClosed(ctx, standby.Process.PID, s.Bridge.StandbyPort, make(chan error))
	}
	return errors.Join(err, release())
}
