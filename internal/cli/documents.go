// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"

	"perennial.dev/perennial/internal/document"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/timeline"
)

// documents looks at documents only.
func (o *checkOptions) documents(ctx context.Context, s Streams, p policy.Policy, k knowledge) (timeline.Timeline, error) {
	w, err := o.way(k, start{})
	if err != nil {
		return timeline.Timeline{}, err
	}
	l, err := o.nothingYet(s, p)
	if err != nil {
		return timeline.Timeline{}, err
	}
	l.env.Upgrade, l.env.Scope.Documents = w, o.files
	shown := newProgress(s)
	j := newJudges(k, w, shown)
	source.Documents(ctx, o.files, o.recursive, s.In, document.Want{}, func(o fact.Object) { j.see(o) }, j.miss)
	shown.end()
	if ctx.Err() != nil {
		return timeline.Timeline{}, ctx.Err()
	}
	l.env.Scope.Counts.Documents = j.objects
	j.conclude(&l)
	return l.timeline(), nil
}
