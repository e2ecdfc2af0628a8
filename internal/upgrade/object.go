// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/rules"
)

// object judges an object by the version that it is in, and by those in which
// somebody uses it.
func (j *Judge) object(o fact.Object) {
	if o.File != "" {
		j.configFile(o)
	}
	if len(o.Content) > 0 {
		j.found = append(j.found, j.settings(o)...)
		j.mirror(o)
	}
	own := j.fates[versionKind{string(o.APIVersion), string(o.Type)}]
	if own == nil && len(o.Uses) == 0 {
		return
	}
	var signs []sign
	switch {
	case own == nil:
	case o.File != "":
		signs = append(signs, sign{fate: own, grade: finding.Seen, words: "the document says so"})
	case own.undecodable != 0:
		j.found = append(j.found, j.undecodableObject(o, own))
		return
	}
	for _, u := range o.Uses {
		if f := j.used(o, u); f != nil {
			signs = append(signs, sign{fate: f, grade: grade(o, u), use: u, words: words(u)})
		}
	}
	j.found = append(j.found, j.customVersions(o)...)
	for _, code := range []finding.Code{finding.APIRemoved, finding.APIOff, finding.APIDeprecated} {
		if of := slices.DeleteFunc(slices.Clone(signs), func(s sign) bool { return s.fate.code != code }); len(of) > 0 {
			j.found = append(j.found, j.usedObject(o, of))
		}
	}
}

// sign is what shows that somebody uses a version that does not stay.
type sign struct {
	fate  *fate
	grade finding.Grade
	use   fact.Use // the zero Use for the object's own version
	words string
}

// used finds the fate of a version in which somebody uses an object. What the
// minor that runs does not serve any more is used by nobody, whatever an
// annotation still says; only Helm goes on to read what it has kept.
func (j *Judge) used(o fact.Object, u fact.Use) *fate {
	var f *fate
	switch u.By {
	case fact.StoredVersion:
		return nil // of a custom resource: no minor takes it away (customVersions)
	case fact.WebhookRule:
		f = j.whole[string(u.APIVersion)]
	case fact.ManagedFields:
		if ownWriter(string(u.Who)) {
			return nil
		}
		f = j.fates[versionKind{string(u.APIVersion), string(o.Type)}]
	default:
		f = j.fates[versionKind{string(u.APIVersion), string(o.Type)}]
	}
	if f == nil || f.code == "" || f.before && u.By != fact.HelmRelease {
		return nil
	}
	return f
}

// ownWriter says that Kubernetes itself writes under this name: its components
// ask for newer versions once they are upgraded themselves.
func ownWriter(manager string) bool {
	switch manager {
	case "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet", "cloud-controller-manager":
		return true
	}
	// k8s.io/apiserver pkg/apis/flowcontrol/bootstrap and pkg/registry/flowcontrol/ensurer, 1.22 on.
	return strings.HasPrefix(manager, "api-priority-and-fairness-config-")
}

// grade says how well a use is known. What kubectl apply has left in an
// annotation is what was applied then: where somebody else has written the
// object later in another version, the file may long be another one.
func grade(o fact.Object, u fact.Use) finding.Grade {
	switch u.By {
	case fact.ManagedFields, fact.WebhookRule:
		return finding.Seen
	case fact.LastApplied:
		for _, other := range o.Uses {
			applied := strings.HasPrefix(string(other.Who), "kubectl")
			if other.By == fact.ManagedFields && !applied && !ownWriter(string(other.Who)) && other.APIVersion != u.APIVersion && other.At.After(u.At) {
				return finding.Unproven
			}
		}
	}
	return finding.ByRule
}

