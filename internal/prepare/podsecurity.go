// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
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
	// Patches is for the patches by which templates say what a PodSecurityPolicy
	// puts into their pods; nil: nobody wants files.
	Patches *Folder
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
	labelled, err := rehearseAll(ctx, client, options, spaces)
	if err != nil {
		return plan.Plan{}, err
	}
	p := plan.Labels(labelled, options)
	notes, files := o.policies(levels)
	p.Notes = append(p.Notes, notes...)
	if len(files) > 0 {
		err = o.Patches.write(files)
	}
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

// policies tell of PodSecurityPolicies, and what the files of patches hold.
func (o PodSecurity) policies(levels *workload.Levels) (notes []plan.Note, files map[string][]byte) {
	changed := levels.Mutations()
	if len(o.Named) > 0 {
		changed = slices.DeleteFunc(changed, func(m workload.Mutation) bool { return !slices.Contains(o.Named, m.Namespace) })
	}
	if o.Patches == nil {
		return plan.PolicyNotes(levels.Admissions(), changed, nil), nil
	}
	files = map[string][]byte{}
	for _, m := range changed {
		if !m.Frozen {
			files[patchFile(m)] = append(slices.Clone(m.Patch), '\n')
		}
	}
	return plan.PolicyNotes(levels.Admissions(), changed, func(m workload.Mutation) string { return filepath.Join(o.Patches.named, patchFile(m)) }), files
}

// patchFile is the name of the file of a patch. Of the three parts only the last
// may hold a dot.
func patchFile(m workload.Mutation) string {
	return strings.ToLower(workload.FileName(m.Namespace+"."+m.Kind+"."+m.Name) + ".json")
}

// rehearseAll asks the API server what it would refuse in each namespace that is to
// be labelled.
func rehearseAll(ctx context.Context, client *kube.Client, o plan.LabelOptions, spaces []workload.Space) ([]plan.Labelled, error) {
	var all []plan.Labelled
	sure := false // that it does anything by labels
	for _, s := range spaces {
		one := plan.Labelled{Space: s}
		if _, leave := o.Leaves(s); !leave {
			var err error
			if !sure {
				err = acts(ctx, client, s)
				sure = err == nil
			}
			if sure {
				one, err = rehearse(ctx, client, o, s)
			}
			switch {
			case errors.Is(err, errGone), kube.NotFound(err):
				one.Gone = true
			case kube.Refused(err) && !kube.Busy(err) && !errors.Is(err, kube.ErrForbidden):
				one.Denied = err.Error()
			case err != nil:
				return nil, err
			}
		}
		all = append(all, one)
	}
	return all, nil
}

// acts finds out whether the API server acts by the labels: one that does
// refuses a level that there is not. A gate or a flag may have switched it off,
// and then its dry run finds nothing wrong with anything. A namespace that is gone,
// or whose change something else refuses, tells nothing.
func acts(ctx context.Context, client *kube.Client, s workload.Space) error {
	_, err := client.Patch(ctx, named(s.Name), fmt.Appendf(nil, `{"metadata":{"labels":{%q:"none-such"}}}`, workload.PodSecurityLabels[0]), true)
	switch {
	case kube.Invalid(err):
		return nil
	case errors.Is(err, kube.ErrForbidden):
		return workbench.Hint(fmt.Errorf("asking for a dry run of a label: %w", err), "a plan needs the right to patch namespaces, since the API server itself is asked what it would refuse: "+rightsFile)
	case err != nil:
		return err
	}
	return fmt.Errorf("asking the API server at %s for a dry run of a label: it takes a level that there is not, so its Pod Security admission is switched off (--disable-admission-plugins, or the gate PodSecurity) and labels would do nothing", client.Server())
}

func named(namespace string) kube.Named {
	return kube.Named{Resource: namespaces, ObjectName: namespace}
}

// rehearse asks the API server for a dry run of the strictest level that passes,
// and of the ones below where it warns. What it warns of when nothing is changed is
// somebody else's concern: a policy that wants an owner named, for one. Nothing is
// below privileged; whether it is taken at all is asked of it, too.
func rehearse(ctx context.Context, client *kube.Client, o plan.LabelOptions, s workload.Space) (plan.Labelled, error) {
	one := plan.Labelled{Space: s}
	for _, level := range []string{"restricted", "baseline", "privileged"} {
		if workload.Stricter(level, one.Level) {
			continue
		}
		object := o.Enforce(s, level)
		warnings, err := try(ctx, client, object)
		if err == nil && len(warnings) > 0 && one.Heard == nil {
			object.Fields = nil
			one.Heard, err = try(ctx, client, object)
		}
		if err != nil {
			return one, err
		}
		object.Heard = one.Heard
		if warnings = object.Unheard(warnings); len(warnings) == 0 || level == "privileged" {
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

// errGone is a namespace that was deleted meanwhile.
var errGone = errors.New("it is not there any more")

// tries is how often a namespace that is changed all the time is tried.
const tries = 10

// try asks for a dry run of a change, in the version of now. One without fields
// changes nothing.
func try(ctx context.Context, client *kube.Client, object plan.Object) (warnings []string, err error) {
	for range tries {
		content, err := client.Object(ctx, named(object.Name))
		if err != nil {
			return nil, err
		}
		is, version, why := object.Stands(content)
		switch {
		case is == plan.Gone:
			return nil, fmt.Errorf("preparing Pod Security: namespace %s: %w", fact.Text(object.Name), errGone)
		case is == plan.Changed:
			return nil, fmt.Errorf("preparing Pod Security: the %s was changed just now: %s", object, why)
		case is == plan.AsAfter && len(object.Fields) > 0:
			return nil, nil
		}
		patch, err := object.Merge(version)
		if err != nil {
			return nil, err
		}
		if warnings, err = client.Patch(ctx, named(object.Name), patch, true); !kube.Conflict(err) {
			return warnings, err
		}
	}
	return nil, fmt.Errorf("preparing Pod Security: the %s is changed all the time, and was in each of %d tries", object, tries)
}
