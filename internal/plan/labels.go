// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/workload"
)

// LabelOptions say how namespaces are to be labelled.
type LabelOptions struct {
	ID      string
	Now     time.Time
	Cluster Cluster
	Version string // of the checks: "v1.25", or "latest"
	// Level is what is audited and warned of; empty: what passes, and baseline
	// at least.
	Level string
	// Named are the namespaces that were asked for. Empty: all that enforce
	// nothing yet, but for Kubernetes' own.
	Named []string
}

// own are the namespaces that Kubernetes makes for itself. What runs in
// kube-system has to be privileged, and nothing runs in the others.
var own = []string{"kube-system", "kube-public", "kube-node-lease"}

// Labelled is a namespace with the level that it can enforce: by its templates
// and pods, and by what the API server said in a rehearsal.
type Labelled struct {
	workload.Space
	Refused []string // what the server said of the level above
	Heard   []string // what it says of any change
	Exempt  bool     // the server leaves it out of Pod Security
	Gone    bool     // it was deleted while the plan was made
	Denied  string   // why the server takes no change of it; empty: it does
}

// Leaves says whether a namespace is left as it is, and why where that is worth
// a line.
func (o LabelOptions) Leaves(s workload.Space) (why string, leave bool) {
	named := slices.Contains(o.Named, s.Name)
	switch {
	case s.Ending && (named || len(o.Named) == 0):
		return "it is being deleted", true
	case named:
		return "", false
	}
	now := s.Labels[workload.PodSecurityLabels[0]]
	switch {
	case len(o.Named) > 0:
		return "", true
	case slices.Contains(own, s.Name) && s.Workloads == 0:
		return "", true
	case slices.Contains(own, s.Name):
		return "it is Kubernetes' own, and what runs there needs its rights; name it to have it planned", true
	case now == "" && s.Workloads == 0:
		return "nothing runs there, and so any level passes; name it to have it planned", true
	case now != "" && workload.Stricter(now, s.Level):
		return fmt.Sprintf("it enforces %s, and not all that is in it passes: %s", fact.Text(now), s.Stands), true
	case now != "":
		return fmt.Sprintf("it enforces %s; name it to have it planned anew (%s passes)", fact.Text(now), s.Level), true
	}
	return "", false
}

// Enforce is the namespace with the labels that enforce a level.
func (o LabelOptions) Enforce(s workload.Space, level string) Object {
	return o.labelled(s, map[string]string{workload.PodSecurityLabels[0]: level, workload.PodSecurityLabels[1]: o.Version}, level != privileged)
}

const (
	privileged = "privileged"
	baseline   = "baseline"
)

func (o LabelOptions) labelled(s workload.Space, labels map[string]string, rehearse bool) Object {
	object := Object{APIVersion: "v1", Kind: "Namespace", Resource: "namespaces", Name: s.Name, UID: s.UID, Rehearse: rehearse}
	for _, name := range workload.PodSecurityLabels {
		if value, ok := labels[name]; ok {
			f := Field{Path: []string{"metadata", "labels", name}, After: Text(value)}
			if now, there := s.Labels[name]; there {
				f.Before = Text(now)
			}
			object.Fields = append(object.Fields, f)
		}
	}
	return object
}

// told is what is audited and warned of, in words and as labels. What tells of more
// than that already stays, unless a level was asked for.
func (o LabelOptions) told(s Labelled) (does string, labels map[string]string, kept []string) {
	var modes []string
	level := s.Level
	switch {
	case o.Level != "":
		level = o.Level
	case level == privileged:
		level = baseline
	}
	labels = map[string]string{}
	for i := 2; i < len(workload.PodSecurityLabels); i += 2 {
		name, version := workload.PodSecurityLabels[i], workload.PodSecurityLabels[i+1]
		if now := s.Labels[name]; o.Level == "" && workload.IsLevel(now) && workload.Stricter(now, level) {
			kept = append(kept, path.Base(name)+" "+now)
			continue
		}
		labels[name], labels[version] = level, o.Version
		modes = append(modes, path.Base(name))
	}
	return strings.Join(modes, " and ") + " " + level, labels, kept
}

// leaves is Leaves, and what the server said.
func (o LabelOptions) leaves(s Labelled) (why string, leave bool) {
	why, leave = o.Leaves(s.Space)
	switch {
	case leave:
	case s.Gone:
		return "it was deleted while the plan was made", true
	case s.Exempt:
		return "the API server exempts it from Pod Security: labels would do nothing", true
	case s.Denied != "":
		return "the API server takes no such change of it: " + s.Denied, true
	}
	return why, leave
}

