// SPDX-License-Identifier: Apache-2.0

// Package workload judges what an upgrade does to what runs in a cluster: Pod
// Security, volumes, CronJobs, user namespaces, kubelets that are too old, and
// etcd. The types of Kubernetes are read here and nowhere below.
//
// Facts come one by one, as they are seen, and are not kept: memory grows with
// namespaces and with what is found, not with the number of objects. The
// package is pure.
package workload

import (
	"cmp"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// Judge judges facts for a way from one minor to another.
type Judge struct {
	rules *rules.Set
	way   rules.Way

	security security
	volumes  volumes
	users    users
	members  map[string]fact.EtcdMember // of etcd, by name, or by endpoint where there is none
	kubectls []kubectl
	found    []finding.Finding
	unseen   []fact.Unseen
	unread   int // beyond unseenLimit
}

// New makes a judge that has seen nothing.
func New(set *rules.Set, way rules.Way) *Judge {
	return &Judge{
		rules: set, way: way,
		security: newSecurity(set, way),
		volumes:  newVolumes(),
		members:  map[string]fact.EtcdMember{},
	}
}

// See takes in a fact. Calls do not overlap.
func (j *Judge) See(f fact.Fact) {
	switch f := f.(type) {
	case fact.Object:
		j.seeObject(f)
	case fact.EtcdMember:
		j.members[cmp.Or(string(f.Name), f.Endpoint)] = f
	}
}

// Complete says that all objects of the cluster were shown: what was not is not
// there. Without it, a CSI driver is missed only where nodes, or other drivers,
// were seen.
func (j *Judge) Complete() { j.volumes.looked = true }

// Findings are what follows from everything seen, in an order that depends on
// that only.
func (j *Judge) Findings() []finding.Finding {
	all := slices.Concat(j.found,
		j.securityFindings(), j.volumeFindings(), j.userFindings(), j.kubectlFindings(), j.etcdFindings())
	j.claimed(all)
	slices.SortStableFunc(all, func(a, b finding.Finding) int {
		return cmp.Or(samePlace(a, b), cmp.Compare(minorOf(a), minorOf(b)), cmp.Compare(a.Effect, b.Effect))
	})
	return merge(all)
}

// samePlace orders findings by what tells them apart.
func samePlace(a, b finding.Finding) int {
	return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Code, b.Code), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
}

// merge makes one finding of all that say the same of one object, such as that
// it has volumes of two kinds: the one that bites first, with what the others
// add.
func merge(all []finding.Finding) []finding.Finding {
	var merged []finding.Finding
	for _, f := range all {
		last := len(merged) - 1
		if last < 0 || samePlace(merged[last], f) != 0 {
			merged = append(merged, f)
			continue
		}
		into := &merged[last]
		if f.Effect != into.Effect {
			note(into, strings.TrimPrefix("from "+f.End.Version+" on: ", "from  on: ")+f.Effect)
		}
		if f.Fix != into.Fix {
			into.Fix += "\n" + f.Fix
		}
		into.Evidence.Notes = append(into.Evidence.Notes, f.Evidence.Notes...)
	}
	return merged
}

// minorOf is the minor at which a finding bites, 0 for now.
func minorOf(f finding.Finding) release.Minor {
	m, err := release.ParseMinor(f.End.Version)
	if err != nil {
		return 0
	}
	return m
}

// unseenLimit is how many objects that cannot be understood are named.
const unseenLimit = 100

// Unseen are the objects whose content is none of their kind's: nothing was
// judged of them.
func (j *Judge) Unseen() []fact.Unseen {
	if j.unread == 0 {
		return j.unseen
	}
	return append(slices.Clone(j.unseen), fact.Unseen{
		Source: unseenSource, What: "further objects", Why: fact.Malformed,
		Detail: fact.Text(counted(j.unread, "object") + " whose content is none of its kind's"),
	})
}

const unseenSource = "objects"

func (j *Judge) malformed(o fact.Object, err error) {
	if len(j.unseen) == unseenLimit {
		j.unread++
		return
	}
	j.unseen = append(j.unseen, fact.Unseen{
		Source: unseenSource, What: fact.Text(place(o)), Why: fact.Malformed, Detail: fact.Text(err.Error()),
	})
}

// place names an object and where it is.
func place(o fact.Object) string {
	if o.File == "" {
		return string(fact.ObjectID(o))
	}
	return o.File + ": " + string(fact.ObjectID(o))
}

// rule is when and by what knowledge something bites.
type rule struct {
	minor  release.Minor
	source rules.Source
}

// about makes a finding about an object. What blocks or breaks is a fault at
// its minor, all else a notice.
func about(o fact.Object, code finding.Code, impact finding.Impact, r rule) finding.Finding {
	f := finding.Finding{
		Code: code, ID: fact.ObjectID(o), Impact: impact,
		End:    finding.End{Version: r.minor.String(), Basis: basisOf(r.source.Origin)},
		Object: &finding.Object{APIVersion: o.APIVersion, Kind: o.Type, Namespace: o.Namespace, Name: o.Name},
		File:   o.File, Line: o.Line, Rule: ruleOf(r.source),
		Keeper: finding.KeeperOwner, Class: classOf(impact),
	}
	f.Evidence.Path = o.File
	return f
}

// aboutMachine makes a finding about a part of a node.
func aboutMachine(node, part string, code finding.Code, impact finding.Impact, r rule) finding.Finding {
	return finding.Finding{
		Code: code, ID: fact.NodeID(node, part), Impact: impact,
		End:  finding.End{Version: r.minor.String(), Basis: basisOf(r.source.Origin)},
		Rule: ruleOf(r.source), Keeper: finding.KeeperOwner, Class: classOf(impact),
	}
}

func classOf(impact finding.Impact) finding.Class {
	if impact == finding.Blocks || impact == finding.Breaks {
		return finding.Fault
	}
	return finding.Notice
}

// note adds a sentence to the evidence.
func note(f *finding.Finding, sentences ...string) {
	for _, sentence := range sentences {
		f.Evidence.Notes = append(f.Evidence.Notes, fact.Text(sentence))
	}
}

// namesLimit is how many names stand for all others.
const namesLimit = 3

// few counts things and keeps the first few names in alphabetical order, so
// that they do not depend on the order in which things were seen.
type few struct {
	count int
	names []string
}

func (f *few) add(name string) {
	f.count++
	at, there := slices.BinarySearch(f.names, name)
	if there || at == namesLimit {
		return
	}
	f.names = slices.Insert(f.names, at, name)
	f.names = f.names[:min(len(f.names), namesLimit)]
}

// String names them: "a, b, c and 4 more".
func (f few) String() string {
	text := strings.Join(f.names, ", ")
	if more := f.count - len(f.names); more > 0 {
		text += " and " + counted(more, "more")
	}
	return text
}