func words(u fact.Use) string {
	when := ""
	if !u.At.IsZero() {
		when = " on " + u.At.UTC().Format(time.DateOnly)
	}
	switch u.By {
	case fact.ManagedFields:
		return fmt.Sprintf("%s wrote it in %s%s (managedFields)", named(u.Who, "somebody"), u.APIVersion, when)
	case fact.LastApplied:
		return fmt.Sprintf("kubectl apply sent it in %s%s (last-applied-configuration)", u.APIVersion, when)
	case fact.HelmRelease:
		return fmt.Sprintf("the Helm release %s holds it in %s%s", named(u.Who, "of its name"), u.APIVersion, when)
	case fact.WebhookRule:
		return fmt.Sprintf("the webhook %s asks for %s", named(u.Who, "in it"), u.APIVersion)
	}
	return fmt.Sprintf("it is used in %s%s", u.APIVersion, when)
}

func named(who fact.Text, otherwise string) fact.Text { return cmp.Or(who, fact.Text(otherwise)) }

// usedObject is the finding about an object that is used in versions of one
// fate: the first one to bite is the end, and all signs are evidence.
func (j *Judge) usedObject(o fact.Object, signs []sign) finding.Finding {
	slices.SortStableFunc(signs, func(a, b sign) int {
		return cmp.Or(cmp.Compare(a.fate.change, b.fate.change), cmp.Compare(rank(a.grade), rank(b.grade)))
	})
	first := signs[0]
	f := j.fated(first.fate)
	f.ID = fact.ObjectID(o)
	f.Object = &finding.Object{APIVersion: fact.Text(first.fate.api.APIVersion()), Kind: o.Type, Namespace: o.Namespace, Name: o.Name}
	if first.use.By == fact.WebhookRule { // it is others that are in that version
		f.Object.APIVersion = o.APIVersion
	}
	f.File, f.Line = o.File, o.Line
	f.Effect, f.Fix = first.effect(o), first.fix()+j.fields(first)
	f.Evidence.Path = o.File
	proven := false
	for _, s := range signs {
		proven = proven || s.grade != finding.Unproven
		f.Evidence.Notes = append(f.Evidence.Notes, fact.Text(string(s.grade)+": "+s.words))
	}
	if !proven {
		f.Impact, f.Class = finding.Hint, finding.Notice
		f.Reason = "it was written in another version since, so that the file may be another one today"
	}
	return f
}

// customVersions finds versions of a custom resource in which objects may be
// stored though they are not served.
func (j *Judge) customVersions(o fact.Object) []finding.Finding {
	var versions []string
	for _, u := range o.Uses {
		if u.By == fact.StoredVersion && o.File == "" {
			versions = append(versions, fact.Text(u.APIVersion).String())
		}
	}
	if len(versions) == 0 {
		return nil
	}
	resource, group, _ := strings.Cut(string(o.Name), ".")
	return []finding.Finding{{
		Code: finding.CustomVersionStored, ID: fact.ObjectID(o), End: at(j.firstHop(), finding.Measured), Impact: finding.Hint, Class: finding.Notice, Keeper: finding.KeeperOwner,
		Object:   &finding.Object{APIVersion: o.APIVersion, Kind: o.Type, Name: o.Name},
		Effect:   fmt.Sprintf("objects of %s may be stored in %s, which it does not serve: a release of the definition without it is refused", o.Name, strings.Join(versions, ", ")),
		Fix:      fmt.Sprintf("kubectl get %s.%s -A -o json | kubectl replace -f -, then take it out of status.storedVersions with kubectl patch --subresource=status", shell(fact.Text(resource)), shell(fact.Text(group))),
		Evidence: finding.Evidence{Notes: []fact.Text{fact.Text(string(finding.Seen) + ": status.storedVersions names " + strings.Join(versions, ", "))}},
	}}
}

func rank(g finding.Grade) int {
	return slices.Index([]finding.Grade{finding.Seen, finding.ByRule, finding.Unproven}, g)
}

