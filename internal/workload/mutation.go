// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"perennial.dev/perennial/internal/fact"
)

// policies are PodSecurityPolicies: whom each admitted, what was put into those
// pods that their templates do not say, and what nobody needs of what it grants.
type policies struct {
	granted   map[string]*grants
	templates map[string]kept    // by namespace/kind/name
	changed   map[string]changed // by the key of the template
}

// kept is a template, as far as a policy may change what is made from it.
type kept struct {
	object   fact.Object // without content
	parent   string      // key of what made it
	security map[string]any
}

// changed is a pod of a template, as a policy has admitted it.
type changed struct {
	policy   string
	security map[string]any
}

func newPolicies() *policies {
	return &policies{granted: map[string]*grants{}, templates: map[string]kept{}, changed: map[string]changed{}}
}

// Admission is what a PodSecurityPolicy has done and may do.
type Admission struct {
	Policy string
	Pods   int
	Some   string   // a few of them, by namespace and name
	Excess []string // what it grants and no pod that it admitted uses
}

// Mutation is what a PodSecurityPolicy put into the pods of a template.
type Mutation struct {
	Policy     string
	APIVersion string // of what has the template
	Kind       string
	Namespace  string
	Name       string
	Sets       []string // "container web: runAsUser 1000"
	// Patch is the strategic merge patch by which the template says it itself.
	Patch json.RawMessage
	// Frozen: the template cannot be changed, as a Job's; it has to be made anew.
	Frozen bool
}

func key(namespace, kind, name string) string { return namespace + "/" + kind + "/" + name }

func (p *policies) template(o fact.Object, m meta, t template) {
	k := kept{object: o, security: securityOf(t)}
	k.object.Content, k.object.Uses = nil, nil
	if kind, name := m.maker(); kind != "" {
		k.parent = key(string(o.Namespace), kind, name)
	}
	p.templates[key(string(o.Namespace), string(o.Type), string(o.Name))] = k
}

// maker is the kind and the name of what made an object and keeps it.
func (m meta) maker() (kind, name string) {
	for _, owner := range m.OwnerReferences {
		if owner.Controller != nil && *owner.Controller {
			return owner.Kind, owner.Name
		}
	}
	return "", ""
}

// pod notes by which policy a pod was admitted, and returns the kind/name of
// whose template it comes from in the end, its own where it has none.
func (p *policies) pod(o fact.Object, pod template, policy string) (root string) {
	kind, name := pod.Metadata.maker()
	from := key(string(o.Namespace), kind, name)
	if policy != "" {
		if p.granted[policy] == nil {
			p.granted[policy] = &grants{}
		}
		p.granted[policy].use(o, pod)
		if _, there := p.changed[from]; !there && kind != "" {
			p.changed[from] = changed{policy, securityOf(pod)}
		}
	}
	for k, ok := p.templates[from]; ok; k, ok = p.templates[from] {
		if k.parent == "" {
			return named(k.object)
		}
		from = k.parent
	}
	return named(o)
}

// Admissions are the policies that were shown, or that pods name, by name.
func (l *Levels) Admissions() []Admission {
	var all []Admission
	for _, name := range slices.Sorted(maps.Keys(l.policies.granted)) {
		g := l.policies.granted[name]
		all = append(all, Admission{Policy: name, Pods: g.pods.count, Some: g.pods.String(), Excess: g.excess()})
	}
	return all
}

// Mutations are the templates whose pods a policy has changed.
func (l *Levels) Mutations() []Mutation {
	p, byRoot := l.policies, map[string]Mutation{}
	for _, from := range slices.Sorted(maps.Keys(p.changed)) {
		was, ok := p.templates[from]
		if !ok {
			continue // its maker is none of Kubernetes' own
		}
		sets, missing := lacking(was.security, p.changed[from].security)
		if len(sets) == 0 {
			continue
		}
		root, at := was, from
		for root.parent != "" {
			above, there := p.templates[root.parent]
			if !there {
				break
			}
			root, at = above, root.parent
		}
		m := Mutation{
			Policy: p.changed[from].policy, APIVersion: string(root.object.APIVersion), Kind: string(root.object.Type),
			Namespace: string(root.object.Namespace), Name: string(root.object.Name), Sets: sets, Frozen: root.object.Type == "Job",
		}
		m.Patch = patchOf(m.Kind, missing)
		byRoot[at] = m // of an old and a new ReplicaSet, either says it
	}
	var all []Mutation
	for _, at := range slices.Sorted(maps.Keys(byRoot)) {
		all = append(all, byRoot[at])
	}
	return all
}

