// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/unit"
	"perennial.dev/perennial/internal/workbench"
)

// Do does an installation or a removal in the order of its items. What the API
// refuses does not stop the rest; that comes as an error at the end.
func (i *Installation) Do(ctx context.Context, o Options, tell func(Item)) error {
	if os.Geteuid() != 0 {
		return workbench.Hint(errors.New("installing the agent: only root can"), "run it with sudo")
	}
	s, err := open(o)
	if err != nil {
		return err
	}
	defer s.close()
	if err := s.look(ctx); err != nil && i.Kind != removal { // what is to go may be broken
		return err
	}
	lock, err := host.AcquireLock(s.lockPath(), "agent "+map[bool]string{true: "uninstall", false: "install"}[i.Kind == removal], s.Now())
	if err != nil {
		return err
	}
	defer func() { _ = lock.Release() }()
	var later error
	granted := false
	for _, item := range i.Items {
		if err := ctx.Err(); err != nil {
			return err
		}
		if item.Do == Keep || item.Do == Later {
			continue
		}
		tell(item)
		switch {
		case item.Do == Apply && !granted:
			granted = true
			later = errors.Join(later, i.rights(ctx, s, (*kube.Client).Grant))
		case item.Do == Apply:
		case item.Do == Revoke && !granted:
			granted = true
			later = errors.Join(later, i.rights(ctx, s, (*kube.Client).Revoke))
		case item.Do == Revoke:
		default:
			if err := i.one(ctx, s, item); err != nil {
				return errors.Join(err, later)
			}
		}
	}
	if i.purge { // while the lock is held, so that nobody holds one of the same name
		later = errors.Join(later, s.disk.RemoveTree(path.Dir(workbench.DefaultLock)))
	}
	if later != nil {
		return workbench.Hint(later, "everything else was done; run it again when the API server answers")
	}
	return nil
}

// one does an item that concerns this node alone.
func (i *Installation) one(ctx context.Context, s *site, item Item) error {
	name := string(item.What)
	switch item.Do {
	case Make:
		return i.make(ctx, s)
	case Write:
		if err := s.disk.MakeShared(path.Dir(name)); err != nil {
			return err
		}
		as := host.Access{Mode: 0o644}
		if item.before == "" {
			return s.disk.WriteNew(name, []byte(item.Content), as)
		}
		return s.disk.Restore(name, []byte(item.Content), item.before, as)
	case Remove:
		return i.remove(s, item)
	case Run:
		if err := host.Systemctl(ctx, item.args...); err != nil && !item.mayFail {
			return err
		}
		return ctx.Err()
	}
	return fmt.Errorf("%q is nothing that is done here", item.Do)
}

// make does the plan that makes the agent's kubeconfig, or its request, in the
// journal like any other change.
func (i *Installation) make(ctx context.Context, s *site) error {
	if err := s.disk.MakeShared(Etc); err != nil {
		return err
	}
	if i.identity.Steps[0].Verb == plan.Request {
		if err := s.disk.MakeDir(Requests); err != nil {
			return err
		}
	}
	if err := s.disk.MakeDir(workbench.DefaultState); err != nil {
		return err
	}
	j, err := journal.Open(path.Join(workbench.DefaultState, "journal"), s.disk)
	if err != nil {
		return err
	}
	if cut := j.Unfinished(); len(cut) > 0 {
		return workbench.Hint(fmt.Errorf("making the agent's identity: the plan %s was cut off", cut[0].ID), "any changing command finishes it first, such as: perennial renew")
	}
	r := &execute.Runner{
		Hands: execute.Machine{Disk: s.disk}, Eyes: s, Journal: j, State: workbench.DefaultState, Rand: s.Rand, Now: s.Now,
		Sleep: workbench.Sleep, Patience: execute.DefaultPatience,
	}
	_, err = r.Run(ctx, *i.identity)
	return err
}

func (i *Installation) rights(ctx context.Context, s *site, do func(*kube.Client, context.Context, []kube.Role) error) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	defer client.Close()
	return do(client, ctx, i.roles)
}

func (i *Installation) remove(s *site, item Item) error {
	name := string(item.What)
	switch {
	case item.tree:
		return s.disk.RemoveTree(name)
	case path.Dir(name) == unit.Dir && !s.Running: // else systemctl has removed them
		if err := s.unlinkWants(path.Base(name)); err != nil {
			return err
		}
	}
	return s.disk.Remove(name, item.before)
}

// unlinkWants removes the links by which a unit is enabled.
func (s *site) unlinkWants(name string) error {
	var errs []error
	for _, wants := range []string{"multi-user.target.wants", "timers.target.wants"} {
		errs = append(errs, s.disk.RemoveLink(path.Join(unit.Dir, wants, name)))
	}
	return errors.Join(errs...)
}
