// SPDX-License-Identifier: Apache-2.0

package schedule_test

import (
	"fmt"
	"testing"
	"time"

	"perennial.dev/perennial/internal/schedule"
)

func TestJitter(t *testing.T) {
	const spread, nodes = 24 * time.Hour, 10_000
	var quarters [4]int
	for n := range nodes {
		j := schedule.Jitter(fmt.Sprintf("cp%d", n), "renew", spread)
		if j < 0 || j >= spread {
			t.Fatalf("%s of %s", j, spread)
		}
		quarters[int(4*j/spread)]++
	}
	for i, n := range quarters {
		if n < nodes/4-nodes/50 || n > nodes/4+nodes/50 {
			t.Errorf("quarter %d of the day has %d of %d nodes", i+1, n, nodes)
		}
	}
	if a, b := schedule.Jitter("cp1", "apiserver", spread), schedule.Jitter("cp1", "apiserver", spread); a != b {
		t.Errorf("%s and then %s", a, b)
	}
	if schedule.Jitter("cp1", "apiserver", spread) == schedule.Jitter("cp1a", "piserver", spread) {
		t.Error("the names run into each other")
	}
	if j := schedule.Jitter("cp1", "apiserver", 0); j != 0 {
		t.Errorf("%s without a spread", j)
	}
}
