// SPDX-License-Identifier: Apache-2.0

package install

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Changes says whether something is to be done.
func (i *Installation) Changes() bool {
	return slices.ContainsFunc(i.Items, func(item Item) bool { return item.Do != Keep && item.Do != Later })
}

// Write writes it for people: what is done, with what, and why.
func (i *Installation) Write(w io.Writer) error {
	var b strings.Builder
	b.WriteString("The agent")
	if i.Node != "" {
		fmt.Fprintf(&b, " on %s", i.Node)
	}
	b.WriteString("\n\n")
	if len(i.Items) == 0 {
		b.WriteString("  nothing is to be done\n")
	}
	longest := 0
	for _, item := range i.Items {
		if item.Why != "" && item.Do != Run {
			longest = max(longest, len(item.What.String()))
		}
	}
	for _, item := range i.Items {
		line := fmt.Sprintf("  %-6s  %-*s  %s", item.Do, longest, item.What, item.Why)
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	if len(i.Notes) > 0 {
		b.WriteString("\n")
	}
	for _, n := range i.Notes {
		b.WriteString(n.String() + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