// Labels plans the labels of namespaces: first what is audited and warned of
// everywhere, then what is enforced.
func Labels(all []Labelled, o LabelOptions) Plan {
	p := ForCluster(o.ID, o.Now, o.Cluster)
	var enforced []Step
	for _, s := range all {
		if why, leave := o.leaves(s); leave {
			if why != "" {
				p.Notes = append(p.Notes, Note{o.labelled(s.Space, nil, false).ID(), fact.Text(why)})
			}
			continue
		}
		does, labels, kept := o.told(s)
		details := standing(s)
		if len(kept) > 0 {
			details = append(details, fact.Text("it has "+strings.Join(kept, " and ")+" already, which tells of more and stays"))
		}
		step, any := PatchStep(o.labelled(s.Space, labels, false), fmt.Sprintf("namespace %s: %s", fact.Text(s.Name), does), o.passes(s))
		if any {
			step.Details, details = details, nil
			p.Add(step)
		}
		object := o.Enforce(s.Space, s.Level)
		object.Heard = s.Heard
		if step, any := PatchStep(object, fmt.Sprintf("namespace %s: enforce %s", fact.Text(s.Name), s.Level), "after the API server's own dry run of it finds nothing"); any {
			if step.Details = details; s.Level == privileged {
				step.Why = "so that it stays as it is, whatever the API server's default"
			}
			enforced = append(enforced, step)
		}
	}
	p.Add(enforced...)
	return p
}

func (o LabelOptions) passes(s Labelled) string {
	switch {
	case s.Workloads == 0:
		return "nothing runs there"
	case s.Level == privileged:
		return fmt.Sprintf("not all that runs there passes baseline (workloads: %d)", s.Workloads)
	}
	return fmt.Sprintf("all that runs there passes %s as of %s (workloads: %d)", s.Level, o.Version, s.Workloads)
}

// standing is what stands in the way of the next level.
func standing(s Labelled) []fact.Text {
	var lines []fact.Text
	if s.Stands != "" {
		lines = append(lines, fact.Text(s.Stands))
	}
	for _, refused := range s.Refused {
		lines = append(lines, fact.Text("the API server: "+refused))
	}
	if s.Patched != "" && workload.Stricter(s.Patched, s.Level) {
		lines = append(lines, fact.Text(fmt.Sprintf("it passes %s once its templates say what PodSecurityPolicies put into their pods", s.Patched)))
	}
	return lines
}

// PolicyNotes tell what PodSecurityPolicies have done that nothing does after
// them, and what they need not have allowed. The files of patches are named by
// the function, where they are written; nil: they are part of the command.
func PolicyNotes(admitted []workload.Admission, changed []workload.Mutation, file func(workload.Mutation) string) []Note {
	var notes []Note
	for _, a := range admitted {
		id := fact.ObjectID(fact.Object{Type: "PodSecurityPolicy", Name: fact.Text(a.Policy)})
		switch {
		case a.Pods == 0:
			notes = append(notes, Note{id, "it admitted no pod that is there: nothing has to take its place"})
			continue
		case len(a.Excess) == 0:
			notes = append(notes, Note{id, fact.Text("it admitted " + a.Some)})
			continue
		}
		notes = append(notes, Note{id, fact.Text(fmt.Sprintf("it admitted %s; none of them needs: %s", a.Some, strings.Join(a.Excess, ", ")))})
	}
	for _, m := range changed {
		object := fact.Object{Type: fact.Text(m.Kind), Namespace: fact.Text(m.Namespace), Name: fact.Text(m.Name)}
		says := fmt.Sprintf("the PodSecurityPolicy %s put this into its pods: %s. ", fact.Text(m.Policy), strings.Join(m.Sets, ", "))
		switch {
		case m.Frozen:
			says += "A Job's template cannot be changed: make it anew with that in it"
		case file != nil:
			says += fmt.Sprintf("The template says it itself after: kubectl patch %s %s -n %s --patch-file %s", strings.ToLower(m.Kind), m.Name, m.Namespace, file(m))
		default:
			says += fmt.Sprintf("The template says it itself after: kubectl patch %s %s -n %s -p '%s'", strings.ToLower(m.Kind), m.Name, m.Namespace, strings.ReplaceAll(string(m.Patch), "'", `'\''`))
		}
		notes = append(notes, Note{fact.ObjectID(object), fact.Text(says)})
	}
	return notes
}
