// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
)

type renewOptions struct {
	changeOptions
	config   string
	all, due bool
	newKey   bool
	fixSANs  bool
	create   bool
	csrDir   string
	validity string
}

func newRenew(s Streams) *cobra.Command {
	o := &renewOptions{}
	cmd := &cobra.Command{
		Use: "renew [NAME...]", GroupID: "keep", Short: "Certificates and kubeconfigs: plan, ask, do, prove",
		Long: `Renews what is due on this node, or what is named (by kubeadm's names), or with
--all everything that can be renewed. Shows the plan and asks. Each file is
backed up, replaced at once or not at all, and proven by what is then on disk,
served and used; only what does not take up the new certificate by itself is
restarted. The journal makes it possible to go on after a crash, and to undo.

Where a CA's key is not on the node, --csr-dir writes a signing request for each
certificate, with the key in use. Once NAME.crt lies beside NAME.csr, the same
command compares its key, names, usages, dates and chain with what was asked
for, and puts it in place. That the old certificate has ended does not matter.`,
		Example: `  sudo perennial renew
  sudo perennial renew --dry-run
  sudo perennial renew apiserver etcd-server
  sudo perennial renew --all --yes
  sudo perennial renew --create scheduler.conf
  sudo perennial renew --csr-dir /root/requests`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args) },
	}
	o.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "settings `file` (default "+DefaultConfig+", if it is there)")
	f.BoolVar(&o.all, "all", false, "everything that can be renewed")
	f.BoolVar(&o.due, "due", false, "what is due (the default)")
	f.BoolVar(&o.newKey, "new-key", false, "with a new private key; the old one stays valid until its end")
	f.BoolVar(&o.fixSANs, "fix-sans", false, "also cover the addresses in use that the old certificate does not")
	f.BoolVar(&o.create, "create", false, "make what is missing, as this cluster's version of kubeadm would")
	f.StringVar(&o.csrDir, "csr-dir", "", "where the CA's key is not on this node: write requests (NAME.csr) into this `directory`, and put signed ones (NAME.crt) from it in place")
	_ = cmd.MarkFlagDirname("csr-dir")
	f.StringVar(&o.validity, "validity", "", "how long the new certificates live, such as 365d (default: as long as the old ones; never longer than their CA)")
	cmd.MarkFlagsMutuallyExclusive("all", "due")
	return cmd
}

func (o *renewOptions) run(ctx context.Context, s Streams, names []string) error {
	if len(names) > 0 && (o.all || o.due) {
		return usageError{errors.New("give names, or --all, or --due")}
	}
	life := time.Duration(0)
	if o.validity != "" {
		var err error
		if life, err = policy.ParseDuration(o.validity); err != nil {
			return usageError{fmt.Errorf("reading --validity: %w", err)}
		}
	}
	p, err := (&lookOptions{config: o.config}).policy(s.Now())
	if err != nil {
		return err
	}
	b, err := o.open(s, o.purpose("renew"))
	if err != nil {
		return err
	}
	defer b.close()
	if !o.dryRun {
		if err := o.finishFirst(ctx, b); err != nil {
			return err
		}
	}
	b.scope.Copies = p.Copies
	if err := o.widen(&b.scope); err != nil {
		return err
	}
	seen, err := b.Look(ctx)
	if err != nil {
		return err
	}
	now := s.Now()
	todo, err := plan.ForRenewal(seen, plan.RenewOptions{
		ID: planID(now), Now: now, Names: names, All: o.all, Policy: p, NewKey: o.newKey, Life: life, AddSAN: o.fixSANs, Create: o.create,
	})
	if err != nil {
		return hinted{err, "perennial check lists the names"}
	}
	return o.propose(ctx, b, todo)
}

// widen adds to the scope what a renewal looks at beyond the cluster's files.
func (o *renewOptions) widen(scope *fact.Scope) error {
	if o.csrDir == "" {
		return nil
	}
	dir, err := filepath.Abs(o.csrDir)
	if err != nil {
		return fmt.Errorf("finding the directory of requests %s: %w", o.csrDir, err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return hinted{fmt.Errorf("opening the directory of requests %s: it is not there, or no directory", dir), "make it: mkdir -m 700 " + dir}
	}
	scope.RequestDir = dir
	return nil
}

// look widens the scope to that of a plan, where its proof has to be looked for.
func (b *bench) look(of journal.Plan) {
	var p plan.Plan
	if json.Unmarshal(of.Content, &p) == nil { // what cannot be read is said by whoever needs it
		b.scope.RequestDir, b.scope.Copies = p.Scope.RequestDir, p.Scope.Copies
	}
}

// purpose is empty for a dry run, which takes no lock.
func (o *changeOptions) purpose(what string) string {
	if o.dryRun {
		return ""
	}
	return what
}

type restartOptions struct {
	changeOptions
	acceptOutage bool
}

// restartable are the components that can be restarted.
var restartable = []string{layout.ControllerManager, layout.Scheduler, layout.Etcd, layout.APIServer, layout.Kubelet}

func newRestart(s Streams) *cobra.Command {
	o := &restartOptions{}
	cmd := &cobra.Command{
		Use: "restart COMPONENT", GroupID: "keep", Short: "A component: in place, proven",
		Long: `Ends the process of a component, after making sure that it is the one that was
looked at, and waits until its supervisor (the kubelet, systemd) has started it
again and it answers. Manifests are not touched. What will be felt is said
before.

etcd is only restarted where the other members keep the quorum, by what they
answer; where it is the only one, with --accept-outage. Its data are saved
beside the journal first.`,
		Args: cobra.ExactArgs(1), ValidArgs: restartable,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args[0]) },
	}
	o.addFlags(cmd)
	cmd.Flags().BoolVar(&o.acceptOutage, "accept-outage", false, "with --yes: restart etcd although the API will answer no writes meanwhile")
	return cmd
}

func (o *restartOptions) run(ctx context.Context, s Streams, name string) error {
	if !slices.Contains(restartable, name) {
		return usageError{fmt.Errorf("restarting %q: want one of %v", name, restartable)}
	}
	b, err := o.open(s, o.purpose("restart "+name))
	if err != nil {
		return err
	}
	defer b.close()
	if !o.dryRun {
		if err := o.finishFirst(ctx, b); err != nil {
			return err
		}
	}
	seen, err := b.Look(ctx)
	if err != nil {
		return err
	}
	if err := plan.AtWork(seen); err != nil {
		return err
	}
	c, ok := seen.Layout.Component(name)
	if !ok || c.Process == nil {
		return hinted{fmt.Errorf("restarting %s: it does not run here", name), "perennial check says what was found"}
	}
	now := s.Now()
	todo := plan.New(planID(now), now, seen)
	step, err := plan.RestartStep(seen, c, "asked for")
	if err != nil {
		return fmt.Errorf("restarting %s: %w", name, err)
	}
	if name == layout.Etcd {
		members, err := o.etcdFirst(ctx, b, seen, todo.ID)
		if err != nil {
			return err
		}
		if members > 1 {
			step.Felt = fmt.Sprintf("nothing: %d other members answer meanwhile", members-1)
		}
	}
	step.Number = 1
	todo.Steps = append(todo.Steps, step)
	return o.propose(ctx, b, todo)
}
