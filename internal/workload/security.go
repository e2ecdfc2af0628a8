// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/pod-security-admission/api"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// security is Pod Security by namespace.
type security struct {
	*admission // nil where none is on the way
	spaces     map[string]*space
	policies   []seenPolicy
	uses       map[string]*policyUse // by the policy's name
}

// space is a namespace. What runs in it is not kept, only what forbids it.
type space struct {
	object    *fact.Object // nil until it was seen
	enforce   api.LevelVersion
	labelled  bool
	workloads int
	// last is what is forbidden at the end of the way, by level.
	last [len(levels)]forbidden
	// later is what is admitted at its beginning and forbidden from a later
	// step on, by level and that step.
	later [len(levels)]map[int]*forbidden
}

// forbidden is what checks forbid, and which.
type forbidden struct {
	checks checks // of templates, and of pods made from none
	who    few
	made   checks // of pods made from a template
	pods   few
}

func (f *forbidden) add(c checks, o fact.Object, made bool) {
	if c == 0 {
		return
	}
	if made {
		f.made |= c
		f.pods.add(named(o))
		return
	}
	f.checks |= c
	f.who.add(named(o))
}

// injected are checks that forbid pods and not what they were made from.
func (f *forbidden) injected() checks { return f.made &^ f.checks }

func (f *forbidden) all() checks { return f.checks | f.made }

// names are those who are forbidden, templates before the pods made from them.
func (f *forbidden) names() string {
	if f.who.count > 0 {
		return f.who.String()
	}
	return f.pods.String()
}

func newSecurity(set *rules.Set, way rules.Way) security {
	s := security{spaces: map[string]*space{}, uses: map[string]*policyUse{}}
	first := max(way.From, changes()[podSecurity].Minor)
	if first <= way.To {
		s.admission = newAdmission(set, first, way.To)
	}
	return s
}

func (s *security) space(name string) *space {
	found, ok := s.spaces[name]
	if !ok {
		found = &space{enforce: api.LevelVersion{Level: api.LevelPrivileged, Version: api.LatestVersion()}}
		s.spaces[name] = found
	}
	return found
}

func (j *Judge) seeNamespace(o fact.Object) error {
	var content struct {
		Metadata meta `json:"metadata"`
	}
	if err := read(o, &content); err != nil {
		return err
	}
	s := j.security.space(string(o.Name))
	if s.object != nil && s.object.File == "" {
		return nil // what the cluster holds counts, not what a file says
	}
	o.Content, o.Uses = nil, nil
	s.object = &o
	// A label that cannot be read enforces restricted at latest, as it does in
	// the API server.
	all, _ := api.PolicyToEvaluate(content.Metadata.Labels, api.Policy{
		Enforce: api.LevelVersion{Level: api.LevelPrivileged, Version: api.LatestVersion()},
	})
	s.enforce = all.Enforce
	_, s.labelled = content.Metadata.Labels[api.EnforceLevelLabel]
	return nil
}

// secure judges a pod or template against all levels and minors.
func (j *Judge) secure(o fact.Object, t template) {
	if j.security.admission == nil || o.Namespace == "" {
		return
	}
	made := o.Type == "Pod" && madeFrom[t.Metadata.controller()]
	s := j.security.space(string(o.Namespace))
	if !made {
		s.workloads++
	}
	v := j.security.judge(t.Metadata, t.Spec)
	for l := range levels {
		s.last[l].add(v[len(v)-1][l], o, made)
		if v[0][l] != 0 {
			continue
		}
		later := slices.IndexFunc(v, func(at [len(levels)]checks) bool { return at[l] != 0 })
		if later < 0 {
			continue
		}
		if s.later[l] == nil {
			s.later[l] = map[int]*forbidden{}
		}
		if s.later[l][later] == nil {
			s.later[l][later] = &forbidden{}
		}
		s.later[l][later].add(v[later][l], o, made)
	}
}

// strictest is the strictest level that all pods of the namespace pass at the
// end of the way, and what stands in the way of the next one.
func (s *space) strictest() (api.Level, *forbidden) {
	level, stands := api.LevelPrivileged, (*forbidden)(nil)
	for l := range levels {
		if stands = &s.last[l]; stands.all() != 0 {
			return level, stands
		}
		level = levels[l]
	}
	return level, nil
}

