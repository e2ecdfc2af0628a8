// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func allCommands(t *testing.T) []Command {
	t.Helper()
	all, err := Commands(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A page with every form in which commands stand.
const everyForm = "# Head\n" +
	"Say `perennial check` or, over two lines, `perennial check --at\n2027-06-01`; `sudo perennial renew`.\n\n" +
	"| `make demo LAB_VERSION=1.32.2` | `perennial-agent.service`, `/var/lib/perennial`, `internal/cli` |\n\n" +
	"```sh\n" +
	"sudo perennial check    # as root, it's better\n" +
	"# perennial nothing\n" +
	"helm template CHART | perennial check --to 1.37 -f - >out\n" +
	"perennial check -o json | jq -r '\n  .items[] | x'\n" +
	"mkdir pages && perennial man pages; echo \"exit code $?\"\n" +
	"perennial checkpoint create POD [-n NAMESPACE]   # optional\n" +
	"eval \"$(bin/lab env)\"\n" +
	"cat >x <<'END'\nit's no perennial check\nEND\n" +
	"perennial explain \"... is after 2023\" \\\n  --no-color\n" +
	"```\n" +
	"```console\n$ perennial history\nperennial is not typed here\n$ kubectl perennial check\n```\n" +
	"```yml\n- run: perennial check -R -f manifests >upgrade.sarif\n```\n" +
	"```text\nssh -L 1:2 NODE sudo perennial serve\nWritten by perennial agent\n```\n" +
	"```yaml\nperennial: check\n```\n" +
	"    make indented\n" +
	"and `sudo bin/lab node exec --name cp1 -- bin/perennial check`\n"

func TestCommandsOfAPage(t *testing.T) {
	var got []string
	for _, c := range ofPage("x.md", everyForm) {
		for _, call := range c.Calls {
			got = append(got, fmt.Sprintf("%d %v %s %q", c.Line, c.Inline, call.Program, call.Args))
		}
	}
	want := []string{
		`2 true perennial ["check"]`,
		`2 true perennial ["check" "--at" "2027-06-01"]`,
		`3 true perennial ["renew"]`,
		`5 true make ["demo" "LAB_VERSION=1.32.2"]`,
		`8 false perennial ["check"]`,
		`10 false perennial ["check" "--to" "1.37" "-f" "-"]`,
		`11 false perennial ["check" "-o" "json"]`,
		`13 false perennial ["man" "pages"]`,
		`14 false perennial ["checkpoint" "create" "POD" "-n" "NAMESPACE"]`,
		`15 false lab ["env"]`,
		`19 false perennial ["explain" "... is after 2023" "--no-color"]`,
		`23 false perennial ["history"]`,
		`25 false kubectl perennial ["check"]`,
		`28 false perennial ["check" "-R" "-f" "manifests"]`,
		`31 false perennial ["serve"]`,
		`38 true lab ["node" "exec" "--name" "cp1" "--" "bin/perennial" "check"]`,
		`38 true perennial ["check"]`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if c := ofPage("x.md", everyForm)[4]; c.Text != "sudo perennial check" {
		t.Errorf("the comment is part of %q", c.Text)
	}
}

func TestCommandsOfAHelp(t *testing.T) {
	const help = "```text\nLooks. It calls perennial so:\n\n  perennial check  what stops\n  ssh NODE sudo perennial serve\n\n" +
		"Usage:\n  perennial check [flags]\n\nExamples:\n  perennial check --open\n  helm template C | perennial check -f -\n```\n"
	var got []string
	for _, c := range ofPage(helpPage, help) {
		got = append(got, c.Text)
	}
	want := []string{"perennial check", "ssh NODE sudo perennial serve", "perennial check --open", "helm template C | perennial check -f -"}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// target is what make can make, variable what can be said to it.
var (
	target   = regexp.MustCompile(`(?m)^([a-z0-9-]+):`)
	variable = regexp.MustCompile(`(?m)^([A-Z_]+) *\??=`)
)

// TestTargetsThatPagesName compares calls of make with the Makefile.
func TestTargetsThatPagesName(t *testing.T) {
	makefile := read(t, "Makefile")
	found := 0
	for _, c := range allCommands(t) {
		for _, call := range c.Calls {
			if call.Program != Make {
				continue
			}
			found++
			for _, arg := range call.Args {
				name, _, says := strings.Cut(arg, "=")
				known := target
				if says {
					known = variable
				}
				if !has(known, makefile, name) {
					t.Errorf("%s:%d: %s: the Makefile has no %s", c.Page, c.Line, c.Text, name)
				}
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d were found", found)
	}
	if has(target, makefile, "demos") || has(variable, makefile, "LAB") {
		t.Error("what is not there is found")
	}
}

func has(what *regexp.Regexp, text, name string) bool {
	return slices.ContainsFunc(what.FindAllStringSubmatch(text, -1), func(m []string) bool { return m[1] == name })
}

// TestLabsCommandsThatPagesName compares calls of the lab with the texts in its
// sources: it is a module of its own, whose commands cannot be asked here.
func TestLabsCommandsThatPagesName(t *testing.T) {
	texts := map[string]bool{}
	literals(t, filepath.Join(root, "lab/cmd/lab"), func(text string) {
		texts[text] = true
		texts[strings.SplitN(text, " ", 2)[0]] = true // of the line that says how it is called
	})
	for _, c := range allCommands(t) {
		for _, call := range c.Calls {
			if call.Program != Lab {
				continue
			}
			for n, arg := range call.Args {
				name, flag := strings.CutPrefix(arg, "--")
				if arg == "--" || !flag && n > 0 && (call.Args[0] != "node" || n > 1) {
					if arg == "--" {
						break
					}
					continue
				}
				if name, _, _ = strings.Cut(name, "="); !texts[name] {
					t.Errorf("%s:%d: %s: the lab knows no %s", c.Page, c.Line, c.Text, arg)
				}
			}
		}
	}
	if texts["demolish"] || !texts["demo"] || !texts["perennial"] {
		t.Error("what is there is not told from what is not")
	}
}

// literals goes through the texts in the Go files of a directory, tests excepted.
func literals(t *testing.T, dir string, do func(string)) {
	t.Helper()
	goFiles(t, dir, func(name string) bool { return !strings.HasSuffix(name, "_test.go") }, func(file *ast.File) {
		ast.Inspect(file, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if text, err := strconv.Unquote(lit.Value); err == nil {
					do(text)
				}
			}
			return true
		})
	})
}

func goFiles(t *testing.T, dir string, want func(name string) bool, do func(*ast.File)) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".go" || !want(e.Name()) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, e.Name()), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		do(file)
	}
}

