// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/plan"
)

// Mend puts in place the files of the step in which a plan was cut off, so that
// each component can start from what is on disk. It is for a boot, before the
// kubelet runs: it proves nothing, restarts nothing and waits for nothing. The
// step stays open in the journal; Resume proves it.
//
// It returns the paths of the files that it found cut off. A file that another
// program has changed meanwhile is left alone, and is an error.
func (r *Runner) Mend(ctx context.Context, cut journal.Plan) ([]string, error) {
	var p plan.Plan
	if err := json.Unmarshal(cut.Content, &p); err != nil {
		return nil, fmt.Errorf("reading the plan %s from the journal: %w", cut.ID, err)
	}
	if err := r.sweep(ctx, p); err != nil {
		return nil, err
	}
	var mended []string
	var errs []error
	for _, s := range cut.Open() {
		if intent := s.Last().Intent; intent != nil {
			files, err := r.mend(ctx, intent.Files)
			mended, errs = append(mended, files...), append(errs, err)
		}
	}
	return mended, errors.Join(errs...)
}

// mend puts the files of one step in place, all or none.
func (r *Runner) mend(ctx context.Context, changes []journal.File) (mended []string, err error) {
	for _, c := range changes {
		now, err := r.Hands.Digest(ctx, c.Path)
		switch {
		case err != nil:
			return nil, err
		case now == c.Before && now != c.After:
			mended = append(mended, c.Path)
		case now != c.After:
			return nil, fmt.Errorf("finishing %s: %w meanwhile by another program; nothing was done to it", c.Path, ErrReplaced)
		}
	}
	if len(mended) == 0 {
		return nil, nil
	}
	return mended, r.place(ctx, changes)
}
