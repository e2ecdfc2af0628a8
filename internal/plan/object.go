// SPDX-License-Identifier: Apache-2.0

package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
)

// Cluster says which cluster a plan is for and how it was reached, so that what
// was cut off is finished, and what was done is undone, there and nowhere else.
type Cluster struct {
	Server     string `json:"server"`               // host:port, and a path where there is one
	Kubeconfig string `json:"kubeconfig,omitempty"` // the one file that was named; empty: as kubectl finds it
	Context    string `json:"context,omitempty"`    // empty: the current one, at each time
	// UID is that of the namespace kube-system, which lives as long as the
	// cluster and is no other cluster's.
	UID string `json:"uid"`
}

// Object is an object of the API, and what a step changes in it.
type Object struct {
	APIVersion string  `json:"apiVersion"`
	Kind       string  `json:"kind"`
	Resource   string  `json:"resource"` // plural, as in the API's paths
	Namespace  string  `json:"namespace,omitempty"`
	Name       string  `json:"name"`
	UID        string  `json:"uid"` // another one of the same name is left alone
	Fields     []Field `json:"fields"`
	// Rehearse: the server is first asked to do it without storing it, and what
	// it warns of stops the step. RehearseBack: what takes the step back is
	// rehearsed so, as where that was taken back itself.
	Rehearse     bool `json:"rehearse,omitempty"`
	RehearseBack bool `json:"rehearseBack,omitempty"`
	// Heard is what the server warned of when it was asked to change nothing:
	// it says so of any change, and so nothing against this one.
	Heard []string `json:"heard,omitempty"`
}

// Unheard are the warnings of a rehearsal that speak against the change.
func (o Object) Unheard(warnings []string) []string {
	return slices.DeleteFunc(slices.Clone(warnings), func(w string) bool { return slices.Contains(o.Heard, w) })
}

// Field is a field whose value is a text, by the names that lead to it. A value
// is absent where the field is not there.
type Field struct {
	Path   []string `json:"path"`
	Before *string  `json:"before,omitempty"`
	After  *string  `json:"after,omitempty"`
}

// Text is a value of a field that is there.
func Text(value string) *string { return &value }

// Standing is how an object stands to what a step makes of it.
type Standing string

// The standings.
const (
	AsBefore Standing = "as before"
	AsAfter  Standing = "as it is to be"
	Gone     Standing = "gone"
	Changed  Standing = "changed by somebody else"
)

// ID is the object's in reports.
func (o Object) ID() fact.ID {
	return fact.ObjectID(fact.Object{APIVersion: fact.Text(o.APIVersion), Type: fact.Text(o.Kind), Namespace: fact.Text(o.Namespace), Name: fact.Text(o.Name)})
}

// String names the object as kubectl does, with its namespace.
func (o Object) String() string {
	name := strings.ToLower(o.Kind) + " " + o.Name
	if o.Namespace != "" {
		name += " of " + o.Namespace
	}
	return fact.Text(name).String()
}

// Back is the object with its fields changed back. What was rehearsed is not
// rehearsed to be taken back, and is again to be done again.
func (o Object) Back() Object {
	o.Rehearse, o.RehearseBack = o.RehearseBack, o.Rehearse
	o.Fields = slices.Clone(o.Fields)
	for i, f := range o.Fields {
		o.Fields[i].Before, o.Fields[i].After = f.After, f.Before
	}
	return o
}

// Stands says how the object's JSON, nil where it is not there, stands to what
// the step makes of it, with the version under which it may be changed.
func (o Object) Stands(content json.RawMessage) (is Standing, version, why string) {
	if content == nil {
		return Gone, "", "there is no " + o.String()
	}
	var tree map[string]any
	if err := json.Unmarshal(content, &tree); err != nil {
		return Changed, "", "what the server sent is no object"
	}
	version, _ = at(tree, "metadata", "resourceVersion").(string)
	if uid := at(tree, "metadata", "uid"); uid != o.UID {
		return Gone, version, "it was deleted, and made anew under the same name"
	}
	before, after := true, true
	for _, f := range o.Fields {
		now := at(tree, f.Path...)
		before = before && same(now, f.Before)
		after = after && same(now, f.After)
		if !same(now, f.Before) && !same(now, f.After) {
			why = fmt.Sprintf("%s is %s", f.name(), spelled(now))
		}
	}
	switch {
	case after:
		return AsAfter, version, ""
	case before:
		return AsBefore, version, ""
	case why == "":
		why = "some of its fields are as before, others as they were to be"
	}
	return Changed, version, why
}

// Merge is the JSON merge patch (RFC 7386) that changes the fields of the object
// in one version of it and in no other: a server refuses it for any other.
func (o Object) Merge(version string) ([]byte, error) {
	tree := map[string]any{"metadata": map[string]any{"resourceVersion": version, "uid": o.UID}}
	for _, f := range o.Fields {
		if len(f.Path) == 0 {
			return nil, errors.New("a field without a name")
		}
		into := tree
		for _, name := range f.Path[:len(f.Path)-1] {
			next, ok := into[name].(map[string]any)
			if !ok {
				next = map[string]any{}
				into[name] = next
			}
			into = next
		}
		if into[f.Path[len(f.Path)-1]] = nil; f.After != nil {
			into[f.Path[len(f.Path)-1]] = *f.After
		}
	}
	return json.Marshal(tree)
}

