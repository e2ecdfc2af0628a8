// SPDX-License-Identifier: Apache-2.0

// Package upgrade judges what an upgrade takes away: API versions in documents
// and clusters, and the feature gates, flags, plugins and configuration files
// of the components that run.
//
// Facts come one by one, as they are seen, and are not kept, but for the few
// about a node's own configuration: memory grows with what is found, not with
// the cluster. The package is pure.
package upgrade

import (
	"cmp"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/rules"
)

// Judge judges facts for a way from one minor to another.
type Judge struct {
	rules     *rules.Set
	way       rules.Way
	fates     map[versionKind]*fate              // of what does not stay as it is
	asked     map[versionResource]*fate          // the same, by resource
	whole     map[string]*fate                   // of groups' versions of which nothing is left, by apiVersion
	readers   map[versionKind][]rules.ConfigKind // of configuration files
	found     []finding.Finding                  // about objects and requests
	seen      map[fact.ID]bool                   // requests that were found already
	requiring map[componentMinor][]rules.Gate    // as asked for
	nodes     []layout.Layout                    // to be judged in the end
	mirrored  map[string]layout.Layout           // of nodes, as far as their static pods show it
	mine      []fact.Fact                        // what of configuration was seen: few
}

// New makes a judge that has seen nothing.
func New(set *rules.Set, way rules.Way) *Judge {
	j := &Judge{rules: set, way: way, fates: map[versionKind]*fate{}, asked: map[versionResource]*fate{}, whole: map[string]*fate{}, seen: map[fact.ID]bool{}, requiring: map[componentMinor][]rules.Gate{}, mirrored: map[string]layout.Layout{}, readers: map[versionKind][]rules.ConfigKind{}}
	for _, k := range set.AllConfigKinds() {
		of := versionKind{k.APIVersion(), k.Kind}
		j.readers[of] = append(j.readers[of], k)
	}
	j.findFates()
	return j
}

// See takes in a fact. Calls do not overlap.
func (j *Judge) See(f fact.Fact) {
	switch f := f.(type) {
	case fact.Object:
		j.object(f)
	case fact.Requested:
		j.requested(f)
	case fact.ConfigDocument, fact.KubeletConfig, fact.Platform, fact.EtcdMember, fact.Version:
		j.mine = append(j.mine, f)
	}
}

// Node takes in the layout of a node. What was seen of configuration files
// belongs to it, before and after.
func (j *Judge) Node(l layout.Layout) { j.nodes = append(j.nodes, l) }

// Findings are what follows from everything seen, in an order that depends on
// that only.
func (j *Judge) Findings() []finding.Finding {
	all := slices.Concat(j.found, j.components())
	slices.SortStableFunc(all, func(a, b finding.Finding) int {
		return cmp.Or(
			strings.Compare(string(a.ID), string(b.ID)), strings.Compare(string(a.Code), string(b.Code)),
			strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Effect, b.Effect))
	})
	return all
}

// from is the minor that runs, or where that is not known, the one before a
// change: then the change is all that matters.
func (j *Judge) from(change release.Minor) release.Minor {
	if j.way.From == 0 {
		return change - 1
	}
	return j.way.From
}

// bites is the first minor on the way in which a change is felt: that of the
// change, or the first hop where it has happened before.
func (j *Judge) bites(change release.Minor) release.Minor {
	if j.way.From == 0 {
		return change
	}
	return max(change, j.way.From+1)
}

// basis words where a row comes from.
func basis(o release.Origin) finding.Basis {
	if o == release.Planned {
		return finding.Planned
	}
	return finding.Measured
}

func cite(s rules.Source) *finding.Rule {
	return &finding.Rule{Origin: basis(s.Origin), Citation: s.Citation}
}

func at(m release.Minor, b finding.Basis) finding.End {
	return finding.End{Version: m.String(), Basis: b}
}
