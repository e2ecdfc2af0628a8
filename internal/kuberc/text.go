// SPDX-License-Identifier: Apache-2.0

package kuberc

import (
	"fmt"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// Lines tells what was applied and why, one entry after the other, for people.
func (r Resolved) Lines(program string) (lines []string) {
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for _, e := range r.Entries {
		switch {
		case e.Alias != "":
			say("line %d: alias %s is %s", e.Line, e.Alias, strings.TrimSpace(program+" "+e.Command.String()))
		default:
			say("line %d: default for %s", e.Line, strings.TrimSpace(program+" "+e.Command.String()))
		}
		arguments := func(what string, all []fact.Text) {
			if len(all) > 0 {
				words := make([]string, len(all))
				for i, word := range all {
					words[i] = string(word)
				}
				say("  %s: %s", what, Quote(words))
			}
		}
		arguments("prependArgs", e.Prepend)
		for _, o := range e.Options {
			text := fmt.Sprintf("  line %d: %s", o.Line, Quote([]string{"--" + string(o.Name) + "=" + string(o.Value)}))
			if o.Not != "" {
				text += ", not applied: " + o.Not.String()
			}
			say("%s", text)
		}
		arguments("appendArgs", e.Append)
	}
	for _, w := range r.Warnings {
		say("line %d: warning: %s", w.Line, w.Text)
	}
	return lines
}

// Counts says how much there is, as in "1 alias, 2 defaults".
func (p *Preferences) Counts() string {
	count := func(n int, one, many string) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %s", n, many)
	}
	text := count(len(p.Aliases), "alias", "aliases") + ", " + count(len(p.Defaults), "default", "defaults")
	if p.Policy.Type != "" {
		text += ", credential plugins: " + fact.Text(p.Policy.Type).String()
	}
	return text
}
