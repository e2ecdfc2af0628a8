// SPDX-License-Identifier: Apache-2.0

package markdown

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extended "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
)

const golden = "../../internal/report/testdata/"

// template are the nodes that a ticket is made of. Everything else, such as a link,
// a picture, HTML, a task or something stressed, came out of a name.
var template = map[ast.NodeKind]bool{
	ast.KindDocument: true, ast.KindHeading: true, ast.KindParagraph: true, ast.KindTextBlock: true, ast.KindList: true, ast.KindListItem: true,
	ast.KindText: true, ast.KindCodeSpan: true, ast.KindFencedCodeBlock: true,
	extended.KindTable: true, extended.KindTableHeader: true, extended.KindTableRow: true, extended.KindTableCell: true,
}

// linked is what GitHub and GitLab make links, pictures and formulas of after
// parsing, wherever it stands outside of code.
var linked = regexp.MustCompile(`[@#!~%$&^<>\[\]{}*_|\\/=+]|\b[0-9a-f]{7,}\b|\b[A-Z]+-[0-9]|www\.|:[a-z]+:`)

func parse(t *testing.T, source []byte) ast.Node {
	t.Helper()
	md := goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote, extension.DefinitionList))
	return md.Parser().Parse(text.NewReader(source))
}

// content is the text of a node without its code, and code the code.
func content(n ast.Node, source []byte) (prose, code string) {
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		switch n := n.(type) {
		case *ast.CodeSpan:
			if entering {
				for c := n.FirstChild(); c != nil; c = c.NextSibling() {
					code += string(c.(*ast.Text).Segment.Value(source))
				}
				code += "\n"
			}
			return ast.WalkSkipChildren, nil
		case *ast.Text:
			if entering {
				prose += string(n.Segment.Value(source)) + "\n"
			}
		case *ast.FencedCodeBlock:
			if entering {
				code += string(n.Lines().Value(source))
			}
		}
		return ast.WalkContinue, nil
	})
	return prose, code
}

type timeline struct {
	Items []struct {
		ID, Code, Verdict, Fix string
		Counts                 bool
	}
}

func TestTicketsAreTheirTemplate(t *testing.T) {
	for name, items := range map[string]string{"timeline.md": "timeline.json", "upgrade.md": "upgrade.json", "timeline-hostile.md": ""} {
		t.Run(name, func(t *testing.T) {
			source, err := os.ReadFile(golden + name)
			if err != nil {
				t.Fatal(err)
			}
			root := parse(t, source)
			heads := 0
			_ = ast.Walk(root, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
				if !entering {
					return ast.WalkContinue, nil
				}
				if !template[n.Kind()] {
					t.Errorf("a %s came out of a name, near %q", n.Kind(), near(n, source))
				}
				switch n := n.(type) {
				case *ast.Heading:
					heads++
				case *ast.ListItem:
					if n.Parent().Parent() != root {
						t.Error("a list within something")
					}
				case *extended.TableRow:
					if n.ChildCount() != n.Parent().FirstChild().ChildCount() {
						t.Errorf("a row of %d cells: %q", n.ChildCount(), near(n, source))
					}
				}
				return ast.WalkContinue, nil
			})
			prose, _ := content(root, source)
			if found := linked.FindAllString(prose, -1); found != nil {
				t.Errorf("outside of code stands %q", found)
			}
			if heads < 2 {
				t.Errorf("%d headings", heads)
			}
			if items != "" {
				compare(t, root, source, items)
			}
		})
	}
}

func near(n ast.Node, source []byte) string {
	for ; n != nil; n = n.Parent() {
		if n.Type() == ast.TypeBlock && n.Lines() != nil && n.Lines().Len() > 0 {
			return string(n.Lines().Value(source))
		}
	}
	return ""
}

// compare asks for each item that is not ok, with its whole fix in one piece.
func compare(t *testing.T, root ast.Node, source []byte, name string) {
	t.Helper()
	body, err := os.ReadFile(golden + name)
	if err != nil {
		t.Fatal(err)
	}
	var line timeline
	if err := json.Unmarshal(body, &line); err != nil {
		t.Fatal(err)
	}
	sections := map[string]bool{}
	fixes := map[string]bool{}
	for n := root.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Heading:
			if n.Level == 3 {
				_, code := content(n, source)
				id, _, _ := strings.Cut(code, "\n")
				sections[id] = true
			}
		case *ast.FencedCodeBlock:
			fixes[strings.TrimSpace(string(n.Lines().Value(source)))] = true
		}
	}
	wanted := 0
	for _, i := range line.Items {
		if i.Counts && i.Verdict == "ok" {
			continue
		}
		wanted++
		if !sections[i.ID] {
			t.Errorf("%s has no section", i.ID)
		}
		if fix := strings.TrimSpace(i.Fix); fix != "" && !fixes[fix] {
			t.Errorf("%s: its fix is not there as it is: %q", i.ID, fix)
		}
	}
	if wanted == 0 {
		t.Error("nothing was compared")
	}
}

// A test that accepted everything would pass the one above.
func TestWhatIsNoTemplateIsFound(t *testing.T) {
	for _, text := range []string{"[a](https://example.com)", "https://example.com", "![a](b)", "<b>a</b>", "*a*", "~~a~~", "- [ ] a", "[^1]\n\n[^1]: a", "    code", "> quote", "---\n"} {
		foreign := false
		_ = ast.Walk(parse(t, []byte("a word\n\n"+text+"\n")), func(n ast.Node, _ bool) (ast.WalkStatus, error) {
			foreign = foreign || !template[n.Kind()]
			return ast.WalkContinue, nil
		})
		if !foreign {
			t.Errorf("%q passes", text)
		}
	}
	for _, text := range []string{"@everyone", "see #1", "GH-1", "deadbeef", "a/b", "~bug", ":tada:"} {
		if !linked.MatchString(text) {
			t.Errorf("%q passes", text)
		}
	}
}