// securityOf is what of a pod or template a PodSecurityPolicy may set (1.24:
// pkg/security/podsecuritypolicy/provider.go MutatePod): the strategic merge
// patch that would set it all.
func securityOf(t template) map[string]any {
	all := map[string]any{}
	put(all, "securityContext", t.Spec.SecurityContext)
	if t.Spec.RuntimeClassName != nil {
		all["runtimeClassName"] = *t.Spec.RuntimeClassName
	}
	for field, containers := range map[string][]corev1.Container{"containers": t.Spec.Containers, "initContainers": t.Spec.InitContainers} {
		within := map[string]any{}
		for i := range containers {
			context := map[string]any{}
			put(context, "securityContext", containers[i].SecurityContext)
			within[containers[i].Name] = context
		}
		all[field] = within
	}
	annotations := map[string]any{}
	for name, value := range t.Metadata.Annotations {
		if strings.HasPrefix(name, "container.apparmor.security.beta.kubernetes.io/") || name == seccompPodAnnotation || strings.HasPrefix(name, seccompContainerAnnotation) {
			annotations[name] = value
		}
	}
	all["annotations"] = annotations
	return all
}

// put sets a field to a value as JSON has it; nothing where it is null or empty.
func put(into map[string]any, name string, value any) {
	text, err := json.Marshal(value)
	if err != nil {
		return
	}
	var tree map[string]any
	if json.Unmarshal(text, &tree) == nil && len(tree) > 0 {
		into[name] = tree
	}
}

// lacking is what the pod has and the template does not, in words and as a tree.
func lacking(template, pod map[string]any) (sets []string, missing map[string]any) {
	missing = beyond(template, pod)
	for _, field := range []string{"containers", "initContainers"} {
		within, _ := missing[field].(map[string]any)
		known, _ := template[field].(map[string]any)
		for name := range within { // what was put in whole is no policy's
			if known[name] == nil {
				delete(within, name)
			}
		}
		if len(within) == 0 {
			delete(missing, field)
		}
	}
	// The fields say the same as the annotations of old, and stay.
	annotations, _ := missing["annotations"].(map[string]any)
	for name := range annotations {
		if strings.Contains(name, "seccomp") {
			delete(annotations, name)
		}
	}
	if len(annotations) == 0 {
		delete(missing, "annotations")
	}
	words(missing, nil, &sets)
	slices.Sort(sets)
	return sets, missing
}

// beyond is what the second tree has and the first has not, or otherwise.
func beyond(first, second map[string]any) map[string]any {
	out := map[string]any{}
	for name, value := range second {
		was, there := first[name]
		wasTree, a := was.(map[string]any)
		tree, b := value.(map[string]any)
		switch {
		case b && (a || !there):
			if sub := beyond(wasTree, tree); len(sub) > 0 {
				out[name] = sub
			}
		case !there || !reflect.DeepEqual(was, value):
			out[name] = value
		}
	}
	return out
}

// words tells a tree leaf by leaf.
func words(tree map[string]any, path []string, sets *[]string) {
	for name, value := range tree {
		at := append(slices.Clone(path), name)
		if sub, ok := value.(map[string]any); ok {
			words(sub, at, sets)
			continue
		}
		text, _ := json.Marshal(value)
		where := strings.Join(slices.DeleteFunc(at, func(s string) bool { return s == "securityContext" }), ".")
		where = strings.NewReplacer("initContainers.", "init container ", "containers.", "container ").Replace(where)
		*sets = append(*sets, fact.Text(fmt.Sprintf("%s %s", where, text)).String())
	}
}

// patchOf wraps a tree into the patch of a kind.
func patchOf(kind string, missing map[string]any) json.RawMessage {
	spec, template := map[string]any{}, map[string]any{}
	for name, value := range missing {
		switch name {
		case "annotations":
			template["metadata"] = map[string]any{"annotations": value}
		case "containers", "initContainers":
			var list []any
			within := value.(map[string]any)
			for _, container := range slices.Sorted(maps.Keys(within)) {
				one := map[string]any{"name": container}
				maps.Copy(one, within[container].(map[string]any))
				list = append(list, one)
			}
			spec[name] = list
		default:
			spec[name] = value
		}
	}
	if len(spec) > 0 {
		template["spec"] = spec
	}
	tree := map[string]any{"spec": map[string]any{"template": template}}
	switch kind {
	case "CronJob":
		tree = map[string]any{"spec": map[string]any{"jobTemplate": tree}}
	case "PodTemplate":
		tree = map[string]any{"template": template}
	}
	text, err := json.Marshal(tree)
	if err != nil {
		return nil
	}
	return text
}
