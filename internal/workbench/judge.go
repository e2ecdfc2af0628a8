// SPDX-License-Identifier: Apache-2.0

package workbench

import (
	"slices"
	"time"

	"perennial.dev/perennial/internal/checkpoint"
	"perennial.dev/perennial/internal/credential"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/leftover"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/support"
	"perennial.dev/perennial/internal/timeline"
)

// Judged is what follows from a look at a node or at endpoints, before a policy
// judges it.
type Judged struct {
	Layout   layout.Layout
	Findings []finding.Finding
	Unseen   []fact.Unseen
	Envelope timeline.Envelope
}

// Judge judges what was seen.
func Judge(rec fact.Record, l layout.Layout, cal *release.Calendar, tool string) Judged {
	j := Judged{Layout: l, Envelope: timeline.EnvelopeOf(rec)}
	var unseen []fact.Unseen
	j.Findings, unseen = credential.Judge(l, rec.Facts)
	j.Findings = append(j.Findings, checkpoint.Judge(l, rec.Facts)...)
	j.Findings = append(j.Findings, leftover.Judge(l, rec.Facts)...)
	j.Findings = append(j.Findings, support.Judge(cal, l, rec.Facts, rec.Observed)...)
	j.Unseen = slices.Concat(unseen, l.Unseen, rec.Unseen)
	j.Envelope.Tool = tool
	if rec.Scope.Root != "" {
		j.Envelope.Scope.Node, j.Envelope.Scope.KubernetesDir = fact.Text(l.Node), l.KubernetesDir
	}
	j.Envelope.Scope.Counts.Processes = running(l)
	return j
}

// Timeline is what was seen as a policy judges it at an instant.
func (j Judged) Timeline(p policy.Policy, at time.Time) timeline.Timeline {
	return timeline.Build(j.Findings, j.Unseen, p, at, j.Envelope)
}

// running counts the processes that are this cluster's; others were seen, too.
func running(l layout.Layout) int {
	n := 0
	for _, c := range l.Components {
		if c.Process != nil {
			n++
		}
	}
	return n
}
