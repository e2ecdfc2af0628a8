// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/plan"
)

func preflights(*testing.T) string {
	var rows [][]string
	var sections strings.Builder
	for _, p := range plan.Preflights {
		levels := []string{}
		if p.Warns != "" {
			levels = append(levels, "warns")
		}
		if p.Stops != "" {
			levels = append(levels, "stops")
		}
		rows = append(rows, []string{fmt.Sprintf("[%s](#%s)", p.Code, slug(string(p.Code))), p.Title, strings.Join(levels, ", ")})
		fmt.Fprintf(&sections, "\n## %s\n\n%s. %s\n", p.Code, sentence(p.Title), p.Looks)
		if p.Warns != "" {
			fmt.Fprintf(&sections, "\n**It warns.** %s\n", p.Warns)
		}
		if p.Stops != "" {
			fmt.Fprintf(&sections, "\n**It stops.** %s\n", p.Stops)
		}
		fmt.Fprintf(&sections, "\n**What to do.** %s\n", p.Cure)
	}
	return table([]string{"code", "what it is about", "it may"}, rows) + sections.String()
}

// Codes of findings and of preflights are asked for by the same command.
func TestPreflightsAreNoFindings(t *testing.T) {
	for _, c := range declared(t) {
		if _, both := plan.ExplainPreflight(plan.PreflightCode(c)); both {
			t.Errorf("%s is a finding's code and a preflight's", c)
		}
	}
}
