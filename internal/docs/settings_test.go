// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"strings"
	"testing"

	"perennial.dev/perennial/internal/policy"
)

// TestSettingsThatPagesShow reads every configuration in the pages as the
// program does, and compares the numbers in docs/settings.md with the default.
func TestSettingsThatPagesShow(t *testing.T) {
	found := 0
	for _, page := range pages(t) {
		for _, block := range fenced.FindAllString(read(t, page), -1) {
			body, isYAML := strings.CutPrefix(block, "```yaml\n")
			if !isYAML {
				continue
			}
			found++
			p, err := policy.Parse([]byte(strings.TrimSuffix(body, "```")))
			if err != nil {
				t.Errorf("%s: %v", page, err)
				continue
			}
			d := policy.Default()
			if p.Renewed != d.Renewed || p.SelfRenewed != d.SelfRenewed || p.TrustAnchor != d.TrustAnchor || p.Support != d.Support {
				t.Errorf("%s: the numbers shown are not the default: %+v, want %+v", page, p, d)
			}
		}
	}
	if found == 0 {
		t.Error("no page shows a configuration")
	}
}
