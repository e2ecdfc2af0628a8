// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/floors"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/timeline"
)

func codes(*testing.T) string {
	var list, sections strings.Builder
	for _, c := range finding.Codes {
		fmt.Fprintf(&list, "- [%s](#%s): %s\n", c.Code, slug(string(c.Code)), c.Title)
		fmt.Fprintf(&sections, "\n## %s\n\n%s. %s\n\n**Why it comes to be.** %s\n\n**What to do.** %s [By hand](runbooks/%s.md)\n",
			c.Code, sentence(c.Title), c.Means, c.Cause, c.Cure, c.Code)
	}
	return list.String() + sections.String()
}

func sentence(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

func exitCodes(*testing.T) string {
	var rows [][]string
	for _, e := range timeline.ExitCodes {
		rows = append(rows, []string{strconv.Itoa(e.Code), "`" + e.Name + "`", e.Meaning})
	}
	return table([]string{"code", "name", "meaning"}, rows)
}

// formats asks the program which ones it offers.
func formats(t *testing.T) string {
	var rows [][]string
	for line := range strings.Lines(run(t, "__complete", "check", "--output", "")) {
		if name, help, is := strings.Cut(strings.TrimSpace(line), "\t"); is {
			rows = append(rows, []string{"`-o " + name + "`", help})
		}
	}
	return table([]string{"format", "what it is"}, rows)
}

func sources(*testing.T) string {
	var rows [][]string
	for _, e := range source.All() {
		var verbs []string
		for _, v := range e.Verbs {
			verbs = append(verbs, "`"+string(v)+"`")
		}
		waits := "yes"
		if e.Aside {
			waits = "no"
		}
		rows = append(rows, []string{"`" + e.Name() + "`", e.About, strings.Join(verbs, ", "), waits})
	}
	return table([]string{"source", "looks at", "wants it serves", "a round waits for it"}, rows)
}

// drawing stacks the floors, the highest on top.
func drawing(*testing.T) string {
	const inner = 64
	var b strings.Builder
	rule := func(left, right string) { b.WriteString(left + strings.Repeat("─", inner) + right + "\n") }
	b.WriteString("```text\n")
	rule("┌", "┐")
	for i := len(floors.Floors) - 1; i >= 0; i-- {
		f := floors.Floors[i]
		if f.Number == floors.Tests {
			continue
		}
		line := fmt.Sprintf(" %d  %s", f.Number, f.Line)
		if f.Pure {
			line += " (pure)"
		}
		box(&b, inner, line)
		box(&b, inner, "    "+strings.Join(names(f.Number), "  "))
		if i > 0 {
			rule("├", "┤")
		}
	}
	rule("└", "┘")
	b.WriteString("      imports go down only\n```\n")
	return b.String()
}

// box writes one line between the walls, broken where it is too long.
func box(b *strings.Builder, inner int, line string) {
	for n := len([]rune(line)); n > inner; n = len([]rune(line)) {
		cut := strings.LastIndex(line[:inner], " ")
		fmt.Fprintf(b, "│%-*s│\n", inner, line[:cut])
		line = "    " + strings.TrimSpace(line[cut:])
	}
	fmt.Fprintf(b, "│%-*s│\n", inner, line)
}

func names(floor int) []string {
	var out []string
	for _, p := range floors.Packages {
		if p.Floor == floor {
			out = append(out, strings.TrimPrefix(p.Dir, "internal/"))
		}
	}
	return out
}

func packages(*testing.T) string {
	var rows [][]string
	for _, p := range floors.Packages {
		floor, may := strconv.Itoa(p.Floor), ""
		if p.Floor == floors.Tests {
			floor = "tests"
		}
		for i, m := range p.May {
			if i > 0 {
				may += ", "
			}
			may += "`" + m + "`"
		}
		rows = append(rows, []string{floor, "`" + p.Dir + "`", p.Line, may})
	}
	return table([]string{"floor", "package", "what it is", "modules from outside"}, rows)
}

func bans(*testing.T) string {
	var rows [][]string
	for _, b := range floors.Bans {
		rows = append(rows, []string{"`" + b.Name + "`", b.What, b.Where, b.Reason})
	}
	return table([]string{"ban", "what is banned", "where", "why"}, rows)
}
