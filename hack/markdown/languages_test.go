// SPDX-License-Identifier: Apache-2.0

package markdown

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"unicode"

	"github.com/yuin/goldmark/ast"
	extended "github.com/yuin/goldmark/extension/ast"
)

// repository is a link to the root: go test remembers a result until a file changes
// that the test has opened, and takes only those for such that lie below the module.
const repository = "testdata/repository"

// chinese is the Chinese page of each English one that has one.
var chinese = map[string]string{
	"README.md":          "docs/zh/README.md",
	"docs/concepts.md":   "docs/zh/concepts.md",
	"docs/first-hour.md": "docs/zh/first-hour.md",
}

func TestLanguagesAreLevel(t *testing.T) {
	files := os.DirFS(repository)
	for page := range chinese {
		if err := level(t, files, page); err != nil {
			t.Error(err)
		}
	}
	all, err := fs.Glob(files, "docs/zh/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range all {
		if english(page) == page {
			t.Errorf("%s: it is the translation of no page in the list", page)
		}
	}
}

func english(page string) string {
	for from, to := range chinese {
		if to == page {
			return from
		}
	}
	return page
}

// place is a part of a page: a heading, a line of code, a link of a paragraph.
type place struct {
	line int
	is   string
	kept bool // within a sentence
}

// level compares a page with its translation and names the first place where they
// part, or where what stands within their sentences does.
func level(t *testing.T, files fs.FS, page string) error {
	ours, err := places(t, files, page, "English | [简体中文]("+relative(page, chinese[page])+")")
	if err != nil {
		return err
	}
	theirs, err := places(t, files, chinese[page], "[English]("+relative(chinese[page], page)+") | 简体中文")
	if err != nil {
		return err
	}
	outline := func(all []place) []place {
		return slices.DeleteFunc(slices.Clone(all), func(p place) bool { return p.kept })
	}
	a, b, part := parting(outline(ours), outline(theirs))
	if !part {
		a, b, part = parting(ours, theirs)
	}
	if part {
		return fmt.Errorf("%s and its translation part:\n%s:%d: %s\n%s:%d: %s", page, page, a.line, a.is, chinese[page], b.line, b.is)
	}
	return nil
}

// parting is the first place at which two pages differ.
func parting(ours, theirs []place) (a, b place, part bool) {
	at := func(all []place, i int) place {
		if i < len(all) {
			return all[i]
		}
		return place{is: "the end"}
	}
	for i := range max(len(ours), len(theirs)) {
		if a, b := at(ours, i), at(theirs, i); a.is != b.is {
			return a, b, true
		}
	}
	return a, b, false
}

// relative is the way from a page to another one.
func relative(from, to string) string {
	way, _ := filepath.Rel(path.Dir(from), to) // both are relative
	return filepath.ToSlash(way)
}

// places lists the parts of a page in their order, without the row of languages that
// has to follow the first heading.
func places(t *testing.T, files fs.FS, page, row string) ([]place, error) {
	source, err := fs.ReadFile(files, page)
	if err != nil {
		return nil, err
	}
	root := parse(t, source)
	if root.ChildCount() < 2 {
		return nil, fmt.Errorf("%s: there is nothing in it", page)
	}
	languages := root.FirstChild().NextSibling()
	if strings.TrimSpace(string(languages.Lines().Value(source))) != row {
		return nil, fmt.Errorf("%s: the first heading is not followed by a paragraph %q", page, row)
	}
	r := reader{files: files, page: page, source: source}
	for n := root.FirstChild(); n != nil; n = n.NextSibling() {
		if n != languages {
			r.block(t, n)
		}
	}
	return r.all, r.failed
}

type reader struct {
	files  fs.FS
	page   string
	source []byte
	all    []place
	failed error
}

func (r *reader) line(offset int) int { return 1 + strings.Count(string(r.source[:offset]), "\n") }

func (r *reader) add(n ast.Node, format string, args ...any) {
	r.all = append(r.all, place{line: r.line(max(n.Pos(), 0)), is: fmt.Sprintf(format, args...)})
}

func (r *reader) block(t *testing.T, n ast.Node) {
	switch n := n.(type) {
	case *ast.Heading:
		r.add(n, "a heading of level %d", n.Level)
	case *ast.List:
		r.add(n, "a list of %d items, from %d on", n.ChildCount(), n.Start)
	case *extended.Table:
		r.add(n, "a table of %d rows and %d columns", n.ChildCount()-1, len(n.Alignments))
	case *ast.FencedCodeBlock:
		r.add(n, "code in %q", n.Language(r.source))
	case *ast.TextBlock, *extended.TableHeader, *extended.TableRow, *extended.TableCell:
	default:
		r.add(n, "a %s", n.Kind())
	}
	if n.IsRaw() {
		for i := range n.Lines().Len() {
			s := n.Lines().At(i)
			r.all = append(r.all, place{line: r.line(s.Start), is: fmt.Sprintf("the line %q", s.Value(r.source))})
		}
		return
	}
	r.words(t, n)
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if c.Type() == ast.TypeBlock {
			r.block(t, c)
		}
	}
}