// TestTestsThatPagesName looks for the tests and benchmarks that pages say to run, and
// for the scripts.
func TestTestsThatPagesName(t *testing.T) {
	pages, err := commandPages(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, page := range pages {
		text := read(t, page)
		for _, m := range goTest.FindAllStringSubmatch(text, -1) {
			names := testNames(t, filepath.Join(root, m[1]))
			for _, which := range whichTests.FindAllStringSubmatch(m[2], -1) {
				found++
				pattern, err := regexp.Compile(which[1])
				if err != nil || which[1] != "^$" && !slices.ContainsFunc(names, pattern.MatchString) {
					t.Errorf("%s: %s: no test has such a name: %v", page, m[0], err)
				}
			}
		}
	}
	if found == 0 {
		t.Error("no page names a test")
	}
	for _, c := range allCommands(t) {
		for _, call := range c.Calls {
			if !script.MatchString(call.Program) {
				continue
			}
			if info, err := fs.Stat(os.DirFS(root), call.Program); err != nil || info.Mode()&0o100 == 0 {
				t.Errorf("%s:%d: %s: %s is no program: %v", c.Page, c.Line, c.Text, call.Program, err)
			}
		}
	}
}

var (
	goTest     = regexp.MustCompile("go test (\\./internal/[a-z/]+)([^`\n]*)")
	whichTests = regexp.MustCompile(`-(?:run|bench) '?([A-Za-z^$|()]+)`)
)

func testNames(t *testing.T, dir string) (all []string) {
	t.Helper()
	goFiles(t, dir, func(name string) bool { return strings.HasSuffix(name, "_test.go") }, func(file *ast.File) {
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				all = append(all, f.Name.Name)
			}
		}
	})
	return all
}

// shown is what looks like a command line, in a block.
var shown = regexp.MustCompile(`^(?:\$ )?(?:sudo )?(?:bin/)?(?:perennial|kubectl perennial|lab|make) [a-z][a-z-]*(?: |$)`)

// TestNoCommandIsOverlooked looks for what seems to be a command and is none to the
// reader above: in blocks of other languages, or in blocks that have no fence.
func TestNoCommandIsOverlooked(t *testing.T) {
	pages, err := commandPages(os.DirFS(root))
	if err != nil {
		t.Fatal(err)
	}
	read := func(page string) string { return read(t, page) }
	for _, page := range pages {
		if page == helpPage {
			continue
		}
		for _, problem := range overlooked(page, read(page)) {
			t.Error(problem)
		}
	}
	if got := overlooked("x.md", "```zsh\nperennial check\n```\n\n    sudo perennial check\n"); len(got) != 2 {
		t.Errorf("what is overlooked is not noticed: %q", got)
	}
}

func overlooked(page, text string) (problems []string) {
	read := map[int]bool{}
	for _, c := range ofPage(page, text) {
		for n := range strings.Count(c.Text, "\n") + 1 {
			read[c.Line+n] = true
		}
	}
	fence := false
	for n, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fence = !fence
		}
		code, indented := strings.CutPrefix(line, "    ")
		if fence {
			code = line
		}
		if (fence || indented) && shown.MatchString(code) && !read[n+1] {
			problems = append(problems, fmt.Sprintf("%s:%d: this looks like a command; such a line belongs into a block of sh, or behind a $ in one of console: %s", page, n+1, line))
		}
	}
	return problems
}