// fated is a finding about a version, without what uses it.
func (j *Judge) fated(f *fate) finding.Finding {
	out := finding.Finding{Code: f.code, End: f.end, Impact: finding.Breaks, Class: finding.Fault, Keeper: finding.KeeperOwner, Rule: f.rule}
	switch {
	case f.code == finding.APIDeprecated:
		out.Impact, out.Class = finding.Hint, finding.Notice
		if f.api.Removed.IsZero() {
			out.Reason = "no minor is known that removes it"
		} else {
			out.RemovedIn = f.api.Removed.Minor.String()
		}
	case f.code == finding.APIRemoved:
		out.RemovedIn = f.change.String()
	}
	switch {
	case f.before:
		out.Reason = fmt.Sprintf("it was removed in %s: %s does not serve it either", f.change, j.way.From)
	case f.optional:
		out.Reason = fmt.Sprintf("%s serves it only where --runtime-config or a feature gate enables it", j.from(f.change))
	}
	return out
}

// effect is who loses what.
func (s sign) effect(o fact.Object) string {
	what, when := s.fate.api.GroupVersionKind, s.fate.end.Version
	gone := fmt.Sprintf("%s no longer serves %s", when, what)
	switch s.fate.code {
	case finding.APIOff:
		gone = fmt.Sprintf("%s serves %s only where it is enabled", when, what)
	case finding.APIDeprecated:
		if s.fate.api.Removed.IsZero() {
			return fmt.Sprintf("%s is deprecated since %s", what, s.fate.api.Deprecated.Minor)
		}
		return fmt.Sprintf("%s is deprecated since %s and is to go in %s", what, s.fate.api.Deprecated.Minor, when)
	}
	switch {
	case s.use.By == fact.WebhookRule:
		return fmt.Sprintf("%s: the webhook %s is no longer called for what it names only in that version", gone, named(s.use.Who, "in it"))
	case o.File != "":
		return gone + ": whoever applies the document is refused"
	case s.use.By == fact.ManagedFields:
		return fmt.Sprintf("%s: %s is refused when it writes the object again as it did", gone, named(s.use.Who, "its writer"))
	case s.use.By == fact.LastApplied:
		return gone + ": kubectl apply of the file that it came from is refused"
	case s.use.By == fact.HelmRelease:
		return fmt.Sprintf("%s: helm upgrade, rollback and uninstall of %s fail while the release holds it", gone, named(s.use.Who, "the release"))
	}
	return gone + ": the object can be reached by nobody any more"
}

// fields is what has to be said otherwise in the version that takes over.
func (j *Judge) fields(s sign) string {
	change, ok := j.rules.FieldChange(s.fate.api.GroupVersionKind, s.fate.successor.APIVersion())
	if !ok || s.use.By == fact.WebhookRule {
		return ""
	}
	return "; there, " + change.Change
}

func (s sign) fix() string {
	next, old := s.fate.successor, s.fate.api
	switch {
	case next.Kind == "":
		return fmt.Sprintf("take it out: no later version has the kind %s", old.Kind)
	case next.Kind != old.Kind:
		return fmt.Sprintf("use %s instead", next)
	case s.use.By == fact.WebhookRule:
		return fmt.Sprintf("add %s to the apiVersions of the webhook's rule", next.Version)
	case s.use.By == fact.HelmRelease:
		return fmt.Sprintf("helm upgrade %s with a chart that says `apiVersion: %s`, before the cluster's upgrade", helmName(s.use.Who), next.APIVersion())
	case s.use.By == fact.ManagedFields:
		return fmt.Sprintf("let %s write `apiVersion: %s`", named(s.use.Who, "its writer"), next.APIVersion())
	}
	return fmt.Sprintf("replace `apiVersion: %s` by `apiVersion: %s`", old.APIVersion(), next.APIVersion())
}

// helmName is the release without its revision.
func helmName(who fact.Text) fact.Text {
	name, _, _ := strings.Cut(string(who), " ")
	return fact.Text(name)
}

