// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/plan"
)

// deleted removes an archive. That it is gone already is what a run that was cut
// off has left, or somebody else's work to the same end.
func (r *Runner) deleted(ctx context.Context, s plan.Step) error {
	if s.Archive == nil {
		return fmt.Errorf("step %d: it does not say what to remove", s.Number)
	}
	err := r.Hands.Delete(ctx, *s.Archive)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, host.ErrAnotherFile):
		return fmt.Errorf("%w: %w", ErrChanged, err)
	}
	return err
}

// Delete implements Hands.
func (m Machine) Delete(_ context.Context, a plan.Archive) error {
	return m.Disk.Delete(a.Path, a.Meta())
}
