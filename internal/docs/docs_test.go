// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated parts of the pages")

const root = "../.."

// generated is the one table of parts, by name.
var generated = map[string]func(*testing.T) string{
	"codes":          codes,
	"commands":       commands,
	"exit-codes":     exitCodes,
	"formats":        formats,
	"floors":         drawing,
	"packages":       packages,
	"bans":           bans,
	"sources":        sources,
	"excerpt":        excerpt,
	"preflights":     preflights,
	"agent-settings": agentSettings,
	"metrics":        metrics,
	"alerts":         alerts,
	"needs":          needs,
	"agent-unit":     sandbox,
	"agent-install":  agentInstall,
	"agent-status":   agentStatus,
}

var part = regexp.MustCompile(`(?s)<!-- generated: ([a-z-]+) -->\n(.*?)<!-- end -->`)

// TestGenerated compares every generated part with what the program says now,
// and looks for parts that no page shows.
func TestGenerated(t *testing.T) {
	shown := map[string]bool{}
	for _, page := range pages(t) {
		old := read(t, page)
		fresh := part.ReplaceAllStringFunc(old, func(p string) string {
			name := part.FindStringSubmatch(p)[1]
			shown[name] = true
			make, known := generated[name]
			if !known {
				t.Errorf("%s: nothing generates %q", page, name)
				return p
			}
			return fmt.Sprintf("<!-- generated: %s -->\n\n%s\n\n<!-- end -->", name, strings.TrimSpace(make(t)))
		})
		if strings.Count(fresh, "<!-- generated: ") != len(part.FindAllString(fresh, -1)) {
			t.Errorf("%s: a generated part has no end", page)
		}
		switch {
		case fresh == old:
		case *update:
			if err := os.WriteFile(filepath.Join(root, page), []byte(fresh), 0o644); err != nil {
				t.Error(err)
			}
		default:
			t.Errorf("%s is not what the program says now; write it anew with: go test ./internal/docs -update\n%s", page, firstDifference(old, fresh))
		}
	}
	for name := range generated {
		if !shown[name] {
			t.Errorf("no page shows the generated part %q", name)
		}
	}
}

func firstDifference(old, fresh string) string {
	was, is := strings.Split(old, "\n"), strings.Split(fresh, "\n")
	for i := range is {
		if i >= len(was) || was[i] != is[i] {
			return fmt.Sprintf("line %d:\n- %s\n+ %s", i+1, strings.Join(was[min(i, len(was)):min(i+1, len(was))], ""), is[i])
		}
	}
	return fmt.Sprintf("line %d and what follows is too much", len(is)+1)
}

// pages lists the Markdown files of the repository's front and of docs/.
func pages(t *testing.T) []string {
	t.Helper()
	all := []string{"README.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && filepath.Ext(path) == ".md" {
			name, _ := filepath.Rel(root, path) // both are relative
			all = append(all, filepath.ToSlash(name))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func read(t *testing.T, page string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, page))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// table writes a Markdown table.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			b.WriteString("| " + strings.ReplaceAll(c, "|", `\|`) + " ")
		}
		b.WriteString("|\n")
	}
	line(head)
	b.WriteString(strings.Repeat("|---", len(head)) + "|\n")
	for _, r := range rows {
		line(r)
	}
	return b.String()
}
