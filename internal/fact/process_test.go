// SPDX-License-Identifier: Apache-2.0

package fact_test

import (
	"testing"
	"time"

	"perennial.dev/perennial/internal/fact"
)

// What tells one process from another is not the clock on the wall, where there is
// anything else.
func TestSameProcess(t *testing.T) {
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	p := fact.Process{PID: 7, Start: at, SinceBoot: time.Hour}
	for name, c := range map[string]struct {
		other fact.Process
		same  bool
	}{
		"itself":                         {p, true},
		"the clock was set":              {fact.Process{PID: 7, Start: at.AddDate(0, 0, 20), SinceBoot: time.Hour}, true},
		"another start":                  {fact.Process{PID: 7, Start: at, SinceBoot: time.Hour + 10*time.Millisecond}, false},
		"another PID":                    {fact.Process{PID: 8, Start: at, SinceBoot: time.Hour}, false},
		"by the clock alone":             {fact.Process{PID: 7, Start: at.Add(50 * time.Millisecond)}, true},
		"by the clock alone, later":      {fact.Process{PID: 7, Start: at.Add(time.Second)}, false},
		"by the clock alone, other PIDs": {fact.Process{PID: 8, Start: at}, false},
		"its PID was not noted":          {fact.Process{Start: at}, true},
	} {
		if got := p.Same(c.other); got != c.same || c.other.Same(p) != c.same {
			t.Errorf("%s: %v", name, got)
		}
	}
}
