// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/bridge"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/timeline"
	"perennial.dev/perennial/internal/upgrade"
	"perennial.dev/perennial/internal/workload"
)

// upgradeOptions say what is looked at before an upgrade, where it is not this
// node.
type upgradeOptions struct {
	wayOptions
	files      []string
	recursive  bool
	contexts   []string
	kubeconfig string
	overrides  kube.Overrides // of a plugin of kubectl
}

func (o *upgradeOptions) addFlags(cmd *cobra.Command) {
	o.wayOptions.addFlags(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&o.files, "filename", "f", nil, "with --to: look at the documents in this `file` or directory, - for standard input, instead of this node (repeatable)")
	f.BoolVarP(&o.recursive, "recursive", "R", false, "with -f: directories below directories, too")
	f.StringArrayVar(&o.contexts, "context", nil, "with --to: look at the cluster of this `context` of the kubeconfig instead of this node (repeatable)")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "with --to: look at the cluster of this `file` instead of this node (default with --context: as kubectl)")
	_ = cmd.MarkFlagFilename("filename")
	_ = cmd.MarkFlagFilename("kubeconfig")
	_ = cmd.RegisterFlagCompletionFunc("context", completeContexts)
}

// check refuses what does not go together.
func (o *checkOptions) check() error {
	documents, cluster := len(o.files) > 0, len(o.contexts) > 0 || o.kubeconfig != ""
	elsewhere := o.replay != "" || o.record != "" || len(o.endpoints) > 0 || o.root != "/"
	for _, c := range []struct {
		wrong bool
		says  string
	}{
		{o.to == "" && documents, "-f looks at documents for an upgrade: add --to VERSION"},
		{o.to == "" && cluster, "--context and --kubeconfig look at a cluster for an upgrade: add --to VERSION"},
		{o.to == "" && o.from != "", "--from is where an upgrade begins: add --to VERSION"},
		{o.to == "" && len(o.rules) > 0, "--rules are those of an upgrade: add --to VERSION"},
		{o.recursive && !documents, "-R goes with -f DIRECTORY"},
		{documents && cluster, "-f looks at documents, --context and --kubeconfig at clusters: give one of them"},
		{(documents || cluster) && elsewhere, "--root, --endpoint, --record and --replay are about a node's look: leave them out beside -f, --context and --kubeconfig"},
	} {
		if c.wrong {
			return usageError{errors.New(c.says)}
		}
	}
	return nil
}

// before looks at what an upgrade runs into: documents, clusters or this node.
func (o *checkOptions) before(ctx context.Context, s Streams) ([]timeline.Timeline, error) {
	p, cal, err := o.judging(s)
	if err != nil {
		return nil, err
	}
	set, err := loadRules(o.rules)
	if err != nil {
		return nil, err
	}
	k := knowledge{cal, set}
	if _, err := o.way(k, start{}); err != nil { // what is wrong in itself
		return nil, err
	}
	look := o.node
	switch {
	case len(o.files) > 0:
		look = o.documents
	case len(o.contexts) > 0 || o.kubeconfig != "":
		return o.clusters(ctx, s, p, k)
	}
	t, err := look(ctx, s, p, k)
	return []timeline.Timeline{t}, err
}

// judges judge facts as they come; none is kept.
type judges struct {
	apis    *upgrade.Judge
	running *workload.Judge
	seen    *progress
	objects int
	unseen  []fact.Unseen
}

func newJudges(k knowledge, w *timeline.Way, seen *progress) *judges {
	return &judges{apis: upgrade.New(k.rules, w.Way), running: workload.New(k.rules, w.Way), seen: seen}
}

func (j *judges) see(f fact.Fact) {
	if _, ok := f.(fact.Object); ok {
		j.objects++
		j.seen.step("objects")
	}
	j.apis.See(f)
	j.running.See(f)
}

func (j *judges) miss(u fact.Unseen) { j.unseen = append(j.unseen, u) }

// kubectls looks at what somebody may ask the cluster with during the upgrade.
func (j *judges) kubectls(ctx context.Context, dirs []string) {
	source.Kubectls(ctx, dirs, j.running.Kubectl, j.miss)
}

// conclude adds what follows to what was looked at.
func (j *judges) conclude(l *looked) {
	l.findings = slices.Concat(l.findings, j.apis.Findings(), j.running.Findings())
	l.unseen = slices.Concat(l.unseen, j.unseen, j.running.Unseen())
}

// node looks at this node as ever, and at what it runs; on a control plane also
// at the cluster, as its administrator, and at etcd.
func (o *checkOptions) node(ctx context.Context, s Streams, p policy.Policy, k knowledge) (timeline.Timeline, error) {
	l, err := o.lookAt(ctx, s, p, k.calendar)
	if err != nil {
		return timeline.Timeline{}, err
	}
	w, err := o.way(k, controlPlane(l.findings))
	if err != nil {
		return timeline.Timeline{}, err
	}
	l.env.Upgrade = w
	shown := progressOf(s, "looking at the cluster")
	j := newJudges(k, w, shown)
	j.apis.Node(l.layout)
	for _, f := range l.record.Facts {
		j.see(f)
	}
	o.cluster(ctx, s, &l, j)
	if l.record.Scope.Root == "/" && o.replay == "" {
		j.kubectls(ctx, append(filepath.SplitList(s.Getenv("PATH")), "/usr/local/bin", "/usr/bin", "/opt/bin"))
	}
	shown.end()
	if ctx.Err() != nil {
		return timeline.Timeline{}, ctx.Err()
	}
	j.conclude(&l)
	return l.timeline(), nil
}