// words lists what a sentence keeps in every language: its links, pictures and code.
// Their order is the language's own.
func (r *reader) words(t *testing.T, n ast.Node) {
	var kept []string
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if c.Type() == ast.TypeBlock {
			continue
		}
		_ = ast.Walk(c, func(c ast.Node, entering bool) (ast.WalkStatus, error) {
			if !entering {
				return ast.WalkContinue, nil
			}
			switch c := c.(type) {
			case *ast.Link:
				kept = append(kept, "a link to "+r.target(t, string(c.Destination)))
			case *ast.Image:
				kept = append(kept, "the picture "+r.target(t, string(c.Destination)))
			case *ast.AutoLink:
				kept = append(kept, "a link to "+string(c.URL(r.source)))
			case *ast.CodeSpan:
				_, code := content(c, r.source)
				kept = append(kept, "the code "+strings.Join(strings.Fields(code), " "))
			}
			return ast.WalkContinue, nil
		})
	}
	slices.Sort(kept)
	for _, k := range kept {
		r.all = append(r.all, place{line: r.line(max(n.Pos(), 0)), is: k, kept: true})
	}
}

// target names what a link leads to, the same for both languages: a page by its
// English one, a heading of such a page by its number.
func (r *reader) target(t *testing.T, destination string) string {
	if strings.Contains(destination, "://") {
		return destination
	}
	name, anchor, _ := strings.Cut(destination, "#")
	to := r.page
	if name != "" {
		to = path.Join(path.Dir(r.page), name)
	}
	names := english(to)
	if chinese[names] == "" {
		return strings.TrimSuffix(to+"#"+anchor, "#")
	}
	if (to == names) != (r.page == english(r.page)) {
		names += " in the other language"
	}
	if anchor == "" {
		return names
	}
	source, err := fs.ReadFile(r.files, to)
	if err != nil {
		r.failed = err
		return to
	}
	number := slices.Index(headings(t, source), anchor)
	if number < 0 {
		r.failed = fmt.Errorf("%s: the link %s leads to no heading", r.page, destination)
	}
	return fmt.Sprintf("heading %d of %s", number+1, names)
}

// headings are the names that a page's headings get on GitHub.
func headings(t *testing.T, source []byte) []string {
	var all []string
	_ = ast.Walk(parse(t, source), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if h, is := n.(*ast.Heading); is && entering {
			all = append(all, strings.Map(func(r rune) rune {
				switch {
				case r == ' ':
					return '-'
				case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
					return unicode.ToLower(r)
				}
				return -1
			}, string(h.Lines().Value(source))))
		}
		return ast.WalkContinue, nil
	})
	return all
}

const (
	ourPage = "# Words\n\nEnglish | [简体中文](zh/concepts.md)\n\nSee [the end](#end), `one` and\n[the codes](codes.md#a).\n\n" +
		"- a\n- b\n\n| a | b |\n|---|---|\n| c | d |\n\n```sh\nperennial check\n```\n\n## End\n\n![a picture](page.png)\n"
	theirPage = "# 概念\n\n[English](../concepts.md) | 简体中文\n\n[代码](../codes.md#a)，[结尾](#结尾) 和 `one`。\n\n" +
		"- 甲\n- 乙\n\n| 甲 | 乙 |\n|---|---|\n| 丙 | 丁 |\n\n```sh\nperennial check\n```\n\n## 结尾\n\n![一张图](../page.png)\n"
)

func TestPagesThatPartAreFound(t *testing.T) {
	const page = "docs/concepts.md"
	try := func(ours, theirs string) error {
		files := fstest.MapFS{page: {Data: []byte(ours)}}
		if theirs != "" {
			files[chinese[page]] = &fstest.MapFile{Data: []byte(theirs)}
		}
		return level(t, files, page)
	}
	if err := try(ourPage, theirPage); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"a section more", "## End", "## More\n\n## End", "docs/concepts.md:21: a heading of level 2"},
		{"another level", "## End", "### End", "docs/concepts.md:19: a heading of level 3"},
		{"a paragraph more", "## End\n", "## End\n\nMore.\n", "docs/concepts.md:23: a Paragraph"},
		{"a row more", "| c | d |\n", "| c | d |\n| e | f |\n", "a table of 2 rows"},
		{"a column more", "| a | b |\n|---|---|\n| c | d |\n", "| a | b | c |\n|---|---|---|\n| c | d | e |\n", "1 rows and 3 columns"},
		{"an item more", "- b\n", "- b\n- c\n", "a list of 3 items"},
		{"numbers", "- a\n- b\n", "1. a\n2. b\n", "a list of 2 items, from 1 on"},
		{"other code", "perennial check\n", "perennial check -w\n", `docs/concepts.md:16: the line "perennial check -w\n"`},
		{"another language of code", "```sh", "```text", `code in "text"`},
		{"other words of code", "`one`", "`two`", "docs/concepts.md:5: the code two"},
		{"another link", "codes.md#a", "cli.md#a", "a link to docs/cli.md#a"},
		{"another heading", "(#end)", "(#words)", "heading 1 of docs/concepts.md"},
		{"no heading", "(#end)", "(#gone)", "the link #gone leads to no heading"},
		{"another picture", "page.png", "other.png", "the picture docs/other.png"},
		{"no picture", "![a picture](page.png)", "A picture.", "the end"},
		{"a link to the other language", "(#end)", "(zh/concepts.md#结尾)", "docs/concepts.md in the other language"},
		{"no row of languages", "English | ", "", "is not followed by a paragraph"},
	} {
		if !strings.Contains(ourPage, c.old) {
			t.Fatalf("%s: nothing to replace", c.name)
		}
		err := try(strings.Replace(ourPage, c.old, c.new, 1), theirPage)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if err := try(ourPage, ""); err == nil {
		t.Error("a page without its translation passes")
	}
	if err := try(ourPage, strings.Replace(theirPage, "## 结尾\n\n", "", 1)); err == nil {
		t.Error("a translation without a section passes")
	}
}
