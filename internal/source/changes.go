// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"encoding/json"
	"errors"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/plan"
)

var changes = perWant{name: "changes", disk: true, atOnce: 1, look: lookJournal}

// lookJournal looks for plans that have begun and not ended. Where the journal
// may not be read there is no reason to believe in one.
func lookJournal(ctx context.Context, s Scope, w layout.Want, out *found) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Disk)
	defer cancel()
	j, err := journal.Open(w.Path, reading{ctx, s.FS})
	switch {
	case err != nil && host.Why(err) == fact.Denied:
		return
	case err != nil:
		out.fail(fact.Malformed, cause(err), "perennial history says more")
		return
	}
	for _, p := range j.Unfinished() {
		out.add(fact.Unfinished{Plan: p.ID, Begun: p.Begun, Step: lastStep(p)})
	}
}

// lastStep is the title of the last step that was begun.
func lastStep(p journal.Plan) fact.Text {
	var content plan.Plan
	if json.Unmarshal(p.Content, &content) != nil || len(p.Steps) == 0 {
		return ""
	}
	last := p.Steps[len(p.Steps)-1].Number
	for _, step := range content.Steps {
		if step.Number == last {
			return fact.Text(step.Title)
		}
	}
	return ""
}

// reading is a journal's disk on which nothing is written.
type reading struct {
	ctx context.Context
	fs  *host.FS
}

var errReading = errors.New("this only looks")

// ReadFile implements journal.Files.
func (r reading) ReadFile(name string, limit int64) ([]byte, error) {
	data, _, err := r.fs.Read(r.ctx, name, limit)
	return data, err
}

// MakeDir implements journal.Files.
func (reading) MakeDir(string) error { return errReading }

// WritePrivate implements journal.Files.
func (reading) WritePrivate(string, []byte) error { return errReading }

// Replace implements journal.Files.
func (reading) Replace(string, []byte, string) error { return errReading }

// Append implements journal.Files.
func (reading) Append(string, []byte) error { return errReading }
