// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each bound plans what it says, and two together what either says; a plan that is
// only shown removes nothing.
func TestPruneByEachBound(t *testing.T) {
	dir, paths := checkpoints(t, 100, 50, 2)
	state := filepath.Join(t.TempDir(), "state")
	before := names(t, dir)
	for _, c := range []struct {
		bounds []string
		goes   int // of the oldest
		says   string
	}{
		{[]string{"--older-than", "60h"}, 1, "it is 4 days old"},
		{[]string{"--older-than", "30d"}, 0, "Nothing to do"},
		{[]string{"--keep", "1"}, 2, "1 newer ones of the same container stay"},
		{[]string{"--keep", "3"}, 0, "Nothing to do"},
		{[]string{"--max-size", "2Ki"}, 1, "and 2.0 KiB are allowed"},
		{[]string{"--max-share", "0.0000000000001%"}, 3, "and 1 B are allowed"},
		{[]string{"--max-share", "99%"}, 0, "Nothing to do"},
		{[]string{"--max-share", "99%", "--max-size", "1Ki"}, 2, "and 1.0 KiB are allowed"},
		{[]string{"--keep", "2", "--older-than", "40h"}, 2, "it is 2 days old"},
	} {
		out, _ := said(t, 0, append([]string{"checkpoint", "prune", "--dry-run", "--dir", dir, "--state", state, "--lock", filepath.Join(state, "lock")}, c.bounds...)...)
		goes := 0
		for i, path := range paths {
			if planned := strings.Contains(out, "remove "+filepath.Base(path)); planned != (i < c.goes) {
				t.Errorf("%v: %s: planned %v", c.bounds, filepath.Base(path), planned)
			} else if planned {
				goes++
			}
		}
		if goes != c.goes || !strings.Contains(out, c.says) {
			t.Errorf("%v: %d go, want %d and %q:\n%s", c.bounds, goes, c.goes, c.says, out)
		}
	}
	if after := names(t, dir); !slices.Equal(before, after) {
		t.Errorf("something was removed: %v", after)
	}
}
