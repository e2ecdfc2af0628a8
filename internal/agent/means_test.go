// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/testnode"
	"perennial.dev/perennial/internal/timeline"
)

var seenAt = testnode.Start.AddDate(0, 0, 300) // 65 days before the leaves end

// see looks at a node's files, and at its components as if they ran as static pods.
func see(t testing.TB, n *testnode.Node, more ...fact.Fact) plan.Seen {
	t.Helper()
	rec, _ := source.Survey(context.Background(), fact.Scope{Root: n.Root, KubernetesDir: "/etc/kubernetes"}, source.Options{})
	for i, name := range []string{"kube-apiserver", "etcd", "kube-controller-manager", "kube-scheduler"} {
		m := layout.ParseManifest("", fact.Meta{}, n.Read("/etc/kubernetes/manifests/"+name+".yaml"))
		rec.Facts = append(rec.Facts, fact.Process{PID: 100 + i, Start: testnode.Start, Args: m.Containers[0].Args})
	}
	rec.Facts = append(rec.Facts, more...)
	rec.Scope.Root = "/"
	return plan.See(rec)
}

// What the planner can plan can be done, on a node with real certificates; what it
// cannot has its reason.
func TestLooked(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	if err := os.Remove(filepath.Join(n.Root, n.Dir, "etcd", "ca.key")); err != nil {
		t.Fatal(err)
	}
	upgrade := fact.Process{PID: 7, Args: []string{"kubeadm", "upgrade", "apply", "v1.37.1"}}
	seen := see(t, n, upgrade)
	l := Looked(seen, timeline.Timeline{}, policy.Default(), []string{"files"}, seenAt)
	if l.Node != "cp1" || l.AtWork == nil || !strings.Contains(l.AtWork.Error(), "kubeadm") {
		t.Errorf("node %q, at work: %v", l.Node, l.AtWork)
	}
	for id, want := range map[fact.ID]struct {
		restarts []string
		cannot   string
		days     int
	}{
		"cp1/apiserver":               {days: 365},
		"cp1/admin.conf":              {days: 365},
		"cp1/controller-manager.conf": {restarts: []string{layout.ControllerManager}, days: 365},
		"cp1/scheduler.conf":          {restarts: []string{layout.Scheduler}, days: 365},
		"cp1/etcd-server":             {cannot: "an external CA must sign it"},
		"cp1/kubelet.conf":            {cannot: "the kubelet renews it itself"},
		"cp1/kube-apiserver":          {restarts: []string{layout.APIServer}},
		"cp1/kube-scheduler":          {restarts: []string{layout.Scheduler}},
		"cp1/etcd":                    {restarts: []string{layout.Etcd}, cannot: "is not restarted while nobody watches"},
	} {
		m, ok := l.Means[id]
		if !ok || !slices.Equal(m.Restarts, want.restarts) || (m.Cannot == "") != (want.cannot == "") || !strings.Contains(m.Cannot, want.cannot) {
			t.Errorf("%s: %v %+v", id, ok, m)
		}
		if until := seenAt.AddDate(0, 0, want.days); want.days > 0 && until.Sub(m.Until).Abs() > 10*time.Minute { // they begin a little before now
			t.Errorf("%s until %s, want %s", id, m.Until, until)
		}
	}
	for _, id := range []fact.ID{"cp1/ca", "cp1/sa", "cp1/etcd-ca"} {
		if m, ok := l.Means[id]; ok {
			t.Errorf("%s can be renewed: %+v", id, m)
		}
	}
}

// Where a CA ends first, what it signs ends with it.
func TestUntilTheEndOfTheCA(t *testing.T) {
	n := testnode.New(t, testnode.Options{CALife: 400 * day})
	l := Looked(see(t, n), timeline.Timeline{}, policy.Default(), nil, seenAt)
	if m := l.Means["cp1/apiserver"]; m.Cannot != "" || m.Until.Sub(testnode.Start.Add(400*day)).Abs() > 10*time.Minute {
		t.Errorf("%+v", m)
	}
}

// The whole of it on real certificates: all leaves in one plan.
func TestDecideOnARealNode(t *testing.T) {
	n := testnode.New(t, testnode.Options{})
	p := policy.Default()
	p.Agent.Act, p.Agent.When.Spread = true, 0
	seen := see(t, n)
	line := timeline.Build(seen.Findings, seen.Unseen, p, seenAt, timeline.Envelope{ObservedAt: seenAt})
	d := Decide(Situation{Now: seenAt, Agent: p.Agent, Look: Looked(seen, line, p, nil, seenAt)})
	if d.Work == nil || len(d.Work.Renew) < 10 || d.Work.Restart != "" || d.Work.InPlace {
		t.Fatalf("%+v", d)
	}
	var names []string
	for _, id := range d.Work.Renew {
		names = append(names, string(id))
	}
	planned, err := plan.ForRenewal(seen, plan.RenewOptions{ID: "p", Now: seenAt, Names: names, Policy: p})
	if err != nil || len(planned.Steps) != len(names)+2 { // and two restarts
		t.Errorf("%v, %d steps for %v", err, len(planned.Steps), names)
	}
	if r, is := unfit(planned, *d.Work, noon); is {
		t.Errorf("it is not fit: %+v", r)
	}
	// Also the one that the kubelet made for itself, and makes again only when it is gone.
	if len(d.Person) != 0 || !slices.Contains(d.Work.Renew, "cp1/kubelet") {
		t.Errorf("a person is needed: %+v; %v", d.Person, d.Work.Renew)
	}
}

// A look each five minutes is to cost next to nothing.
func BenchmarkDecide(b *testing.B) {
	n := testnode.New(b, testnode.Options{})
	p := policy.Default()
	p.Agent.Act = true
	seen := see(b, n)
	line := timeline.Build(seen.Findings, seen.Unseen, p, seenAt, timeline.Envelope{ObservedAt: seenAt})
	b.ReportAllocs()
	for b.Loop() {
		Decide(Situation{Now: seenAt, Agent: p.Agent, Look: Looked(seen, line, p, nil, seenAt)})
	}
}