// undecodableObject is an object that may be stored as what a later minor
// cannot read, so that it can list none of the kind.
func (j *Judge) undecodableObject(o fact.Object, f *fate) finding.Finding {
	return finding.Finding{
		Code: finding.StoredVersionRemoved, ID: fact.ObjectID(o), End: at(f.undecodable, finding.Measured),
		Impact: finding.Blocks, Class: finding.Fault, Keeper: finding.KeeperOwner, RemovedIn: f.undecodable.String(), Rule: cite(f.api.Source),
		Object: &finding.Object{APIVersion: o.APIVersion, Kind: o.Type, Namespace: o.Namespace, Name: o.Name},
		Effect: fmt.Sprintf("%s cannot read what is stored as %s: while one such object is there, kube-apiserver can list none of the kind", f.undecodable, f.api.GroupVersionKind),
		Reason: fmt.Sprintf("%s knows the kind in no other version, so that it is stored in this one", j.way.From),
		Fix:    j.storedFix(o, f),
		Evidence: finding.Evidence{Notes: []fact.Text{
			fact.Text(string(finding.ByRule) + ": the object is there, and " + j.way.From.String() + " stores its kind in no other version"),
		}},
	}
}

// storedFix rewrites where a minor on the way knows both versions, and deletes
// where none does.
func (j *Judge) storedFix(o fact.Object, f *fate) string {
	where := ""
	if o.Namespace != "" {
		where = " -n " + shell(o.Namespace)
	}
	resource := fmt.Sprintf("%s.%s", f.api.Resource, f.api.Group)
	for m := j.way.From + 1; m < f.undecodable; m++ {
		if next := successor(f.api, j.rules.APIs(), m, m); next.Kind != "" && f.api.Registered.Has(m) {
			return fmt.Sprintf("on %s: kubectl get %s%s %s -o json | kubectl replace -f -", m, resource, where, shell(o.Name))
		}
	}
	return fmt.Sprintf("before the upgrade to %s: kubectl delete %s%s %s", f.undecodable, resource, where, shell(o.Name))
}

// shell is a word of a command line. The names of objects need no quotes; what
// does is no name.
func shell(s fact.Text) string {
	if strings.ContainsFunc(string(s), func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || strings.ContainsRune("-.:_", r))
	}) {
		return "NAME"
	}
	return string(s)
}

// requested judges what the API server has counted. It does not know of whom.
func (j *Judge) requested(r fact.Requested) {
	f := j.asked[versionResource{string(r.Group), string(r.Version), string(r.Resource)}]
	if f == nil || f.code == "" || f.before || f.alone {
		// The controllers that collect garbage, empty namespaces and count
		// quota ask for every resource in the version that the server prefers
		// (k8s.io/kubernetes cmd/kube-controller-manager/app, ServerPreferredResources):
		// where that is the only one, a request says nothing about anybody else.
		return
	}
	id := fact.ObjectID(fact.Object{Type: "api", Name: fact.Text(resourceName(f.api))})
	if j.seen[id] {
		return // another API server's
	}
	j.seen[id] = true
	out := j.fated(f)
	out.ID = id
	out.Object = &finding.Object{APIVersion: fact.Text(f.api.APIVersion()), Kind: fact.Text(f.api.Kind)}
	out.Effect = sign{fate: f}.requestEffect()
	out.Fix = "find the client in the API server's audit log: the annotation k8s.io/deprecated is \"true\" on its requests"
	if next := f.successor; next.Kind != "" {
		out.Fix += fmt.Sprintf("; let it ask for %s", next.APIVersion())
	}
	out.Evidence = finding.Evidence{Endpoint: r.Endpoint, Notes: []fact.Text{
		"seen: the API server counted requests for it since it was started (apiserver_requested_deprecated_apis); the metric names no client",
	}}
	j.found = append(j.found, out)
}

func resourceName(a rules.API) string { return a.Resource + "." + a.Version + "." + a.Group }

func (s sign) requestEffect() string {
	gone := s.effect(fact.Object{})
	if s.fate.code != finding.APIDeprecated {
		gone, _, _ = strings.Cut(gone, ": ")
		gone += ": a client that asks for it is refused"
	}
	return gone
}
