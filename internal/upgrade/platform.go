// SPDX-License-Identifier: Apache-2.0

package upgrade

import (
	"fmt"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/rules"
)

// platform judges the machine below the kubelet.
func (j *Judge) platform(l layout.Layout) []finding.Finding {
	var found []finding.Finding
	for _, f := range j.mine {
		p, ok := f.(fact.Platform)
		if !ok {
			continue
		}
		if p.Cgroup == 1 {
			found = append(found, j.cgroup(l, p)...)
		}
	}
	return found
}

// failCgroupV1 is the setting of the KubeletConfiguration that makes a kubelet
// refuse to start on control groups of version 1.
const failCgroupV1 = "failCgroupV1"

func (j *Judge) cgroup(l layout.Layout, p fact.Platform) []finding.Finding {
	set := j.cgroupSetting()
	row, ok := j.firstRefusal()
	if !ok {
		return nil
	}
	u := unit{component: layout.Kubelet, id: nodeID(l.Node, layout.Kubelet)}
	id := u.thing("platform", "cgroup")
	f := u.blocks(finding.CgroupTooOld, id, at(j.bites(row.First), finding.Measured), row.Source)
	f.Effect = fmt.Sprintf("the machine has control groups of version 1: the kubelet of %s does not start on it", f.End.Version)
	f.Fix = "boot with systemd.unified_cgroup_hierarchy=1 (kernel command line), on a system that supports it; to put it off, set failCgroupV1: false in the KubeletConfiguration"
	if p.Kernel != "" {
		f.Evidence.Notes = append(f.Evidence.Notes, "kernel "+p.Kernel)
	}
	switch {
	case set != nil && !*set:
		f.Impact, f.Class, f.RemovedIn = finding.Hint, finding.Notice, ""
		f.Effect = "the machine has control groups of version 1, and failCgroupV1: false lets the kubelet start on it for as long as that is there"
	case row.First > j.way.To:
		f.Impact, f.Class = finding.Hint, finding.Notice
	}
	return []finding.Finding{f}
}

// cgroupSetting is what the kubelet's own configuration says; nil for nothing.
func (j *Judge) cgroupSetting() *bool {
	for _, f := range j.mine {
		if k, ok := f.(fact.KubeletConfig); ok && k.Node == "" && k.FailCgroupV1 != nil {
			return k.FailCgroupV1
		}
	}
	return nil
}

// firstRefusal is the stretch of minors in which the setting is true by default.
func (j *Judge) firstRefusal() (rules.FlagDefault, bool) {
	for _, d := range j.rules.Defaults(layout.Kubelet, failCgroupV1) {
		if d.Value == "true" {
			return d, true
		}
	}
	return rules.FlagDefault{}, false
}