func (j *Judge) securityFindings() []finding.Finding {
	if j.security.admission == nil {
		return nil
	}
	all := j.policyFindings()
	for _, name := range slices.Sorted(maps.Keys(j.security.spaces)) {
		s := j.security.spaces[name]
		if s.object == nil {
			continue
		}
		if f, ok := j.drift(s); ok {
			all = append(all, f)
		}
		if f, ok := j.unset(s); ok {
			all = append(all, f)
		}
	}
	return all
}

// drift is what a namespace that does not enforce a fixed version refuses after
// a hop and admits now.
func (j *Judge) drift(s *space) (finding.Finding, bool) {
	l := slices.Index(levels[:], s.enforce.Level)
	if l < 0 {
		return finding.Finding{}, false
	}
	steps := slices.Sorted(maps.Keys(s.later[l]))
	steps = slices.DeleteFunc(steps, func(i int) bool {
		return !s.enforce.Version.Latest() && j.security.steps[i].minor > release.Minor(s.enforce.Version.Minor())
	})
	if len(steps) == 0 {
		return finding.Finding{}, false
	}
	first := s.later[l][steps[0]]
	r := j.checkRule(j.security.steps[steps[0]].minor, first.all())
	f := about(*s.object, finding.PodSecurityDrift, finding.Breaks, r)
	f.Effect = fmt.Sprintf("pods of %s are refused in the namespace %s from %s on, because it enforces the level %s of %s; those that run stay until they are replaced",
		first.names(), s.object.Name, r.minor, s.enforce.Level, versionInWords(s.enforce.Version))
	note(&f, "refused by: "+strings.Join(j.security.names(first.all()), ", "))
	if injected := first.injected(); injected != 0 {
		note(&f, fmt.Sprintf("%s: in pods such as %s and not in what they are made from, so something puts it in", strings.Join(j.security.names(injected), ", "), first.pods))
	}
	for _, i := range steps[1:] {
		note(&f, fmt.Sprintf("from %s on also %s: %s", j.security.steps[i].minor, s.later[l][i].names(), strings.Join(j.security.names(s.later[l][i].all()), ", ")))
	}
	f.Fix = labelCommand(*s.object, api.EnforceVersionLabel+"=v"+(r.minor-1).String())
	return f, true
}

func versionInWords(v api.Version) string {
	if v.Latest() {
		return "the newest version"
	}
	return v.String()
}

// unset is a namespace that nothing guards once PodSecurityPolicies are gone.
func (j *Judge) unset(s *space) (finding.Finding, bool) {
	gone, bites := j.bites(podSecurityPolicyGone)
	if !bites || len(j.security.policies) == 0 || s.labelled || s.workloads == 0 {
		return finding.Finding{}, false
	}
	level, stands := s.strictest()
	f := about(*s.object, finding.PodSecurityUnset, finding.Hint, rule{gone.Minor, gone.Source})
	f.Effect = fmt.Sprintf("nothing is enforced on the namespace %s once PodSecurityPolicies are gone; the strictest level that all of its %s pass is %s",
		s.object.Name, counted(s.workloads, "workload"), level)
	if stands != nil {
		note(&f, fmt.Sprintf("in the way of the next level: %s, in %s", strings.Join(j.security.names(stands.all()), ", "), stands.names()))
	}
	f.Fix = labelCommand(*s.object, j.enforce(level)...)
	return f, true
}

// enforce are the labels that enforce a level as it is at the end of the way.
func (j *Judge) enforce(level api.Level) []string {
	return []string{api.EnforceLevelLabel + "=" + string(level), api.EnforceVersionLabel + "=v" + j.way.To.String()}
}

func labelCommand(o fact.Object, labels ...string) string {
	if o.File != "" {
		return "add to its labels: " + strings.ReplaceAll(strings.Join(labels, ", "), "=", ": ")
	}
	return "kubectl label --overwrite namespace " + o.Name.String() + " " + strings.Join(labels, " ")
}

// checkRule says where it is written that checks changed in a minor.
func (j *Judge) checkRule(m release.Minor, set checks) rule {
	names := j.security.names(set)
	for _, row := range j.rules.PodSecurityChanges(m-1, m) {
		if slices.Contains(names, row.Check) {
			return rule{m, row.Source}
		}
	}
	if c := changes()[seccompAnnotationsIgnored]; c.Minor == m {
		return rule{m, c.Source}
	}
	for _, gate := range []string{"UserNamespacesSupport", "ProcMountType"} {
		if row, ok := j.rules.Gate("kube-apiserver", gate, m); ok && row.First == m {
			return rule{m, row.Source}
		}
	}
	return rule{m, changes()[appArmorFields].Source}
}
