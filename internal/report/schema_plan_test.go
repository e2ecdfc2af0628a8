// SPDX-License-Identifier: Apache-2.0

package report

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/schema"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/testnode"
)

// plans are plans of a node, with a step of every verb that the planner has.
func plans(t *testing.T) []plan.Plan {
	t.Helper()
	n := testnode.New(t, testnode.Options{})
	now := testnode.Start.AddDate(1, 0, 3)
	earlier := n.Sign(n.CAs["ca"], testnode.Leaf{Name: "system:node:cp1", Organization: "system:nodes", End: testnode.Start.AddDate(0, 1, 0)})
	n.Write("/etc/kubernetes/kubelet.conf", 0o600, n.Kubeconfig(n.CAs["ca"].Cert, earlier, "default-auth"))
	n.Write("/root/.kube/config", 0o600, n.Read("/etc/kubernetes/admin.conf"))
	n.Remove("/etc/kubernetes/pki/etcd/server.crt")
	n.Remove("/etc/kubernetes/pki/front-proxy-ca.key")
	n.Write("/root/requests/README", 0o600, nil)
	rec, _ := source.Survey(t.Context(), fact.Scope{Root: n.Root, KubernetesDir: "/etc/kubernetes", RequestDir: "/root/requests"}, source.Options{})
	for i, name := range []string{"kube-controller-manager", "kube-scheduler"} {
		args := layout.ParseManifest("", fact.Meta{}, n.Read("/etc/kubernetes/manifests/"+name+".yaml")).Containers[0].Args
		rec.Facts = append(rec.Facts, fact.Process{PID: 10 + i, Start: now.Add(1234567), Args: args})
	}
	rec.Scope.Root = "/"
	seen := plan.See(rec)
	all, err := plan.ForRenewal(seen, plan.RenewOptions{ID: "p1", Now: now, All: true, Create: true, AddSAN: true, Policy: policy.Default()})
	if err != nil {
		t.Fatal(err)
	}
	verbs := map[plan.Verb]bool{}
	for _, s := range all.Steps {
		verbs[s.Verb] = true
	}
	for _, v := range []plan.Verb{plan.Renew, plan.Create, plan.Request, plan.Refresh, plan.Turn, plan.Restart} {
		if !verbs[v] {
			t.Errorf("no step to %s: %v", v, all.Notes)
		}
	}
	none, err := plan.ForRenewal(seen, plan.RenewOptions{ID: "p2", Now: testnode.Start, Names: []string{"ca"}})
	if err != nil {
		t.Fatal(err)
	}
	return []plan.Plan{all, none}
}

func TestPlansFollowTheSchema(t *testing.T) {
	s := schema.Read(t, "Plan")
	for _, p := range plans(t) {
		body := renderPlan(t, p)
		s.Follows(t, p.ID, body)
		s.RefusesDamage(t, p.ID, body)
		if again := renderPlan(t, p); !bytes.Equal(body, again) {
			t.Errorf("%s: a second rendering differs", p.ID)
		}
		var back plan.Plan
		if err := json.Unmarshal(body, &back); err != nil || utc(back) != utc(p) {
			t.Errorf("%s: what was read back differs: %v\n%+v\n%+v", p.ID, err, back, p)
		}
	}
}

func renderPlan(t *testing.T, p plan.Plan) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Plan(&out, FormatJSON, p, Options{}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// utc leaves out what JSON does not keep: empty lists and monotonic clocks.
func utc(p plan.Plan) string {
	body, _ := json.Marshal(p)
	return string(body)
}

func TestThePlanSchemaRefuses(t *testing.T) {
	asRendered := func(p plan.Plan) []byte { return renderPlan(t, p) }
	schema.Refuses(t, schema.Read(t, "Plan"), asRendered, func() plan.Plan { return plans(t)[0] }, map[string]func(p *plan.Plan){
		"a wrong kind":        func(p *plan.Plan) { p.Kind = "Timeline" },
		"another version":     func(p *plan.Plan) { p.APIVersion = finding.Group + "/v2" },
		"a step zero":         func(p *plan.Plan) { p.Steps[0].Number = 0 },
		"a verb nobody knows": func(p *plan.Plan) { p.Steps[0].Verb = "burn" },
		"a digest of nothing": func(p *plan.Plan) { p.Steps[0].Files[0].Digest = "x" },
		"a relative path":     func(p *plan.Plan) { p.Steps[0].Files[0].Path = "x" },
		"a null list":         func(p *plan.Plan) { p.Notes = nil },
		"a fraction":          func(p *plan.Plan) { p.Made = p.Made.Add(time.Millisecond) },
	})
}
