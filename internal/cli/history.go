// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/report"
	"perennial.dev/perennial/internal/workbench"
)

func newHistory(s Streams) *cobra.Command {
	o := &changeOptions{}
	cmd := &cobra.Command{
		Use: "history", GroupID: "look", Short: "What was changed here, and the proof", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return o.history(s, "") },
	}
	show := &cobra.Command{
		Use: "show PLAN", Short: "The steps of a plan, with their files and proofs", Args: cobra.ExactArgs(1),
		ValidArgsFunction: o.completePlans(s),
		RunE:              func(_ *cobra.Command, args []string) error { return o.history(s, args[0]) },
	}
	for _, c := range []*cobra.Command{cmd, show} {
		o.addPlaces(c)
		addDocumentFormat(c, &o.output)
		c.Flags().BoolVar(&o.noColor, "no-color", false, "no colours, as with NO_COLOR")
	}
	cmd.AddCommand(show)
	return cmd
}

// completePlans offers the plans of the journal, the last one first.
func (o *changeOptions) completePlans(s Streams) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		if len(args) > 0 {
			return nil, directive
		}
		b, err := o.open(s, "")
		if err != nil {
			return nil, directive
		}
		defer b.Close()
		var out []string
		for _, p := range slices.Backward(b.Journal.Plans()) {
			if strings.HasPrefix(p.ID, prefix) {
				out = append(out, fact.Text(p.ID).String()+"\t"+p.Begun.UTC().Format("2006-01-02 15:04"))
			}
		}
		return out, directive
	}
}

// history tells of all plans, or of the steps of one.
func (o *changeOptions) history(s Streams, id string) error {
	format, err := documentFormat(o.output)
	if err != nil {
		return err
	}
	b, err := o.open(s, "")
	if err != nil {
		return err
	}
	defer b.Close()
	plans := b.Journal.Plans()
	if c, err := o.clusterJournal(s); err == nil {
		defer c.Close()
		for _, p := range c.Journal.Plans() { // it is the same one where a directory is named
			if !slices.ContainsFunc(plans, func(of journal.Plan) bool { return of.ID == p.ID }) {
				plans = append(plans, p)
			}
		}
	}
	if id != "" {
		p, _, err := o.find(s, id)
		if err != nil {
			return err
		}
		plans = []journal.Plan{p}
	}
	width, color := display(s, o.noColor)
	return report.WriteHistory(s.Out, format, report.HistoryOf(plans), id != "", report.Options{Width: width, Color: color})
}

// resultOf is what became of a plan, in words.
func resultOf(p journal.Plan) string { return report.HistoryOf([]journal.Plan{p}).Plans[0].Became() }

// find finds a plan in the node's journal, or in the person's own of clusters.
func (o *changeOptions) find(s Streams, id string) (journal.Plan, plan.Plan, error) {
	if c, err := o.clusterJournal(s); err == nil {
		defer c.Close()
		if p, of, err := c.Find(id); err == nil {
			return p, of, nil
		}
	}
	b, err := o.open(s, "")
	if err != nil {
		return journal.Plan{}, plan.Plan{}, err
	}
	defer b.Close()
	return b.Find(id)
}

// clusterJournal opens the journal of the person's plans for clusters, to look
// at.
func (o *changeOptions) clusterJournal(s Streams) (*clusterBench, error) {
	dir := ""
	if o.state != workbench.DefaultState {
		dir = o.state
	}
	return (&prepareOptions{where: dir}).open(s, "")
}

func newUndo(s Streams) *cobra.Command {
	o := &prepareOptions{}
	cmd := &cobra.Command{
		Use: "undo PLAN", GroupID: "keep", Short: "One change from the history", Args: cobra.ExactArgs(1),
		Long: `Puts back what a plan has replaced, with the mode and owner of before, and
restarts what has to take it up. It is refused where a file was changed since by
something else, and where a certificate of before has ended meanwhile.

What was prepared in a cluster before an upgrade is changed back there, where
nobody has changed it since, with the kubeconfig and the context of then, or
--kubeconfig and --context where others lead to that cluster now.`,
		ValidArgsFunction: o.completePlans(s),
		RunE:              func(cmd *cobra.Command, args []string) error { return o.undo(cmd.Context(), s, args[0]) },
	}
	o.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.context, "context", "", "the `context` that leads to the cluster of the plan (default: that of then)")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "the kubeconfig `file` that leads to the cluster of the plan (default: that of then)")
	_ = cmd.MarkFlagFilename("kubeconfig")
	_ = cmd.RegisterFlagCompletionFunc("context", cobra.NoFileCompletions)
	return cmd
}

func (o *prepareOptions) undo(ctx context.Context, s Streams, id string) error {
	if c, err := o.clusterJournal(s); err == nil {
		_, of, err := c.Find(id)
		c.Close()
		if err == nil && len(of.Objects()) > 0 {
			return o.undoInCluster(ctx, s, of)
		}
	}
	b, err := o.changeOptions.begin(ctx, s, "undo "+id)
	if err != nil {
		return err
	}
	defer b.Close()
	p, of, err := b.Find(id)
	if err != nil {
		return err
	}
	b.Widen(p)
	if p.UndoneBy != "" {
		return hinted{fmt.Errorf("undoing the plan %s: it was undone by %s", fact.Text(id), fact.Text(p.UndoneBy)), "perennial undo " + p.UndoneBy + " does it again"}
	}
	replaced, err := execute.Replaced(ctx, execute.Machine{Disk: b.Disk}, p)
	if err != nil {
		return err
	}
	seen, err := b.look(ctx)
	if err != nil {
		return err
	}
	now := s.Now()
	todo, err := plan.ForUndo(of, replaced, seen, workbench.PlanID(now), now)
	if err != nil {
		return err
	}
	return o.changeOptions.propose(ctx, b, todo)
}

func (o *prepareOptions) undoInCluster(ctx context.Context, s Streams, of plan.Plan) error {
	if o.state != workbench.DefaultState {
		o.where = o.state
	}
	at, err := o.atNow(*of.Cluster)
	if err != nil {
		return err
	}
	b, err := o.begin(ctx, s, "undo "+of.ID, at)
	if err != nil {
		return err
	}
	defer b.Close()
	todo, err := b.Undo(ctx, of.ID, at)
	if err != nil {
		return err
	}
	return o.propose(ctx, b, todo)
}

// atNow is how the cluster of a plan is reached: as then, but for what is given.
func (o *prepareOptions) atNow(then plan.Cluster) (kube.Context, error) {
	at, err := o.at()
	at.Kubeconfig, at.Name = cmp.Or(at.Kubeconfig, then.Kubeconfig), cmp.Or(at.Name, then.Context)
	return at, err
}