// cluster looks from a control-plane node that runs at its cluster.
func (o *checkOptions) cluster(ctx context.Context, s Streams, l *looked, j *judges) {
	notes := &l.env.Upgrade.Notes
	_, plane := l.layout.Component(layout.APIServer)
	switch {
	case l.record.Scope.Root != "/" || o.replay != "":
		*notes = append(*notes, "the objects of the cluster were not looked at: that takes a running control plane, or --context NAME")
		return
	case !plane:
		*notes = append(*notes, "no control plane was found here: --context NAME looks at a cluster, -f FILE at documents")
		return
	}
	admin := path.Join(l.record.Scope.KubernetesDir, "admin.conf")
	client, err := kube.OpenContext(kube.Context{Kubeconfig: admin, Plugins: pluginPolicy(s)}, version())
	if err != nil {
		j.miss(fact.Unseen{Source: source.ClusterName, What: "the objects of the cluster", Why: host.Why(err), Detail: fact.Text(err.Error()),
			Hint: "run it as root, or look at the cluster with --kubeconfig FILE"})
		return
	}
	defer client.Close()
	l.env.Scope.Server = client.Server()
	j.objects = 0
	if source.Cluster(ctx, client, source.ClusterOptions{}, j.see, j.miss) {
		j.running.Complete()
	}
	l.env.Scope.Counts.Objects = j.objects
	etcdMembers(ctx, l.record, j)
}

// etcdMembers asks etcd with the node's own credentials, where it runs here.
func etcdMembers(ctx context.Context, rec fact.Record, j *judges) {
	all, err := plan.Etcds(plan.See(rec))
	if err != nil {
		return // no etcd here: its other node's check asks it
	}
	files, err := host.Open(rec.Scope.Root)
	if err != nil {
		j.miss(fact.Unseen{Source: source.EtcdName, What: "the members of etcd", Why: host.Why(err), Detail: fact.Text(err.Error())})
		return
	}
	defer files.Close()
	errs := []error{}
	for _, access := range all {
		client, err := bridge.OpenEtcd(host.NewDisk(files, nil), access)
		if err == nil {
			source.Etcd(ctx, client, j.see, j.miss)
			return
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		j.miss(fact.Unseen{Source: source.EtcdName, What: "the members of etcd", Why: host.Why(err), Detail: fact.Text(err.Error()), Hint: "run it as root"})
	}
}

// clusters looks at clusters through their APIs, one after the other.
func (o *checkOptions) clusters(ctx context.Context, s Streams, p policy.Policy, k knowledge) ([]timeline.Timeline, error) {
	contexts := o.contexts
	if len(contexts) == 0 {
		contexts = []string{""}
	}
	o.several = len(contexts) > 1
	var all []timeline.Timeline
	for _, name := range contexts {
		t, err := o.throughAPI(ctx, s, p, k, kube.Context{Kubeconfig: o.kubeconfig, Name: name, Plugins: pluginPolicy(s), Overrides: o.overrides})
		if err != nil {
			return nil, fmt.Errorf("looking at %s: %w", clusterOf(name), err)
		}
		all = append(all, t)
	}
	return all, nil
}

func clusterOf(name string) string {
	if name == "" {
		return "the cluster"
	}
	return "the cluster of the context " + fact.Text(name).String()
}

func (o *checkOptions) throughAPI(ctx context.Context, s Streams, p policy.Policy, k knowledge, c kube.Context) (timeline.Timeline, error) {
	client, err := kube.OpenContext(c, version())
	if err != nil {
		return timeline.Timeline{}, err
	}
	defer client.Close()
	l, err := o.nothingYet(s, p)
	if err != nil {
		return timeline.Timeline{}, err
	}
	runs := start{}
	// What it does not answer here is said by the look.
	if v, err := client.Version(ctx); err == nil {
		if runs, err = served(v); err != nil {
			l.unseen = append(l.unseen, fact.Unseen{Source: source.ClusterName, What: "the version of the API server", Why: fact.Malformed, Detail: fact.Text(err.Error())})
		}
	}
	w, err := o.way(k, runs)
	if err != nil {
		return timeline.Timeline{}, err
	}
	l.env.Upgrade, l.env.Cluster, l.env.Scope.Server = w, fact.Text(c.Name), client.Server()
	shown := progressOf(s, "looking at the cluster")
	j := newJudges(k, w, shown)
	if source.Cluster(ctx, client, source.ClusterOptions{}, j.see, j.miss) {
		j.running.Complete()
	}
	j.kubectls(ctx, filepath.SplitList(s.Getenv("PATH")))
	shown.end()
	if ctx.Err() != nil {
		return timeline.Timeline{}, ctx.Err()
	}
	l.env.Scope.Counts.Objects = j.objects
	j.conclude(&l)
	return l.timeline(), nil
}

// nothingYet is a look of this moment that has seen nothing.
func (o *checkOptions) nothingYet(s Streams, p policy.Policy) (looked, error) {
	now := s.Now()
	when, err := o.instant(now, now)
	return looked{policy: p, at: when, env: timeline.Envelope{ObservedAt: now, Tool: tool()}}, err
}
