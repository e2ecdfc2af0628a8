// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"runtime/debug"
	"slices"

	"perennial.dev/perennial/internal/document"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/policy"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/timeline"
	"perennial.dev/perennial/internal/workload"
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
	shown := progressOf(s, "reading documents")
	j := o.judgeDocuments(ctx, s, k, w, shown)
	shown.end()
	if ctx.Err() != nil {
		return timeline.Timeline{}, ctx.Err()
	}
	l.env.Scope.Counts.Documents = j.objects
	j.conclude(&l)
	return l.timeline(), nil
}

// judgeDocuments reads the content of those only that tell something by it and,
// where there are namespaces among them, reads all again, with the content of
// what is in these. Of standard input, which can be read once only, it reads all.
func (o *checkOptions) judgeDocuments(ctx context.Context, s Streams, k knowledge, w *timeline.Way, shown *progress) *judges {
	if s.Getenv("GOGC") == "" { // what is read is soon let go: a fifth of the time, for 20 MiB
		defer debug.SetGCPercent(debug.SetGCPercent(400))
	}
	read := func(want document.Want) *judges {
		j := newJudges(k, w, shown)
		shown.again()
		source.Documents(ctx, o.files, o.recursive, s.In, want, func(o fact.Object) { j.see(o) }, j.miss)
		return j
	}
	if slices.Contains(o.files, "-") {
		return read(document.Want{})
	}
	tells := workload.Telling(k.rules, document.Words)
	j := read(document.Want{ContentIf: tells})
	spaces := j.running.Needs()
	switch {
	case len(spaces) == 0 || ctx.Err() != nil:
		return j
	case slices.ContainsFunc(spaces, func(name string) bool { return len(name) < 2 }):
		return read(document.Want{}) // a name of one letter stands in every document
	}
	within := document.Words(spaces...)
	return read(document.Want{ContentIf: func(kind string, text []byte) bool { return tells(kind, text) || within(kind, text) }})
}
