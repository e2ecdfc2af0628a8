// SPDX-License-Identifier: Apache-2.0

// Package upgrade judges what an upgrade takes away: API versions in documents
// and clusters, and the feature gates, flags, plugins and configuration files
// of the components that run.
//
// Facts come one by one, as they are seen, and are not kept: memory grows with
// what is found, not with the cluster. The package is pure.
package upgrade

import (
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/rules"
)

// Judge judges facts for a way from one minor to another.
type Judge struct {
	rules *rules.Set
	way   rules.Way
	found []finding.Finding
}

// New makes a judge that has seen nothing.
func New(set *rules.Set, way rules.Way) *Judge { return &Judge{rules: set, way: way} }

// See takes in a fact. Calls do not overlap.
func (j *Judge) See(f fact.Fact) {}

// Findings are what follows from everything seen, in an order that depends on
// that only.
func (j *Judge) Findings() []finding.Finding { return j.found }
