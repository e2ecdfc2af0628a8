// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/finding"
)

// runbook is the page about a code.
func runbook(info finding.Info) string {
	hand, _ := finding.ByHand(info.Code)
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s. %s\n\n**Why it comes to be.** %s\n", info.Code, sentence(info.Title), info.Means, info.Cause)
	fmt.Fprintf(&b, "\nWords in capitals stand for what the finding names; `1.N` is a minor, such as the one\nthat an upgrade leads to.\n")
	shell := func(head, before, text string) {
		fmt.Fprintf(&b, "\n## %s\n\n%s```sh\n%s\n```\n", head, before, text)
	}
	shell("See it", "", hand.See)
	if hand.Help != "" {
		shell("Take it away", info.Cure+"\n\nWith Perennial:\n\n", hand.Help)
	} else {
		fmt.Fprintf(&b, "\n## Take it away\n\n%s\n\nPerennial shows it, and leaves it to you.\n", info.Cure)
	}
	shell("By hand", "Without Perennial:\n\n", hand.Do)
	fmt.Fprintf(&b, "\n## More\n\n- `perennial explain %s` says this on a terminal; with the name of what it is about it shows the evidence.\n", info.Code)
	fmt.Fprintf(&b, "- [All codes](../codes.md#%s), [what the words mean](../concepts.md).\n", slug(string(info.Code)))
	fmt.Fprintf(&b, "\n<!-- this page is generated from internal/finding: go test ./internal/docs -update -->\n")
	return b.String()
}

// TestRunbooks compares the pages of the codes with the table, and looks for those of
// codes that there are not.
func TestRunbooks(t *testing.T) {
	want := map[string]bool{}
	for _, info := range finding.Codes {
		page := finding.Runbook(info.Code)
		want[path.Base(page)] = true
		name, fresh := filepath.Join(root, page), runbook(info)
		old, err := os.ReadFile(name)
		switch {
		case err == nil && string(old) == fresh:
		case *update:
			if err := os.WriteFile(name, []byte(fresh), 0o644); err != nil {
				t.Error(err)
			}
		case err != nil:
			t.Errorf("%v; write it with: go test ./internal/docs -update", err)
		default:
			t.Errorf("%s is not what the program says now; write it anew with: go test ./internal/docs -update\n%s", page, firstDifference(string(old), fresh))
		}
	}
	for _, page := range pages(t) {
		name := path.Base(page)
		if path.Dir(page) == "docs/runbooks" && !want[name] && !strings.HasPrefix(name, "Perennial") {
			t.Errorf("%s is about no code", page)
		}
	}
}
