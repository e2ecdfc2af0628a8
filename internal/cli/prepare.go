// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/prepare"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/workload"
)

// prepareOptions are those of every preparation: which cluster, as whom, and
// where the journal of such plans is.
type prepareOptions struct {
	changeOptions
	context, kubeconfig string
	// where is the journal's directory; empty: the person's own.
	where string
	to    string
}

func newPrepare(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "prepare", GroupID: "ready", Short: "Pod Security, CronJobs, volumes, before an upgrade",
		Long: `Does to the objects of a cluster what an upgrade calls for, while it is still
easy: as you, with the kubeconfig that kubectl would use, or --context and
--kubeconfig. It shows a plan, asks, does it, and proves it by reading the
objects again. What was done is in the history, and undo takes it back where
nobody has changed it since.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPreparePodSecurity(s), newPrepareCronJobs(s), newPrepareVolumes(s))
	return cmd
}

func (o *prepareOptions) addCluster(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.context, "context", "", "the `context` of the kubeconfig (default: the current one)")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "the kubeconfig `file` (default: as kubectl)")
	_ = cmd.MarkFlagFilename("kubeconfig")
	_ = cmd.RegisterFlagCompletionFunc("context", cobra.NoFileCompletions)
}

func (o *prepareOptions) addChange(cmd *cobra.Command) {
	o.addCluster(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "table", "`format` of the plan: table, json, yaml")
	f.BoolVar(&o.dryRun, "dry-run", false, "show the plan and stop")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask; needed where there is no terminal")
	f.BoolVar(&o.noColor, "no-color", false, "no colours, as with NO_COLOR")
	f.StringVar(&o.where, "state", "", "`directory` of the journal (default $XDG_STATE_HOME/perennial, or ~/.local/state/perennial)")
	_ = cmd.MarkFlagDirname("state")
}

func (o *prepareOptions) addTo(cmd *cobra.Command, help string) {
	cmd.Flags().StringVar(&o.to, "to", "", help)
	_ = cmd.RegisterFlagCompletionFunc("to", completeMinors)
}

// at is the cluster. A file is named by its whole path, since whoever finishes
// or undoes the plan may stand elsewhere.
func (o *prepareOptions) at() (kube.Context, error) {
	c := kube.Context{Kubeconfig: o.kubeconfig, Name: o.context}
	if c.Kubeconfig == "" {
		return c, nil
	}
	var err error
	c.Kubeconfig, err = filepath.Abs(c.Kubeconfig)
	return c, err
}

// knowledge reads the rules and what --to says.
func (o *prepareOptions) knowledge() (knowledge, release.Minor, error) {
	cal, err := release.Load()
	if err != nil {
		return knowledge{}, 0, err
	}
	set, err := loadRules(nil)
	k := knowledge{cal, set}
	if err != nil || o.to == "" {
		return k, 0, err
	}
	to, err := k.minor("--to", o.to)
	return k, to, err
}

// clusterState is where the journal of cluster plans lies.
func clusterState(s Streams, dir string) (string, error) {
	switch {
	case dir != "":
	case s.Getenv("XDG_STATE_HOME") != "":
		dir = filepath.Join(s.Getenv("XDG_STATE_HOME"), "perennial")
	case s.Getenv("HOME") != "":
		dir = filepath.Join(s.Getenv("HOME"), ".local", "state", "perennial")
	default:
		return "", errors.New("finding the directory of the journal: neither XDG_STATE_HOME nor HOME is set; name one with --state")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("finding the directory %s: %w", dir, err)
	}
	return dir, nil
}

// clusterBench is what changes objects of clusters, for a command.
type clusterBench struct {
	*prepare.Bench
	streams Streams
}

func (o *prepareOptions) open(s Streams, purpose string) (*clusterBench, error) {
	dir, err := clusterState(s, o.where)
	if err != nil {
		return nil, err
	}
	b, err := prepare.Open(prepare.Options{State: dir, Purpose: purpose, Version: version(), Now: s.Now, Plugins: pluginPolicy(s)})
	if err != nil {
		return nil, err
	}
	return &clusterBench{b, s}, nil
}

// begin opens the journal and finishes what was cut off in the same cluster. A
// dry run takes no lock and finishes nothing.
func (o *prepareOptions) begin(ctx context.Context, s Streams, purpose string, at kube.Context) (*clusterBench, error) {
	if o.dryRun {
		return o.open(s, "")
	}
	if !o.yes && !onTerminal(s) {
		return nil, noTerminal()
	}
	b, err := o.open(s, purpose)
	if err != nil {
		return nil, err
	}
	if err := b.finishFirst(ctx, at); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

func (b *clusterBench) finishFirst(ctx context.Context, at kube.Context) error {
	here, elsewhere, err := b.Unfinished(ctx, at)
	if err != nil {
		return err
	}
	for _, p := range elsewhere {
		complain(b.streams, "", fmt.Sprintf("the plan %s was cut off in the cluster of %s: what is prepared there next finishes it", p.ID, p.Cluster.Server))
	}
	return b.teller().finish(ctx, here, b.Finish)
}

// teller tells of plans as on a node.
func (b *clusterBench) teller() *teller { return &teller{b.streams, b.undoable, &progress{}} }

func (b *clusterBench) undoable(id string) bool {
	_, _, err := b.Find(id)
	return err == nil
}

// propose shows a plan, asks, and does it.
func (o *prepareOptions) propose(ctx context.Context, b *clusterBench, p plan.Plan) error {
	if todo, err := o.show(b.streams, p); err != nil || !todo {
		return err
	}
	if err := o.agreed(ctx, b.streams); err != nil {
		return err
	}
	return b.teller().run(ctx, func(tell func(execute.Event)) (execute.Outcome, error) { return b.Do(ctx, p, tell) })
}

type podSecurityOptions struct {
	prepareOptions
	pin, level, patches string
}

func newPreparePodSecurity(s Streams) *cobra.Command {
	o := &podSecurityOptions{}
	cmd := &cobra.Command{
		Use: "podsecurity [NAMESPACE...]", Short: "Labels each namespace with the strictest level that passes",
		Long: `Finds for each namespace the strictest Pod Security level that all that runs in
it passes, now and on every minor up to --to, by Kubernetes' own evaluator and
by a dry run of the API server itself, and plans the labels: audit and warn
first, and enforce only after the API server's dry run of it finds nothing.

Without names it plans all namespaces that enforce nothing yet, but for
Kubernetes' own.

Where PodSecurityPolicies are still served it also says which of them admitted
which pods, what they put into those that the templates do not say, with the
patch by which the template says it itself, and what they allow that no pod
needs.`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args) },
	}
	o.addChange(cmd)
	o.addTo(cmd, "pass on every minor up to this Kubernetes `VERSION` (default: what runs)")
	f := cmd.Flags()
	f.StringVar(&o.pin, "pin", "", "the `version` of the checks that the labels name: v1.25, or latest (default: that of --to)")
	f.StringVar(&o.level, "level", "", "audit and warn this `level`: baseline, restricted (default: the one that passes, and baseline at least)")
	f.StringVar(&o.patches, "patches", "", "write the patches of templates into this `directory`, instead of into the commands")
	_ = cmd.MarkFlagDirname("patches")
	return cmd
}

func (o *podSecurityOptions) run(ctx context.Context, s Streams, names []string) error {
	k, to, err := o.knowledge()
	if err != nil {
		return err
	}
	at, err := o.at()
	if err != nil {
		return err
	}
	what := prepare.PodSecurity{At: at, Rules: k.rules, To: to, Level: o.level, Named: names}
	if o.pin != "" && o.pin != "latest" {
		m, err := k.minor("--pin", o.pin)
		if err != nil {
			return err
		}
		o.pin = "v" + m.String()
	}
	what.Pin = o.pin
	if o.level != "" && !workload.IsLevel(o.level) {
		return usageError{fmt.Errorf("reading --level: %q is no level: privileged, baseline, restricted", fact.Text(o.level))}
	}
	if o.patches != "" {
		if what.Patches, err = prepare.NewFolder(o.patches); err != nil {
			return err
		}
	}
	b, err := o.begin(ctx, s, "prepare podsecurity", at)
	if err != nil {
		return err
	}
	defer b.Close()
	p, err := b.PlanPodSecurity(ctx, what)
	if err != nil {
		return err
	}
	return o.propose(ctx, b, p)
}

type cronJobsOptions struct {
	prepareOptions
	controller, zone string
}

func newPrepareCronJobs(s Streams) *cobra.Command {
	o := &cronJobsOptions{}
	cmd := &cobra.Command{
		Use: "cronjobs [NAMESPACE/NAME...]", Short: "Gives each CronJob an explicit time zone",
		Long: `Plans spec.timeZone for CronJobs that have none, so that they no longer depend
on the time zone of whichever controller manager leads, and moves TZ= and
CRON_TZ= out of schedules, which API servers refuse to create since 1.29. The
next runs before and after are shown, and those around the next two changes of
the clocks, as the controller manager reckons them.

Its time zone is found out by its pods in kube-system, and held against when it
started jobs; else it has to be said with --controller-zone.`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args) },
	}
	o.addChange(cmd)
	f := cmd.Flags()
	f.StringVar(&o.controller, "controller-zone", "", "the time `zone` of the controller manager (default: by its pods)")
	f.StringVar(&o.zone, "zone", "", "the time `zone` for jobs without any (default: the controller manager's, so that they run when they did)")
	return cmd
}

func (o *cronJobsOptions) run(ctx context.Context, s Streams, names []string) error {
	at, err := o.at()
	if err != nil {
		return err
	}
	for _, f := range []struct{ flag, zone string }{{"--zone", o.zone}, {"--controller-zone", o.controller}} {
		if f.zone == "" {
			continue
		}
		if _, err := workload.LoadZone(f.zone); err != nil {
			return usageError{fmt.Errorf("reading %s: %w", f.flag, err)}
		}
	}
	for _, name := range names {
		if strings.Count(name, "/") != 1 {
			return usageError{fmt.Errorf("reading %q: want NAMESPACE/NAME", fact.Text(name))}
		}
	}
	b, err := o.begin(ctx, s, "prepare cronjobs", at)
	if err != nil {
		return err
	}
	defer b.Close()
	p, err := b.PlanCronJobs(ctx, prepare.CronJobs{At: at, Controller: o.controller, Zone: o.zone, Named: names})
	if err != nil {
		return err
	}
	return o.propose(ctx, b, p)
}

func newPrepareVolumes(s Streams) *cobra.Command {
	o := &prepareOptions{}
	cmd := &cobra.Command{
		Use: "volumes DIRECTORY", Short: "Writes what in-tree volumes are translated to, and the order of work",
		Long: `Writes into a new directory, for every volume, storage class and volume inside of
a pod that a kubelet mounted by code of its own, the object that says the same
for a CSI driver, by Kubernetes' own library, and ORDER.md: what to do in which
order, with what nothing translates. Nothing in the cluster is changed.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.volumes(cmd.Context(), s, args[0]) },
	}
	o.addCluster(cmd)
	o.addTo(cmd, "the Kubernetes `VERSION` to prepare for (default: the newest that is known)")
	return cmd
}

func (o *prepareOptions) volumes(ctx context.Context, s Streams, dir string) error {
	k, to, err := o.knowledge()
	if err != nil {
		return err
	}
	at, err := o.at()
	if err != nil {
		return err
	}
	at.Plugins = pluginPolicy(s)
	into, err := prepare.NewFolder(dir)
	if err != nil {
		return err
	}
	w, err := prepare.WriteVolumes(ctx, prepare.Volumes{At: at, Rules: k.rules, To: to, Version: version(), Into: into})
	if err != nil {
		return err
	}
	if w.Found == 0 {
		fmt.Fprintf(s.Out, "%s has no in-tree volumes: nothing was written.\n", fact.Text(w.Server))
		return nil
	}
	fmt.Fprintf(s.Out, "%s has %d uses of in-tree volumes; %d of them nothing translates.\n\n", fact.Text(w.Server), w.Found, w.Left)
	for _, file := range w.Files {
		fmt.Fprintln(s.Out, "  "+filepath.Join(dir, file))
	}
	fmt.Fprintf(s.Out, "\n%s has the order of work. Nothing in the cluster was changed.\n", filepath.Join(dir, prepare.OrderFile))
	return nil
}
