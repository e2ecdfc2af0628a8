// SPDX-License-Identifier: Apache-2.0

package release

import (
	"testing"
	"time"
)

func TestLoopback(t *testing.T) {
	for _, want := range []struct {
		version string
		days    int
		check   bool
		origin  Origin
	}{
		{"1.14.0", 365, false, Estimated},
		{"1.16.0", 365, false, Measured},
		{"1.25.16", 365, false, Measured},
		{"1.32.2", 365, false, Measured},
		{"1.32.13", 365, false, Measured},
		{"1.32.14", 365, false, Estimated},
		{"1.32.13-lts.1", 365, false, Estimated},
		{"1.33.0-rc.1", 365, false, Estimated},
		{"1.33.0", 1096, false, Measured},
		{"1.35.10", 1096, false, Measured},
		{"1.35.0+k3s1", 1096, false, Estimated},
		{"1.36.0", 1096, true, Measured},
		{"1.37.2", 1096, true, Measured},
		{"1.38.0", 1096, true, Estimated},
	} {
		v := version(t, want.version)
		validity, origin := LoopbackValidity(v)
		if validity != time.Duration(want.days)*24*time.Hour || origin != want.origin || LoopbackHealthCheck(v) != want.check {
			t.Errorf("%s: %s (%s), check %v", v, validity, origin, LoopbackHealthCheck(v))
		}
		if LoopbackOf(v).Citation == "" {
			t.Errorf("%s: no citation", v)
		}
	}
}

// Without a leap day the certificate ends on the same date a year later, an
// hour before the time of the start.
func TestLoopbackEnd(t *testing.T) {
	started := time.Date(2022, 12, 3, 4, 37, 19, 0, time.UTC)
	want := time.Date(2023, 12, 3, 3, 37, 19, 0, time.UTC)
	if got := LoopbackEnd(version(t, "1.25.4"), started); !got.Equal(want) {
		t.Errorf("ends %s, want %s", got, want)
	}
}
