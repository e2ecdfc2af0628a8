// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/execute"
	"perennial.dev/perennial/internal/journal"
	"perennial.dev/perennial/internal/timeline"
)

// A plan that was cut off between its failure and its end fails as loudly when it is
// finished.
func TestConcludeTellsOfAFailureBefore(t *testing.T) {
	var errs bytes.Buffer
	b := &teller{streams: Streams{Err: &errs}}
	err := b.conclude(t.Context(), execute.Outcome{Plan: "p1", Result: journal.Failed, Steps: []execute.StepResult{
		{Number: 1, Result: journal.Done}, {Number: 2, Result: journal.Failed, Proof: "the API server refused it"},
	}}, nil)
	var code exit
	if !errors.As(err, &code) || code.code != timeline.ExitNeedsPerson || !strings.Contains(errs.String(), "stopped after 1 step: step 2 had failed when the plan p1 was cut off: the API server refused it") {
		t.Errorf("%v: %s", err, &errs)
	}
}
