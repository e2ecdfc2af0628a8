// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/pod-security-admission/api"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// The labels of a namespace that say what Pod Security does in it.
var PodSecurityLabels = []string{
	api.EnforceLevelLabel, api.EnforceVersionLabel, api.AuditLevelLabel, api.AuditVersionLabel, api.WarnLevelLabel, api.WarnVersionLabel,
}

// PodSecurityServed says whether API servers of a minor act by those labels as
// they come.
func PodSecurityServed(m release.Minor) bool { return changes()[podSecurity].In(m) }

// PoliciesServed says whether API servers of a minor know PodSecurityPolicies.
func PoliciesServed(m release.Minor) bool { return !changes()[podSecurityPolicyGone].In(m) }

// Stricter says whether a level forbids more than another one. What is no level
// is taken for restricted, as API servers take it.
func Stricter(level, than string) bool {
	return api.CompareLevels(api.Level(level), api.Level(than)) > 0
}

// IsLevel says whether a text is a level's name.
func IsLevel(text string) bool {
	_, err := api.ParseLevel(text)
	return err == nil
}

// Levels finds out which Pod Security level the workloads of each namespace
// pass, at every minor of a way. Templates and what makes them have to be shown
// before the pods.
type Levels struct {
	*admission
	spaces   map[string]*levelled
	policies *policies
}

// levelled is a namespace with what its workloads are forbidden.
type levelled struct {
	Space
	seen bool
	by   map[string]verdictOf // templates, and pods made from none, by kind/name
	// mutated is what forbids the pods that a PodSecurityPolicy has changed, by
	// the kind/name of what they were made from.
	mutated map[string][len(levels)]checks
}

type verdictOf struct {
	checks [len(levels)]checks
	root   string // kind/name of the template, where it is a pod's own
}

// Space is what is known of a namespace.
type Space struct {
	Name, UID string
	Labels    map[string]string // those of PodSecurityLabels that are set
	Ending    bool              // it is being deleted
	Workloads int               // templates, and pods made from none
	// Level is the strictest that all of them pass at every minor of the way,
	// and Stands says what forbids the next one, and in whom.
	Level, Stands string
	// Patched is the level that they would pass if their templates said what
	// PodSecurityPolicies put into their pods.
	Patched string
}

// NewLevels makes a judge that has seen nothing. The way may have no hop.
func NewLevels(set *rules.Set, way rules.Way) *Levels {
	return &Levels{
		admission: newAdmission(set, max(way.From, changes()[podSecurity].Minor), max(way.To, changes()[podSecurity].Minor)),
		spaces:    map[string]*levelled{},
		policies:  newPolicies(),
	}
}

// See takes in an object: a namespace, a PodSecurityPolicy, a pod or what makes
// pods. An error is one that is none of its kind's.
func (l *Levels) See(o fact.Object) error {
	switch o.Type {
	case "Namespace":
		return l.seeNamespace(o)
	case "PodSecurityPolicy":
		return l.policies.see(o)
	case "Pod":
		return l.seePod(o)
	}
	t, m, err := templateOf(o)
	if err != nil {
		return err
	}
	l.template(o, m, t)
	return nil
}

func (l *Levels) space(name string) *levelled {
	found, ok := l.spaces[name]
	if !ok {
		found = &levelled{Space: Space{Name: name}, by: map[string]verdictOf{}, mutated: map[string][len(levels)]checks{}}
		l.spaces[name] = found
	}
	return found
}

func (l *Levels) seeNamespace(o fact.Object) error {
	var content struct {
		Metadata struct {
			UID     string            `json:"uid"`
			Labels  map[string]string `json:"labels"`
			Deleted *string           `json:"deletionTimestamp"`
		} `json:"metadata"`
	}
	if err := read(o, &content); err != nil {
		return err
	}
	s := l.space(string(o.Name))
	s.seen, s.UID, s.Labels, s.Ending = true, content.Metadata.UID, content.Metadata.Labels, content.Metadata.Deleted != nil
	maps.DeleteFunc(s.Labels, func(name, _ string) bool { return !slices.Contains(PodSecurityLabels, name) })
	return nil
}

func (l *Levels) template(o fact.Object, m meta, t template) {
	l.policies.template(o, m, t)
	if madeFrom[m.controller()] { // its maker's template is judged
		return
	}
	s := l.space(string(o.Namespace))
	s.Workloads++
	s.by[named(o)] = verdictOf{checks: l.anywhere(t), root: named(o)}
}

// seePod judges a pod like a template. One that was made from a template is
// judged, too, since something may have been put into it; but where that was
// a PodSecurityPolicy it is to go, and the template says what comes after.
func (l *Levels) seePod(o fact.Object) error {
	var pod template
	if err := read(o, &pod); err != nil {
		return err
	}
	policy := pod.Metadata.Annotations[pspAnnotation]
	root := l.policies.pod(o, pod, policy)
	s := l.space(string(o.Namespace))
	made := madeFrom[pod.Metadata.controller()]
	if !made {
		s.Workloads++
	}
	if found := l.anywhere(pod); made && policy != "" {
		s.mutated[root] = union(s.mutated[root], found)
	} else {
		s.by[named(o)] = verdictOf{checks: found, root: root}
	}
	return nil
}

// anywhere is what forbids a pod at any minor of the way.
func (l *Levels) anywhere(t template) (all [len(levels)]checks) {
	for _, at := range l.judge(t.Metadata, t.Spec) {
		all = union(all, at)
	}
	return all
}

func union(a, b [len(levels)]checks) [len(levels)]checks {
	for i := range a {
		a[i] |= b[i]
	}
	return a
}

// Spaces are the namespaces that were shown, by name.
func (l *Levels) Spaces() []Space {
	var all []Space
	for _, name := range slices.Sorted(maps.Keys(l.spaces)) {
		if s := l.spaces[name]; s.seen {
			s.Level, s.Stands = l.strictest(s.by)
			patched := maps.Clone(s.by)
			for root, found := range s.mutated {
				patched[root] = verdictOf{checks: found}
			}
			s.Patched, _ = l.strictest(patched)
			all = append(all, s.Space)
		}
	}
	return all
}

func (l *Levels) strictest(by map[string]verdictOf) (level, stands string) {
	passed := api.LevelPrivileged
	for i := range levels {
		var forbidding checks
		var who few
		for name, v := range by {
			if v.checks[i] != 0 {
				forbidding |= v.checks[i]
				who.add(name)
			}
		}
		if forbidding != 0 {
			return string(passed), fmt.Sprintf("in the way of %s: %s, in %s", levels[i], strings.Join(l.names(forbidding), ", "), fact.Text(who.String()))
		}
		passed = levels[i]
	}
	return string(passed), ""
}
