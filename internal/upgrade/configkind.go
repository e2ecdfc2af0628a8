// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"cmp"
	"fmt"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// configKinds judges the configuration files of components by the versions that
// they are written in.
func (j *Judge) configKinds(node string) []finding.Finding {
	var found []finding.Finding
	for _, f := range j.mine {
		d, ok := f.(fact.ConfigDocument)
		if !ok || d.APIVersion == "" {
			continue
		}
		u := unit{component: d.Component, id: nodeID(node, d.Component)}
		if !strings.HasPrefix(d.Path, "/") {
			u.id = "cluster/" + d.Component
		}
		found = append(found, j.configDocument(u, d)...)
	}
	return found
}

// configDocument judges one document for a unit.
func (j *Judge) configDocument(u unit, d fact.ConfigDocument) []finding.Finding {
	row, known := j.rules.ConfigKind(d.Component, rules.ParseAPIVersion(string(d.APIVersion), string(d.Type)))
	if !known || j.writtenAnew(d, row) {
		return nil
	}
	if f, ok := j.configKind(u, d, row); ok {
		return []finding.Finding{f}
	}
	return nil
}

// writtenAnew says that kubeadm takes the document along: what it keeps in the
// cluster, it writes with each upgrade in the newest version that it knows
// (k8s.io/kubernetes v1.25.0 to v1.37.0, cmd/kubeadm/app/phases/uploadconfig/uploadconfig.go).
func (j *Judge) writtenAnew(d fact.ConfigDocument, row rules.ConfigKind) bool {
	return d.Component == kubeadm && strings.HasPrefix(d.Path, configMap) && j.way.From != 0 && row.Known.Has(j.firstHop())
}

// configMap is what the place of a ConfigMap begins with, where a file has its
// path.
const configMap = "ConfigMap "

// configFile judges a document that may be a component's configuration file. Of
// what a cluster keeps of those a ConfigDocument tells.
func (j *Judge) configFile(o fact.Object) {
	for _, row := range j.readers[versionKind{string(o.APIVersion), string(o.Type)}] {
		d := fact.ConfigDocument{Path: o.File, Line: o.Line, Component: row.Component, APIVersion: o.APIVersion, Type: o.Type}
		if f, ok := j.configKind(unit{component: row.Component, id: string(fact.ObjectID(o)) + "/" + row.Component}, d, row); ok {
			j.found = append(j.found, in(o, []finding.Finding{f})...)
		}
	}
}

func (j *Judge) configKind(u unit, d fact.ConfigDocument, row rules.ConfigKind) (finding.Finding, bool) {
	id := u.thing("config", string(d.Type))
	fill := func(f finding.Finding) (finding.Finding, bool) {
		f.Evidence.Path = d.Path
		f.Fix = j.configFix(d, row)
		if d.Line > 0 {
			noteArg(&f, fmt.Sprintf("line %d: apiVersion: %s", d.Line, d.APIVersion))
		}
		if d.Flag != "" {
			noteArg(&f, "--"+strings.TrimLeft(d.Flag, "-"))
		}
		return f, true
	}
	for _, m := range j.hops() {
		if row.Known.Has(m) || m < row.Known[0].First {
			continue
		}
		source := row.Removed.Source
		if row.Removed.IsZero() {
			source = row.Source
		}
		f := u.blocks(finding.ConfigKindRemoved, id, at(m, finding.Measured), source)
		f.RemovedIn = removedBefore(row.Known, m).String()
		f.Effect = fmt.Sprintf("%s %s does not read %s and does not start with it", d.Component, m, row.GroupVersionKind)
		if d.Component == kubeadm {
			f.Effect = fmt.Sprintf("kubeadm %s does not read %s and refuses to go on", m, row.GroupVersionKind)
		}
		if j.way.From != 0 && !row.Known.Has(j.way.From) {
			f.Reason = fmt.Sprintf("it was removed in %s: %s does not read it either", f.RemovedIn, j.way.From)
		}
		return fill(f)
	}
	if !row.Deprecated.In(j.way.To) {
		return finding.Finding{}, false
	}
	end := at(j.bites(row.Deprecated.Minor), basis(row.Deprecated.Origin))
	if !row.Removed.IsZero() {
		end = at(row.Removed.Minor, basis(row.Removed.Origin))
	}
	f := u.hint(finding.ConfigKindDeprecated, id, end, row.Deprecated.Source)
	f.Effect = fmt.Sprintf("%s warns of %s since %s", d.Component, row.GroupVersionKind, row.Deprecated.Minor)
	return fill(f)
}

// renamed are kinds that have another name in every other version
// (k8s.io/apiserver v0.19 to v0.37, pkg/admission/plugin/webhook/config/apis/webhookadmission/v1/register.go).
var renamed = map[string]string{"WebhookAdmission": "WebhookAdmissionConfiguration"}

// configFix names the version to write instead: the best that the minor before
// the end and the last one of the way both read.
func (j *Judge) configFix(d fact.ConfigDocument, row rules.ConfigKind) string {
	to := min(j.way.To, j.rules.Newest())
	best := rules.ConfigKind{}
	for _, other := range j.rules.ConfigKinds(d.Component, to) {
		if other.Group != row.Group || other.Kind != cmp.Or(renamed[row.Kind], row.Kind) || other.Version == row.Version {
			continue
		}
		if best.Kind == "" || j.better(other, best) {
			best = other
		}
	}
	path := fact.Text(d.Path).String()
	switch {
	case d.Component == kubeadm && !strings.HasPrefix(d.Path, configMap):
		return "kubeadm config migrate --old-config " + path + " --new-config NEW, with a kubeadm that still reads the old version"
	case best.Kind == "":
		return "take the document out of " + path
	}
	fix := fmt.Sprintf("in %s, replace `apiVersion: %s` by `apiVersion: %s`", path, d.APIVersion, best.APIVersion())
	if best.Kind != row.Kind {
		fix += fmt.Sprintf(" and `kind: %s` by `kind: %s`", row.Kind, best.Kind)
	}
	return fix
}

// better prefers what the minor that runs reads, too, then what is more stable.
func (j *Judge) better(a, b rules.ConfigKind) bool {
	now := func(k rules.ConfigKind) bool {
		return k.Known.Has(release.Minor(max(int(j.way.From), int(rules.Oldest))))
	}
	if now(a) != now(b) {
		return now(a)
	}
	if stability(a.Version) != stability(b.Version) {
		return stability(a.Version) > stability(b.Version)
	}
	return a.Version > b.Version
}