// name is how a field is told: labels and annotations by their own name.
func (f Field) name() string {
	if len(f.Path) == 3 && f.Path[0] == "metadata" {
		return fact.Text(f.Path[2]).String()
	}
	return fact.Text(strings.Join(f.Path, ".")).String()
}

func at(tree map[string]any, path ...string) any {
	var value any = tree
	for _, name := range path {
		within, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = within[name]
	}
	return value
}

func same(now any, wanted *string) bool {
	if wanted == nil {
		return now == nil
	}
	return now == *wanted
}

func spelled(value any) string {
	if value == nil {
		return "not there"
	}
	return fact.Text(fmt.Sprintf("%q", fmt.Sprint(value))).String()
}

// spelled tells the fields as they are to be.
func (o Object) spelled() string {
	var all []string
	for _, f := range o.Fields {
		if f.After == nil {
			all = append(all, "no "+f.name())
			continue
		}
		all = append(all, f.name()+" "+fact.Text(*f.After).String())
	}
	return strings.Join(all, ", ")
}

func (e Expect) objectHolds(after Seen) (Answer, string) {
	if e.Object == nil {
		return Unknown, "it does not say of which object"
	}
	return e.Object.holds(after)
}

// holds says whether the object is as it is to be.
func (o Object) holds(after Seen) (Answer, string) {
	id := o.ID()
	for _, f := range after.Facts {
		seen, ok := f.(fact.Object)
		if !ok || fact.ObjectID(seen) != id {
			continue
		}
		switch is, _, why := o.Stands(seen.Content); is {
		case AsAfter:
			return Yes, o.String() + " has " + o.spelled()
		case AsBefore:
			return No, o.String() + " is as before"
		default:
			return No, why
		}
	}
	for _, u := range after.Unseen {
		if u.What == fact.Text(id) {
			return Unknown, string(u.Detail)
		}
	}
	return No, "there is no " + o.String()
}

// ForCluster is an empty plan for the objects of a cluster.
func ForCluster(id string, now time.Time, c Cluster) Plan {
	return Plan{
		APIVersion: finding.APIVersion, Kind: Kind, ID: id, Node: fact.Text(c.Server), Made: now.UTC().Truncate(time.Second),
		Steps: []Step{}, Notes: []Note{}, Cluster: &c,
	}
}

// PatchStep changes fields of an object. Fields that are as they are to be are
// left out; without any, there is nothing to do.
func PatchStep(o Object, title, why string) (Step, bool) {
	o.Fields = slices.DeleteFunc(slices.Clone(o.Fields), func(f Field) bool {
		return (f.Before == nil) == (f.After == nil) && (f.Before == nil || *f.Before == *f.After)
	})
	return Step{
		Verb: Patch, ID: o.ID(), Title: title, Why: why, Object: &o,
		Expect: []Expect{{Predicate: ObjectHolds, ID: o.ID(), Object: &o}},
	}, len(o.Fields) > 0
}

// Objects are those of a plan, each once.
func (p Plan) Objects() []Object {
	var all []Object
	for _, s := range p.Steps {
		if s.Object != nil && !slices.ContainsFunc(all, func(o Object) bool { return o.ID() == s.Object.ID() }) {
			all = append(all, *s.Object)
		}
	}
	return all
}

// ForObjectUndo plans to take back the steps of a plan that were done, the last
// first. It is refused as a whole where one object is not what the plan made of
// it; but what an undo that stopped half way has taken back, and is as it left it,
// needs nothing more.
func ForObjectUndo(of Plan, done map[int]bool, taken []Step, seen Seen, id string, now time.Time) (Plan, error) {
	back := ForCluster(id, now, *of.Cluster)
	back.Undoes = of.ID
	var refused []error
	for _, s := range slices.Backward(of.Steps) {
		if s.Object == nil || !done[s.Number] {
			continue
		}
		before := s.Object.Back()
		answer, why := s.Object.holds(seen)
		restored, _ := before.holds(seen)
		switch {
		case answer == Yes:
			if step, any := PatchStep(before, "change back "+s.Object.String(), "it takes back: "+s.Title); any {
				back.Add(step)
			}
		case answer == Unknown:
			refused = append(refused, fmt.Errorf("%s could not be looked at: %s", s.Object, why))
		case restored != Yes || !slices.ContainsFunc(taken, func(t Step) bool { return t.ID == s.ID && t.Object.spelled() == before.spelled() }):
			refused = append(refused, fmt.Errorf("%s was changed since, by something else: %s", s.Object, why))
		}
	}
	if err := errors.Join(refused...); err != nil {
		return back, fmt.Errorf("undoing the plan %s: %w", of.ID, err)
	}
	return back, nil
}
