// SPDX-License-Identifier: Apache-2.0

package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"perennial.dev/perennial/docs/rights"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/unit"
	"perennial.dev/perennial/internal/workbench"
)

// Revoke takes rights away in the cluster.
const Revoke Verb = "revoke"

const removal = "Removal"

// RemoveOptions say what goes with the agent.
type RemoveOptions struct {
	Options
	Purge bool // the settings, the journal and the backups, too
	Roles bool // the rights in the cluster also where other nodes' agents may need them
}

// PlanRemoval looks at the node and says what taking the agent away takes.
func PlanRemoval(ctx context.Context, o RemoveOptions) (*Installation, error) {
	s, err := open(o.Options)
	if err != nil {
		return nil, err
	}
	defer s.close()
	lookErr := s.look(ctx)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	i := newInstallation(removal, s)
	i.purge = o.Purge
	if err := i.removeUnits(ctx, s); err != nil {
		return nil, err
	}
	if lookErr == nil {
		if err := i.revoke(ctx, s, o.Roles); err != nil {
			return nil, err
		}
	} else {
		i.note("the rights in the cluster are left: %s", lookErr)
	}
	if err := i.removeFile(s, layout.AgentConfig, "the agent's own identity"); err != nil {
		return nil, err
	}
	i.removeTree(s, Requests, "requests for it")
	if err := i.removeTold(ctx, s); err != nil {
		return nil, err
	}
	if err := s.finished(); err != nil && !o.Force {
		return nil, workbench.Hint(fmt.Errorf("removing the agent: %w", err), "finish it with any changing command, such as perennial renew, or add --force")
	}
	if o.Purge {
		i.purgeAll(s)
	} else {
		i.left(s)
	}
	return i, nil
}

func (i *Installation) removeUnits(ctx context.Context, s *site) error {
	var there, enabled, refused []string
	var items []Item
	for _, name := range unit.Names {
		at := path.Join(unit.Dir, name)
		old, _, err := s.files.Read(ctx, at, host.FileLimit)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if !s.Force && unit.OriginOf(old) != unit.Ours {
			refused = append(refused, at)
			continue
		}
		there = append(there, name)
		if name != unit.LookName { // only its timer begins it
			enabled = append(enabled, name)
		}
		items = append(items, Item{Do: Remove, What: fact.Text(at), Why: fact.Text(aboutUnits[name]), before: fact.Digest(old)})
	}
	if len(refused) > 0 {
		return workbench.Hint(fmt.Errorf("removing %s: somebody else has written or edited it", strings.Join(refused, " and ")), "add --force to remove it all the same")
	}
	if len(there) > 0 && s.Running {
		i.add(told("stop", there...))
		if len(enabled) > 0 {
			i.add(told("disable", enabled...))
		}
	}
	i.add(items...)
	if len(there) > 0 && s.Running {
		i.add(told("daemon-reload"), forget(there...))
	}
	i.dropIns(s)
	return nil
}

// dropIns notes what somebody has put beside the units: it is theirs.
func (i *Installation) dropIns(s *site) {
	for _, name := range unit.Names {
		if dir := path.Join(unit.Dir, name+".d"); s.files.IsDir(dir) {
			i.note("%s stays: what is in there is yours", fact.Text(dir))
		}
	}
}

// revoke takes the agents' rights away where this node's is the only agent that
// can need them.
func (i *Installation) revoke(ctx context.Context, s *site, insist bool) error {
	if !s.controlPlane() {
		return nil
	}
	roles, err := kube.Roles(rights.Agent)
	if err != nil {
		return err
	}
	if _, admin := s.admin(); !s.answers() || !admin {
		i.note("the API server does not answer here now; what is left in the cluster goes with: kubectl delete clusterrolebinding,clusterrole perennial:agent; kubectl -n default delete rolebinding,role perennial:agent; kubectl -n kube-system delete rolebinding,role perennial:agent")
		return nil
	}
	if !insist {
		client, err := s.client()
		if err != nil {
			return err
		}
		defer client.Close()
		service, err := client.Endpoints(ctx)
		if err != nil || len(service.Servers) > 1 {
			i.note("the rights in the cluster are left: other control-plane nodes may have an agent, too; --roles removes them")
			return nil
		}
	}
	i.roles = roles
	for _, r := range roles {
		i.add(Item{Do: Revoke, What: fact.Text(r.String())})
	}
	return nil
}

func (i *Installation) removeFile(s *site, name, why string) error {
	digest, err := s.disk.Digest(name)
	if err == nil && digest != "" {
		i.add(Item{Do: Remove, What: fact.Text(name), Why: fact.Text(why), before: digest})
	}
	return err
}

func (i *Installation) removeTree(s *site, name, why string) {
	if s.files.IsDir(name) {
		i.add(Item{Do: Remove, What: fact.Text(name), Why: fact.Text(why), tree: true})
	}
}

// removeTold takes the files away that the agent has kept for others: what they tell
// grows old.
func (i *Installation) removeTold(ctx context.Context, s *site) error {
	for _, file := range []struct{ name, begin, why string }{
		{s.settings.Agent.Textfile, MetricsBegin, "metrics, which nobody writes any more"},
		{s.settings.Agent.Calendar, CalendarBegin, "the calendar, which nobody writes any more"},
	} {
		if file.name == "" || path.Dir(file.name) == unit.Cache {
			continue
		}
		data, _, err := s.files.Read(ctx, file.name, host.FileLimit)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		case strings.HasPrefix(string(data), file.begin):
			i.add(Item{Do: Remove, What: fact.Text(file.name), Why: fact.Text(file.why), before: fact.Digest(data)})
		}
	}
	i.removeTree(s, unit.Cache, "files for others, which nobody writes any more")
	return nil
}

// finished is an error where something was cut off: the agent, and its unit before the
// kubelet, are who finishes it, from the journal and its backups.
func (s *site) finished() error {
	j, err := journal.Open(path.Join(workbench.DefaultState, "journal"), s.disk)
	if err == nil && len(j.Unfinished()) > 0 {
		err = fmt.Errorf("the plan %s was cut off, and has to be finished first", fact.Text(j.Unfinished()[0].ID))
	}
	return err
}

// purgeAll takes away what tells of the past.
func (i *Installation) purgeAll(s *site) {
	i.removeTree(s, workbench.DefaultState, "the journal and the backups, which hold private keys")
	i.removeTree(s, Etc, "the settings, and everything else in there")
}

// left says what stays.
func (i *Installation) left(s *site) {
	for _, name := range []string{Settings, workbench.DefaultState} {
		if s.files.Exists(name) {
			i.note("%s stays; --purge removes it", name)
		}
	}
}
