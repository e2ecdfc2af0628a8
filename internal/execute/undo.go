// SPDX-License-Identifier: Apache-2.0

package execute

import (
	"context"

	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/pki"
	"perennial.dev/perennial/internal/plan"
)

// Replaced is what the done steps of a plan have replaced, as it is now, and
// what their backups hold. A backup that cannot be read holds nothing.
func Replaced(ctx context.Context, h Hands, p journal.Plan) ([]plan.Replaced, error) {
	var all []plan.Replaced
	for _, step := range p.Steps {
		last := step.Last()
		if last.Outcome == nil || last.Outcome.Result != journal.Done || last.Intent == nil {
			continue
		}
		for _, f := range last.Intent.Files {
			now, err := h.Digest(ctx, f.Path)
			if err != nil {
				return nil, err
			}
			r := plan.Replaced{Step: step.Number, Path: f.Path, Before: f.Before, After: f.After, Now: now, Backup: f.Backup, Mode: f.Mode, UID: f.UID, GID: f.GID}
			if data, err := h.Read(ctx, f.Backup); err == nil {
				r.Old = pki.ReadFile(f.Path, data)
			}
			all = append(all, r)
		}
	}
	return all, nil
}
