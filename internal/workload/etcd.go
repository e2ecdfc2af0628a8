// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/rules"
)

func (j *Judge) etcdFindings() []finding.Finding {
	var all []finding.Finding
	versions := map[string]rules.EtcdVersion{}
	for key, m := range j.members {
		if v, err := rules.ParseEtcdVersion(string(m.Version)); err == nil {
			versions[key] = v
		}
		all = append(all, j.memberState(key, m)...)
	}
	for _, key := range slices.Sorted(maps.Keys(versions)) {
		all = append(all, j.etcdFaults(key, versions[key])...)
		all = append(all, j.etcdSteps(key, versions[key])...)
	}
	return append(all, j.differing()...)
}

// aboutMember makes a finding about a member. A member of a control-plane node
// has the node's name, so that what the node's own files tell of it, and what is
// judged from those, has the same ID.
func aboutMember(key, part string, code finding.Code, impact finding.Impact, r rule) finding.Finding {
	return aboutMachine(key, "etcd"+part, code, impact, r)
}

// memberState judges what a member says is wrong with it.
func (j *Judge) memberState(key string, m fact.EtcdMember) []finding.Finding {
	var all []finding.Finding
	if m.Learner {
		f := aboutMember(key, "", finding.EtcdLearner, finding.Hint, rule{minor: j.first()})
		f.End.Basis = finding.Measured
		f.Effect = "the member is a learner: it has no vote, so the cluster bears the failure of one member less than it seems to"
		f.Fix = "etcdctl member promote ID when it has caught up, or etcdctl member remove ID, before the upgrade"
		all = append(all, f)
	}
	for _, alarm := range m.Alarms {
		f := aboutMember(key, "", finding.EtcdAlarm, finding.Blocks, rule{})
		f.End = finding.Now()
		f.Effect = "the member has raised the alarm " + alarm.String() + ": nothing can be written, an upgrade neither"
		f.Fix = "etcdctl compact to a late revision, etcdctl defrag, then etcdctl alarm disarm; a higher --quota-backend-bytes if the data needs it"
		if alarm == "CORRUPT" {
			f.Effect = "the member has raised the alarm CORRUPT: its data differs from the other members', and nothing is served or written"
			f.Fix = "take a snapshot of a member that is right, remove this one, delete its data directory, and add it again"
		}
		note(&f, "alarm: "+alarm.String())
		all = append(all, f)
	}
	for i := range all {
		all[i].Evidence.Endpoint = m.Endpoint
		all[i].Evidence.Version = m.Version
	}
	return all
}

// etcdFaults are known faults of a version. The first hop restarts etcd, which is
// when some of them show.
func (j *Judge) etcdFaults(key string, v rules.EtcdVersion) []finding.Finding {
	var all []finding.Finding
	for _, fault := range j.rules.EtcdFaults(v) {
		f := aboutMember(key, "-fault-"+fault.Name, finding.EtcdFault, finding.Breaks, rule{j.first(), fault.Source})
		f.Effect = fmt.Sprintf("etcd %s: %s", v, fault.Effect)
		f.Fix = fault.Fix
		f.Evidence.Version = fact.Text(v.String())
		f.Reason = "a fault of " + fault.From.String() + " and later, mended in " + fault.Until.String() + "; an upgrade restarts every member"
		all = append(all, f)
	}
	return all
}

// etcdSteps are what the etcd of the hops' kubeadm asks of the one before it.
func (j *Judge) etcdSteps(key string, v rules.EtcdVersion) []finding.Finding {
	var all []finding.Finding
	for _, hop := range j.way.Hops() {
		shipped, ok := j.rules.EtcdShipped(hop)
		if !ok {
			continue
		}
		if step, ok := j.rules.EtcdStep(v, shipped.Version); ok {
			f := aboutMember(key, "-step-"+step.From+"-"+step.To, finding.EtcdStepTooSoon, finding.Breaks, rule{hop, step.Source})
			f.Effect = fmt.Sprintf("kubeadm %s replaces etcd %s by %s, which needs %s first: %s", hop, v, shipped.Version, step.Least, step.Effect)
			f.Fix = step.Fix
			f.Evidence.Version = fact.Text(v.String())
			all = append(all, f)
		}
		if v.Compare(shipped.Version) < 0 {
			v = shipped.Version
		}
	}
	return all
}

// differing are members that do not hold the same data: other hashes at the same
// revision and compaction.
func (j *Judge) differing() []finding.Finding {
	type point struct{ revision, compacted int64 }
	at := map[point]map[uint32][]string{}
	for key, m := range j.members {
		if m.Hash == 0 && m.Revision == 0 || m.Learner {
			continue
		}
		p := point{m.Revision, m.Compacted}
		if at[p] == nil {
			at[p] = map[uint32][]string{}
		}
		at[p][m.Hash] = append(at[p][m.Hash], key)
	}
	var all []finding.Finding
	for p, hashes := range at {
		if len(hashes) < 2 {
			continue
		}
		var parts, members []string
		for hash, keys := range hashes {
			slices.Sort(keys)
			members = append(members, keys...)
			parts = append(parts, fmt.Sprintf("%08x: %s", hash, fact.Text(strings.Join(keys, ", "))))
		}
		slices.Sort(parts)
		slices.Sort(members)
		f := aboutMember(members[0], "", finding.EtcdDataDiffers, finding.Blocks, rule{})
		f.End = finding.Now()
		f.Effect = fmt.Sprintf("the members of etcd do not hold the same data at revision %d: what a client reads depends on which member it asks", p.revision)
		f.Fix = "find out which member is right, take a snapshot of it, then remove each other one, delete its data directory and add it again; upgrade nothing before"
		note(&f, parts...)
		all = append(all, f)
	}
	return all
}
