// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kube"
	"perennial.dev/perennial/internal/plan"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
	"perennial.dev/perennial/internal/workbench"
	"perennial.dev/perennial/internal/workload"
)

// PodSecurity says what is to be planned.
type PodSecurity struct {
	At    kube.Context
	Rules *rules.Set
	To    release.Minor // zero: what runs
	Pin   string        // "v1.25" or "latest"; empty: the target
	Level string        // what is audited and warned of; empty: what passes, and baseline at least
	Named []string
	// Patch writes the patch by which a template says what a PodSecurityPolicy
	// puts into its pods, and returns the file's path; nil: nobody wants files.
	Patch func(workload.Mutation) (string, error)
}

// PlanPodSecurity plans the labels of namespaces.
func (b *Bench) PlanPodSecurity(ctx context.Context, o PodSecurity) (plan.Plan, error) {
	client, cluster, err := b.Reach(ctx, o.At)
	if err != nil {
		return plan.Plan{}, err
	}
	from, err := version(ctx, client)
	if err != nil {
		return plan.Plan{}, err
	}
	if !workload.PodSecurityServed(from) {
		return plan.Plan{}, workbench.Hint(fmt.Errorf("preparing Pod Security: the API server runs %s, which does nothing by such labels: nothing could be proven", from),
			"go to 1.24 first, which knows both PodSecurityPolicies and the labels")
	}
	if o.To == 0 {
		o.To = from
	}
	if o.To < from {
		return plan.Plan{}, fmt.Errorf("preparing Pod Security: %s is older than the API server, which runs %s", o.To, from)
	}
	if o.Pin == "" {
		o.Pin = "v" + o.To.String()
	}
	levels, err := readLevels(ctx, client, o, from)
	if err != nil {
		return plan.Plan{}, err
	}
	spaces := levels.Spaces()
	for _, name := range o.Named {
		if !slices.ContainsFunc(spaces, func(s workload.Space) bool { return s.Name == name }) {
			return plan.Plan{}, fmt.Errorf("preparing Pod Security: there is no namespace %q", fact.Text(name))
		}
	}
	now := b.Now()
	options := plan.LabelOptions{ID: workbench.PlanID(now), Now: now, Cluster: cluster, Version: o.Pin, Level: o.Level, Named: o.Named}
	if err := acts(ctx, client, spaces); err != nil {
		return plan.Plan{}, err
	}
	var labelled []plan.Labelled
	for _, s := range spaces {
		one := plan.Labelled{Space: s}
		if _, leave := options.Leaves(s); !leave {
			if one, err = rehearse(ctx, client, options, s); err != nil {
				return plan.Plan{}, err
			}
		}
		labelled = append(labelled, one)
	}
	p := plan.Labels(labelled, options)
	notes, err := o.policies(levels)
	p.Notes = append(p.Notes, notes...)
	return p, err
}

func readLevels(ctx context.Context, client *kube.Client, o PodSecurity, from release.Minor) (*workload.Levels, error) {
	all, err := newListing(ctx, client)
	if err != nil {
		return nil, err
	}
	levels := workload.NewLevels(o.Rules, rules.Way{From: from, To: o.To})
	kinds := []string{"/Namespace"}
	if workload.PoliciesServed(from) {
		kinds = append(kinds, "policy/PodSecurityPolicy")
	}
	return levels, all.each(ctx, levels.See, append(append(kinds, makers...), "/Pod")...)
}

// policies tell of PodSecurityPolicies.
func (o PodSecurity) policies(levels *workload.Levels) ([]plan.Note, error) {
	changed := levels.Mutations()
	if len(o.Named) > 0 {
		changed = slices.DeleteFunc(changed, func(m workload.Mutation) bool { return !slices.Contains(o.Named, m.Namespace) })
	}
	if o.Patch == nil {
		return plan.PolicyNotes(levels.Admissions(), changed, nil), nil
	}
	files := map[string]string{}
	name := func(m workload.Mutation) string { return m.Kind + "/" + m.Namespace + "/" + m.Name }
	for _, m := range changed {
		if m.Frozen {
			continue
		}
		file, err := o.Patch(m)
		if err != nil {
			return nil, err
		}
		files[name(m)] = file
	}
	return plan.PolicyNotes(levels.Admissions(), changed, func(m workload.Mutation) string { return files[name(m)] }), nil
}

// acts finds out whether the API server acts by the labels: one that does
// refuses a level that there is not. A gate or a flag may have switched it off,
// and then its dry run finds nothing wrong with anything.
func acts(ctx context.Context, client *kube.Client, spaces []workload.Space) error {
	if len(spaces) == 0 {
		return nil
	}
	_, err := client.Patch(ctx, kube.Named{Resource: namespaces, ObjectName: spaces[0].Name},
		fmt.Appendf(nil, `{"metadata":{"labels":{%q:"none-such"}}}`, workload.PodSecurityLabels[0]), true)
	switch {
	case kube.Invalid(err):
		return nil
	case errors.Is(err, kube.ErrForbidden):
		return workbench.Hint(fmt.Errorf("asking for a dry run of a label: %w", err), "a plan needs the right to patch namespaces, since the API server itself is asked what it would refuse")
	case err != nil:
		return err
	}
	return fmt.Errorf("asking the API server at %s for a dry run of a label: it takes a level that there is not, so its Pod Security admission is switched off (--disable-admission-plugins, or the gate PodSecurity) and labels would do nothing", client.Server())
}

// rehearse asks the API server for a dry run of the strictest level that passes,
// and of the ones below where it warns.
func rehearse(ctx context.Context, client *kube.Client, o plan.LabelOptions, s workload.Space) (plan.Labelled, error) {
	one := plan.Labelled{Space: s}
	for _, level := range []string{"restricted", "baseline"} {
		if workload.Stricter(level, one.Level) {
			continue
		}
		warnings, err := try(ctx, client, o.Enforce(s, level))
		if err != nil {
			return one, err
		}
		if len(warnings) == 0 {
			return one, nil
		}
		if one.Exempt = slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "is exempt from Pod Security") }); one.Exempt {
			return one, nil
		}
		one.Refused = append(one.Refused, strings.Join(warnings, "; "))
		if one.Level = "baseline"; level == "baseline" {
			one.Level = "privileged"
		}
	}
	return one, nil
}

// try asks for a dry run of a change, in the version of now.
func try(ctx context.Context, client *kube.Client, object plan.Object) ([]string, error) {
	for {
		at := kube.Named{Resource: namespaces, ObjectName: object.Name}
		content, err := client.Object(ctx, at)
		if err != nil {
			return nil, err
		}
		is, version, why := object.Stands(content)
		switch is {
		case plan.AsAfter:
			return nil, nil
		case plan.Gone, plan.Changed:
			return nil, fmt.Errorf("preparing Pod Security: the %s was changed just now: %s", object, why)
		}
		patch, err := object.Merge(version)
		if err != nil {
			return nil, err
		}
		warnings, err := client.Patch(ctx, at, patch, true)
		if !kube.Conflict(err) {
			return warnings, err
		}
	}
}
