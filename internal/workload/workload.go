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
