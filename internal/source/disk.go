// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
)

// readWanted reads the file that a want names. When ok is false, all that
// there is to say has been said: the file is missing, is no file, or could not
// be looked at.
func readWanted(ctx context.Context, s Scope, w layout.Want, limit int64, out *found) (data []byte, meta fact.Meta, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeouts.Disk)
	defer cancel()
	data, meta, err := s.FS.Read(ctx, w.Path, limit)
	if err == nil {
		return data, meta, true
	}
	switch {
	case host.Missing(err):
		missing(w, meta, out)
	case host.Why(err) == fact.Malformed:
		// Whoever needs the file cannot read it either: that is seen.
		out.add(fact.File{Path: w.Path, Meta: meta, Problem: cause(err)})
	default:
		diskFailure(out, out.what, err)
	}
	return nil, meta, false
}

// missing says that what a flag or a file names is not there. What was only
// guessed may well be absent.
func missing(w layout.Want, meta fact.Meta, out *found) {
	if w.Required {
		out.add(fact.File{Path: w.Path, Meta: meta, Missing: true})
	}
}

func diskFailure(out *found, what fact.Text, err error) {
	why := host.Why(err)
	var hint fact.Text
	switch {
	case why == fact.Denied:
		hint = "run as root"
	case errors.Is(err, host.ErrChanging):
		hint = "look again when nothing writes to it"
	}
	out.failAt(what, why, cause(err), hint)
}

func cause(err error) fact.Text { return fact.Text(host.Cause(err).Error()) }
