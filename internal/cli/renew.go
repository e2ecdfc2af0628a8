// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/workbench"
)

type renewOptions struct {
	changeOptions
	config   string
	all, due bool
	newKey   bool
	fixSANs  bool
	create   bool
	csrDir   string

	acceptOutage bool
	validity     string
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
  sudo mkdir -m 700 /root/requests && sudo perennial renew --csr-dir /root/requests`,
		ValidArgsFunction: o.completeNames(s),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args) },
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
	f.BoolVar(&o.acceptOutage, "accept-outage", false, "with --yes: go on where the API server must be restarted and no handover is possible")
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
	b, err := o.begin(ctx, s, "renew")
	if err != nil {
		return err
	}
	defer b.Close()
	b.Scope.Copies = p.Copies
	if err := o.widen(&b.Scope); err != nil {
		return err
	}
	seen, err := b.look(ctx)
	if err != nil {
		return err
	}
	now := s.Now()
	todo, err := plan.ForRenewal(seen, plan.RenewOptions{
		ID: workbench.PlanID(now), Now: now, Names: names, All: o.all, Policy: p, NewKey: o.newKey, Life: life, AddSAN: o.fixSANs, Create: o.create,
	})
	if err != nil {
		return hinted{err, "perennial check lists the names"}
	}
	replacing := workbench.Replacing{AcceptOutage: o.acceptOutage, Patience: workbench.DefaultPatience}
	if err := b.WithoutDowntime(ctx, seen, replacing, &todo); err != nil {
		return err
	}
	if o.yes && !o.dryRun {
		if err := replacing.Outage(todo); err != nil {
			return err
		}
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
