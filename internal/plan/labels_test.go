// SPDX-License-Identifier: Apache-2.0

package plan_test

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/workload"
)

// pss are labels of a namespace, by the last part of their names.
func pss(pairs ...string) map[string]string {
	all := map[string]string{}
	for _, pair := range pairs {
		name, value, _ := strings.Cut(pair, "=")
		for _, label := range workload.PodSecurityLabels {
			if path.Base(label) == name {
				all[label] = value
			}
		}
	}
	return all
}

// Each namespace gets its labels, those first that only tell, or a line that says
// why it is left alone.
func TestLabels(t *testing.T) {
	const both = "audit=baseline audit-version=v1.25 warn=baseline warn-version=v1.25"
	for name, c := range map[string]struct {
		of    plan.Labelled
		named bool
		level string
		sets  []string // by step
		says  []string
	}{
		"nothing yet":     {plan.Labelled{}, false, "", []string{both, "enforce=baseline enforce-version=v1.25"}, []string{"namespace shop: audit and warn baseline", "all that runs there passes baseline as of v1.25"}},
		"privileged":      {plan.Labelled{Space: workload.Space{Level: "privileged", Stands: "in the way of baseline: hostPath"}}, false, "", []string{both, "enforce=privileged enforce-version=v1.25"}, []string{"in the way of baseline: hostPath", "whatever the API server's default"}},
		"tells of more":   {plan.Labelled{Space: workload.Space{Labels: pss("audit=restricted", "warn=restricted", "warn-version=v1.24")}}, false, "", []string{"enforce=baseline enforce-version=v1.25"}, []string{"it has audit restricted and warn restricted already, which tells of more and stays"}},
		"audits more":     {plan.Labelled{Space: workload.Space{Labels: pss("audit=restricted", "warn=privileged")}}, false, "", []string{"warn=baseline warn-version=v1.25", "enforce=baseline enforce-version=v1.25"}, []string{"namespace shop: warn baseline", "it has audit restricted already"}},
		"asked for less":  {plan.Labelled{Space: workload.Space{Labels: pss("audit=restricted", "warn=restricted")}}, false, "baseline", []string{both, "enforce=baseline enforce-version=v1.25"}, nil},
		"no level":        {plan.Labelled{Space: workload.Space{Labels: pss("audit=strict", "warn=")}}, false, "", []string{both, "enforce=baseline enforce-version=v1.25"}, nil},
		"some of it":      {plan.Labelled{Space: workload.Space{Labels: pss("audit=baseline", "audit-version=v1.25", "warn=baseline", "warn-version=latest")}}, false, "", []string{"warn-version=v1.25", "enforce=baseline enforce-version=v1.25"}, nil},
		"all of it":       {plan.Labelled{Space: workload.Space{Labels: pss("enforce=baseline", "enforce-version=v1.25", "audit=baseline", "audit-version=v1.25", "warn=baseline", "warn-version=v1.25")}}, true, "", nil, nil},
		"enforces":        {plan.Labelled{Space: workload.Space{Labels: pss("enforce=privileged")}}, false, "", nil, []string{"it enforces privileged; name it to have it planned anew (baseline passes)"}},
		"enforces, named": {plan.Labelled{Space: workload.Space{Labels: pss("enforce=privileged")}}, true, "", []string{both, "enforce=baseline enforce-version=v1.25"}, nil},
		"being deleted":   {plan.Labelled{Space: workload.Space{Ending: true}}, true, "", nil, []string{"it is being deleted"}},
		"gone":            {plan.Labelled{Gone: true}, false, "", nil, []string{"it was deleted while the plan was made"}},
		"exempt":          {plan.Labelled{Exempt: true}, false, "", nil, []string{"the API server exempts it"}},
		"denied":          {plan.Labelled{Denied: "admission webhook x denied the request"}, false, "", nil, []string{"takes no such change of it: admission webhook x denied the request"}},
		"warned of":       {plan.Labelled{Refused: []string{"pod web: privileged"}, Heard: []string{"no owner"}}, false, "", []string{both, "enforce=baseline enforce-version=v1.25"}, []string{"the API server: pod web: privileged"}},
	} {
		c.of.Name, c.of.UID, c.of.Workloads = "shop", "u1", 1
		if c.of.Level == "" {
			c.of.Level = "baseline"
		}
		o := plan.LabelOptions{ID: "p", Now: time.Unix(1800000000, 0), Version: "v1.25", Level: c.level}
		if c.named {
			o.Named = []string{"shop"}
		}
		p := plan.Labels([]plan.Labelled{c.of}, o)
		var sets []string
		for _, s := range p.Steps {
			var fields []string
			for _, f := range s.Object.Fields {
				fields = append(fields, path.Base(f.Path[2])+"="+*f.After)
			}
			sets = append(sets, strings.Join(fields, " "))
			enforces := strings.HasPrefix(fields[0], "enforce")
			if s.Object.Rehearse != (enforces && c.of.Level != "privileged") || enforces && !slices.Equal(s.Object.Heard, c.of.Heard) {
				t.Errorf("%s: %s: rehearsed: %v, heard %q", name, s.Title, s.Object.Rehearse, s.Object.Heard)
			}
		}
		if !slices.Equal(sets, c.sets) {
			t.Errorf("%s: it sets %q, want %q", name, sets, c.sets)
		}
		all := fmt.Sprintf("%+v %+v", p.Steps, p.Notes)
		for _, says := range c.says {
			if !strings.Contains(all, says) {
				t.Errorf("%s: it does not say %q:\n%s", name, says, all)
			}
		}
	}
}

// What tells comes first in all namespaces, before anything is enforced in any.
func TestLabelsTellFirst(t *testing.T) {
	var all []plan.Labelled
	for _, name := range []string{"a", "b"} {
		all = append(all, plan.Labelled{Space: workload.Space{Name: name, UID: name, Workloads: 1, Level: "restricted"}})
	}
	p := plan.Labels(all, plan.LabelOptions{ID: "p", Version: "latest"})
	var order []string
	for _, s := range p.Steps {
		order = append(order, s.Object.Name+" "+path.Base(s.Object.Fields[0].Path[2]))
		if got := *s.Object.Fields[1].After; got != "latest" {
			t.Errorf("%s: the version is %s", s.Title, got)
		}
	}
	if want := []string{"a audit", "b audit", "a enforce", "b enforce"}; !slices.Equal(order, want) {
		t.Errorf("%q, want %q", order, want)
	}
}
