// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"crypto/rand"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/install"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/report"
	"perennial.dev/perennial/internal/unit"
)

// siteOptions are those of putting the agent on a node and of taking it away.
type siteOptions struct {
	root, kubernetesDir, program, output string
	timer, noSystemd                     bool
	purge, roles                         bool
	dryRun, yes, force                   bool
}

func newAgentInstall(s Streams) *cobra.Command {
	o := &siteOptions{}
	cmd := &cobra.Command{
		Use: "install", Short: "Put the agent on this node: identity, rights, settings, units",
		Long: `Shows what it will do, asks, and does it: settings in ` + install.Settings + `,
with which the agent only looks until agent.act is true in them; an identity of
its own (` + layout.AgentConfig + `), signed by the cluster's CA, with rights
that name what an agent asks the API for and nothing else; and systemd units that
grant what the agent's features need and nothing else. What is there and as it
should be is kept, so that it can be run again at any time.

The program itself is not copied: it has to lie where only root can replace it,
at ` + install.Program + ` or where --program says.`,
		Example: `  sudo perennial agent install --dry-run
  sudo perennial agent install
  sudo perennial agent install --timer
  sudo perennial agent install --no-systemd`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.install(cmd.Context(), s) },
	}
	o.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.program, "program", install.Program, "the program's `file` on the node")
	f.BoolVar(&o.timer, "timer", false, "no daemon: a timer begins each look")
	f.BoolVar(&o.noSystemd, "no-systemd", false, "write no units, and say what has to run in their place")
	f.BoolVar(&o.force, "force", false, "replace units that somebody else has written or edited")
	_ = cmd.MarkFlagFilename("program")
	return cmd
}

func newAgentUninstall(s Streams) *cobra.Command {
	o := &siteOptions{}
	cmd := &cobra.Command{
		Use: "uninstall", Short: "Take the agent away from this node",
		Long: `Stops the agent and removes its units, its identity, the files that it keeps for
others (metrics, a calendar) and, where this node's API server is the only one, its
rights in the cluster. The settings stay, and so do the journal and the backups, with
which changes can be undone: --purge removes them. What was cut off has to be finished
first, since the agent is who does it.`,
		Example: `  sudo perennial agent uninstall
  sudo perennial agent uninstall --purge`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.uninstall(cmd.Context(), s) },
	}
	o.addFlags(cmd)
	f := cmd.Flags()
	f.BoolVar(&o.purge, "purge", false, "also the settings, the journal and the backups")
	f.BoolVar(&o.roles, "roles", false, "also the rights that agents on other nodes may need")
	f.BoolVar(&o.force, "force", false, "also units that somebody else has written or edited, and an unfinished journal")
	return cmd
}

func (o *siteOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.root, "root", "/", "the file system below this `directory`, such as a machine's image; nothing is started, and no API server is asked")
	f.StringVar(&o.kubernetesDir, "kubernetes-dir", layout.DefaultKubernetesDir, "kubeadm's `directory` on the node")
	f.StringVarP(&o.output, "output", "o", "table", "`format` of the list: table, json, yaml (with the files' content)")
	f.BoolVar(&o.dryRun, "dry-run", false, "show the list and stop")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask; needed where there is no terminal")
	_ = cmd.MarkFlagDirname("root")
	_ = cmd.MarkFlagDirname("kubernetes-dir")
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
}

func (o *siteOptions) options(s Streams) (install.Options, error) {
	root, err := filepath.Abs(o.root)
	if err != nil {
		return install.Options{}, fmt.Errorf("finding the root %s: %w", o.root, err)
	}
	form := unit.Daemon
	if o.timer {
		form = unit.Timer
	}
	running := root == "/" && host.Booted()
	return install.Options{
		Root: root, KubernetesDir: o.kubernetesDir, Program: o.program, Form: form, Systemd: !o.noSystemd && (running || root != "/"), Running: running,
		Force: o.force, Version: Version, Now: s.Now, Rand: rand.Reader,
	}, nil
}

func (o *siteOptions) install(ctx context.Context, s Streams) error {
	at, err := o.options(s)
	if err != nil {
		return err
	}
	todo, err := install.Plan(ctx, at)
	if err != nil {
		return err
	}
	if done, err := o.propose(ctx, s, at, todo); !done || err != nil {
		return err
	}
	fmt.Fprintln(s.Err, "\nThe agent is installed. perennial agent status tells what it will do next; it acts once agent.act is true in "+install.Settings)
	return nil
}

func (o *siteOptions) uninstall(ctx context.Context, s Streams) error {
	at, err := o.options(s)
	if err != nil {
		return err
	}
	todo, err := install.PlanRemoval(ctx, install.RemoveOptions{Options: at, Purge: o.purge, Roles: o.roles})
	if err != nil {
		return err
	}
	if done, err := o.propose(ctx, s, at, todo); !done || err != nil {
		return err
	}
	fmt.Fprintln(s.Err, "\nThe agent is gone.")
	return nil
}

// propose shows what will be done, asks, and does it.
func (o *siteOptions) propose(ctx context.Context, s Streams, at install.Options, todo *install.Installation) (done bool, err error) {
	format, err := report.ParseFormat(o.output, report.Documents...)
	if err != nil {
		return false, usageError{err}
	}
	err = report.Document(s.Out, format, todo, todo.Write)
	if err != nil || o.dryRun || !todo.Changes() {
		return false, err
	}
	if !o.yes {
		if err := ask(ctx, s); err != nil {
			return false, err
		}
	}
	err = todo.Do(ctx, at, func(i install.Item) { fmt.Fprintf(s.Err, "%s %s\n", i.Do, i.What) })
	return err == nil, err
}
