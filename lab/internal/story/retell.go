// SPDX-License-Identifier: Apache-2.0

package story

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"perennial.dev/perennial/lab/internal/clock"
)

// Retell lets the instant pass again at which a story ended badly, after the API
// server was replaced in time: the clock goes where it went before, the server's
// connections to itself are cut as before, and the same is asked. Its table has
// both endings; how says what was done meanwhile, in a word or two. The error is
// not nil when anything failed.
func Retell(ctx context.Context, lab Lab, o Options, before Ending, how string) (Ending, error) {
	then := before.LoopbackEnd.Add(o.Past)
	again := Ending{LoopbackEnd: before.LoopbackEnd, Columns: []Column{before.Columns[0], before.Columns[2]}}
	again.Columns[1].Title[1] = "no restart"
	client, err := lab.clientUntil(then)
	if err != nil {
		return again, err
	}
	defer client.Forget()
	offset, err := clock.Offset(lab.Clock)
	if err != nil {
		return again, err
	}
	start := time.Now().Add(offset)
	fmt.Fprintf(o.Notes, "moving the lab's clock to %s, %v past the end of the certificate that was replaced\n", then.UTC().Format(time.RFC3339), o.Past)
	if err := clock.Set(lab.Clock, offset+then.Sub(start)); err != nil {
		return again, err
	}
	n, err := lab.Cut()
	if err != nil {
		return again, err
	}
	fmt.Fprintf(o.Notes, "cutting the API server's connections to itself (%d)\n", n)
	a := &asker{client: client, moment: momentName(start, len(before.Columns)), patience: longPatience}
	if err := again.add(ctx, a, [2]string{dayOf(start, then), how}); err != nil {
		return again, err
	}
	again.print(o)
	return again, again.allWell()
}

// allWell says what failed in the last column.
func (e *Ending) allWell() error {
	var failed []string
	last := e.Columns[len(e.Columns)-1]
	for j, r := range rows {
		if !slices.Equal(last.Codes[j], r.well) {
			failed = append(failed, fmt.Sprintf("%s gave %s, not %s", r.title, last.Codes[j], r.well))
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("past the old end, with a new API server:\n  %s", strings.Join(failed, "\n  "))
	}
	return nil
}
