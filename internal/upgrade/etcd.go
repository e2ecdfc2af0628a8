// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// etcd judges the etcd of a node by its image's version and its flags. What its
// members tell of themselves is judged elsewhere.
func (j *Judge) etcd(l layout.Layout) []finding.Finding {
	c, ok := l.Component(layout.Etcd)
	if !ok {
		return nil
	}
	u := unit{component: layout.Etcd, id: nodeID(l.Node, layout.Etcd), manifest: c.Manifest, flags: c.Flags}
	version, err := rules.ParseEtcdVersion(string(etcdTag(c.Image)))
	if err != nil {
		return j.etcdCheck(u, rules.EtcdVersion{})
	}
	return slices.Concat(j.etcdFaults(u, version), j.etcdStep(u, version), j.etcdCheck(u, version), j.etcdFlags(u, version))
}

// etcdTag is an image's tag: kubeadm's are 3.5.24-0, without a v.
func etcdTag(image fact.Text) fact.Text {
	name, _, _ := strings.Cut(string(image), "@")
	_, tag, _ := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], ":")
	return fact.Text(tag)
}

// etcdFaults are those of the version that runs.
func (j *Judge) etcdFaults(u unit, v rules.EtcdVersion) []finding.Finding {
	var found []finding.Finding
	hop := j.firstHop()
	for _, fault := range j.rules.EtcdFaults(v) {
		f := u.blocks(finding.EtcdFault, u.thing("fault", fault.Name), at(hop, finding.Measured), fault.Source)
		f.Impact, f.RemovedIn = finding.Breaks, ""
		f.Effect = fmt.Sprintf("etcd %s: %s", v, fault.Effect)
		f.Reason = "a fault of " + fault.From.String() + " and later, mended in " + fault.Until.String() + "; an upgrade restarts every member"
		f.Fix, f.Evidence.Version = fault.Fix, fact.Text(v.String())
		found = append(found, f)
	}
	return found
}

// etcdStep is what the way to the version that comes with a hop needs first.
func (j *Judge) etcdStep(u unit, v rules.EtcdVersion) []finding.Finding {
	for _, m := range j.hops() {
		shipped, ok := j.rules.EtcdShipped(m)
		if !ok {
			continue
		}
		step, needed := j.rules.EtcdStep(v, shipped.Version)
		if !needed {
			continue
		}
		f := u.blocks(finding.EtcdStepTooSoon, u.thing("step", step.From+"-"+step.To), at(m, finding.Measured), step.Source)
		f.Impact, f.RemovedIn = finding.Breaks, ""
		f.Effect = fmt.Sprintf("kubeadm %s takes etcd %s to %s: %s", m, v, shipped.Version, step.Effect)
		f.Fix, f.Evidence.Version = step.Fix, fact.Text(v.String())
		return []finding.Finding{f}
	}
	return nil
}

func (j *Judge) firstHop() release.Minor { return j.way.Hops()[0] }

// checkFlag and checkGate make etcd compare its data with the other members'
// before it serves: the flag since 3.2, the gate since 3.6
// (go.etcd.io/etcd/server/v3 embed and features, 3.5.16 and 3.6.8; kubeadm sets
// one of them since 1.22: cmd/kubeadm/app/phases/etcd/local.go).
const (
	checkFlag = "experimental-initial-corrupt-check"
	checkGate = "InitialCorruptCheck"
)

func (j *Judge) etcdCheck(u unit, v rules.EtcdVersion) []finding.Finding {
	checks := u.flags.Get(checkFlag) == "true"
	for _, pair := range u.flags.List("feature-gates") {
		checks = checks || pair == checkGate+"=true"
	}
	if checks {
		return nil
	}
	f := u.hint(finding.EtcdCheckMissing, u.thing("check", "corruption"), at(j.firstHop(), finding.Measured), rules.Source{})
	f.Rule = &finding.Rule{Origin: finding.Measured, Citation: "k8s.io/kubernetes@v1.25.0:cmd/kubeadm/app/phases/etcd/local.go"}
	f.Effect = "a member of etcd whose data differs from the others' serves it after a restart, and the upgrade restarts every member"
	flag := "--" + checkFlag + "=true"
	if v.Major > 3 || v.Major == 3 && v.Minor >= 6 {
		flag = "--feature-gates=" + checkGate + "=true"
	}
	f.Fix = "add " + flag + " to the flags of etcd"
	switch {
	case u.place != "":
		f.Fix = "add " + flag + " to " + fact.Text(u.place).String()
	case u.manifest != "":
		f.Fix += " (etcd.local.extraArgs in the ConfigMap kube-system/kubeadm-config, and " + fact.Text(u.manifest).String() + ")"
	}
	if v != (rules.EtcdVersion{}) {
		f.Evidence.Version = fact.Text(v.String())
	}
	return []finding.Finding{f}
}

// ofKubeadm are the flags that kubeadm itself writes for one series of etcd and
// otherwise for the next (cmd/kubeadm/app/phases/etcd/local.go, 1.25 to 1.37).
var ofKubeadm = []string{checkFlag, "experimental-watch-progress-notify-interval"}

// etcdFlags finds flags that the etcd of a later hop does not take. Only kubeadm
// takes etcd along with the rest: one without a manifest stays what it is.
func (j *Judge) etcdFlags(u unit, v rules.EtcdVersion) []finding.Finding {
	if u.manifest == "" {
		return nil
	}
	var found []finding.Finding
	for _, name := range slices.Sorted(maps.Keys(u.flags)) {
		row, ok := j.rules.EtcdFlag(name)
		if !ok || !row.Has(v.Series()) || slices.Contains(ofKubeadm, name) {
			continue
		}
		for _, m := range j.hops() {
			shipped, known := j.rules.EtcdShipped(m)
			series := shipped.Version.Series()
			if !known || row.Has(series) || !slices.Contains(j.rules.EtcdSeries(), series) {
				continue
			}
			f := u.blocks(finding.EtcdFlagRemoved, u.thing("flag", name), at(m, finding.Measured), row.Source)
			f.Effect = fmt.Sprintf("etcd %s, which kubeadm %s brings, does not know the flag --%s and does not start", shipped.Version, m, name)
			f.Fix = "remove --" + name + " from etcd.local.extraArgs in the ConfigMap kube-system/kubeadm-config"
			if row.Replacement != "" {
				f.Fix = fmt.Sprintf("with that hop, replace --%s by %s in etcd.local.extraArgs of the ConfigMap kube-system/kubeadm-config", name, gateAs(row.Replacement, u.flags.Get(name)))
			}
			noteArg(&f, argument(name, u.flags))
			found = append(found, f)
			break
		}
	}
	return found
}

// gateAs sets the gate that takes a flag's place as the flag was.
func gateAs(replacement, value string) string {
	if gate, ok := strings.CutSuffix(replacement, "=true"); ok && value == "false" {
		return gate + "=false"
	}
	return replacement
}
