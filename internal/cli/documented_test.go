// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/docs"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/timeline"
)

const repository = "../.."

// nowhere are streams of a program that must not look at this machine.
func nowhere(out io.Writer) Streams {
	return Streams{
		In: strings.NewReader(""), Out: out, Err: out,
		Now: func() time.Time { return time.Unix(0, 0).UTC() }, Getenv: func(string) string { return "" },
	}
}

// understood asks the program's own commands whether they would take a call, and
// returns the command. Nothing is run.
func understood(c docs.Call) (*cobra.Command, []string, error) {
	s := nowhere(io.Discard)
	if c.Program == docs.Plugin {
		s.Program = "kubectl-perennial"
	}
	root := newRoot(s)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(c.Args...)
	cmd, rest, err := root.Find(c.Args)
	if err != nil {
		return cmd, rest, err
	}
	cmd.InitDefaultHelpFlag()
	if err := cmd.ParseFlags(rest); err != nil {
		return cmd, rest, err
	}
	rest = cmd.Flags().Args()
	for _, check := range []func() error{
		func() error { return cmd.ValidateArgs(rest) }, cmd.ValidateRequiredFlags, cmd.ValidateFlagGroups,
	} {
		if err := check(); err != nil {
			return cmd, rest, err
		}
	}
	if !cmd.Runnable() {
		return cmd, rest, fmt.Errorf("%s only has commands below it", cmd.CommandPath())
	}
	return cmd, rest, nil
}

// spoken says whether a sentence only speaks of a command, or of a flag of it, without
// what it needs: then it names one that there is.
func spoken(c docs.Call, err error) bool {
	if len(words(c.Args)) == 0 {
		return false
	}
	cmd, rest, _ := understood(docs.Call{Program: c.Program, Args: words(c.Args)})
	last := c.Args[len(c.Args)-1]
	switch {
	case cmd.CommandPath() == cmd.Root().Name() || len(rest) > 0:
		return false
	case strings.HasPrefix(err.Error(), "flag needs an argument"):
		return true
	}
	return !strings.HasPrefix(last, "-") && len(words(c.Args)) == len(c.Args)
}

// words are the arguments before the first flag.
func words(args []string) []string {
	for n, a := range args {
		if strings.HasPrefix(a, "-") {
			return args[:n]
		}
	}
	return args
}

// codeLike is an argument that looks like a code.
var codeLike = regexp.MustCompile(`^[A-Z]+[a-z]\w*[A-Z]\w*$`)

// TestDocumentedCommands gives each command line of the pages to the program's own
// commands: each command is there, its flags are, their values can be read, and it
// takes as many arguments. Codes that are to be explained are there, too.
func TestDocumentedCommands(t *testing.T) {
	all, err := docs.Commands(os.DirFS(repository))
	if err != nil {
		t.Fatal(err)
	}
	found, blocks := 0, 0
	for _, c := range all {
		for _, call := range c.Calls {
			if call.Program != docs.Perennial && call.Program != docs.Plugin {
				continue
			}
			found++
			if !c.Inline {
				blocks++
			}
			cmd, rest, err := understood(call)
			if err != nil && !(c.Inline && spoken(call, err)) {
				t.Errorf("%s:%d: %s: %v", c.Page, c.Line, c.Text, err)
				continue
			}
			if cmd.Name() == "explain" && len(rest) == 1 && codeLike.MatchString(rest[0]) {
				if err := explainsCode(t, rest[0]); err != nil {
					t.Errorf("%s:%d: %s: %v", c.Page, c.Line, c.Text, err)
				}
			}
		}
	}
	t.Logf("%d calls in the pages, %d of them in blocks", found, blocks)
	if blocks < 100 || found-blocks < 100 {
		t.Error("so few were found that some are overlooked")
	}
}

func explainsCode(t *testing.T, code string) error {
	var out bytes.Buffer
	if exit := Main(t.Context(), []string{"explain", code}, nowhere(&out)); exit != 0 {
		return fmt.Errorf("exit code %d: %s", exit, &out)
	}
	return nil
}

// What would be overlooked in the pages is no command.
func TestUnderstood(t *testing.T) {
	for line, wrong := range map[string]string{
		"perennial check": "",
		"perennial chek":  "unknown command",
		"sudo perennial check --to 1.37 --context a --context b": "",
		"perennial check --context":                              "flag needs an argument",
		"perennial check --til 1.37":                             "unknown flag",
		"perennial check --timeout soon":                         "invalid argument",
		"perennial check now":                                    "unknown command",
		"perennial undo":                                         "accepts",
		"perennial history show a b":                             "accepts",
		"perennial agent nonsense":                               "unknown command",
		"perennial checkpoint prune --keep few":                  "invalid argument",
		"kubectl perennial check --to 1.37":                      "",
		"kubectl perennial chek":                                 "unknown command",
		"perennial kuberc explain -- kubectl get pods -o wide":   "",
	} {
		calls := docs.CallsOf(line)
		if len(calls) != 1 {
			t.Errorf("%s: %v", line, calls)
			continue
		}
		_, _, err := understood(calls[0])
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%s: %v, want %q", line, err, wrong)
		}
	}
	if explainsCode(t, "CertificateExpires") != nil || explainsCode(t, "CertificateExpired") == nil {
		t.Error("codes are not told from what is none")
	}
}

// TestFixesAreCommands replays what was recorded on nodes, as of a day on which much
// has ended, and gives the program the fixes that it names.
func TestFixesAreCommands(t *testing.T) {
	fixes := 0
	for record, further := range map[string][]string{repository + "/examples/recorded-node.jsonl": {"--to", "1.37"}, "testdata/node.jsonl": nil} {
		for _, at := range []string{"2026-11-22", "2027-01-01", "2039-01-01"} {
			var out, errs bytes.Buffer
			s := nowhere(&out)
			s.Err = &errs
			if code := Main(t.Context(), append([]string{"check", "--replay", record, "--at", at, "--exit-zero", "-o", "json"}, further...), s); code != 0 {
				t.Fatalf("%s: exit code %d\n%s", record, code, &errs)
			}
			tl, err := timeline.Read(&out)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range tl.Items {
				for _, call := range docs.CallsOf(i.Fix) {
					fixes++
					if _, _, err := understood(call); err != nil {
						t.Errorf("%s, %s %s: the fix %q: %v", record, i.ID, i.Code, fact.Text(i.Fix), err)
					}
				}
			}
		}
	}
	if fixes == 0 {
		t.Error("no fix is a command")
	}
}

// named is a command in the program's own texts: where a text begins with it, where a
// sentence quotes it, and after what another command is told for.
var named = regexp.MustCompile("(?:^|[`;] ?|^.*: )(?:sudo )?perennial ([a-z][^`;]*)")

// TestCommandsThatTheProgramNames goes through the texts in the program's sources:
// hints, fixes, next steps, examples. Each command, and each flag behind it, is there.
func TestCommandsThatTheProgramNames(t *testing.T) {
	found := 0
	err := filepath.WalkDir("..", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			text, err := strconv.Unquote(lit.Value)
			if err != nil {
				t.Error(err)
			}
			for line := range strings.Lines(text) {
				for _, m := range named.FindAllStringSubmatch(strings.TrimSpace(line), -1) {
					found++
					if err := there(strings.Fields(m[1])); err != nil {
						t.Errorf("%s: %q: %v", set.Position(lit.Pos()), m[0], err)
					}
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d commands in the program's texts", found)
	if found < 50 {
		t.Error("so few were found that some are overlooked")
	}
}

// there says whether the command that words begin with, and its flags among them, are
// there. What goes on in words is a sentence.
func there(text []string) error {
	s := nowhere(io.Discard)
	root := newRoot(s)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for n := range text {
		text[n] = strings.TrimRight(text[n], ".,:)")
	}
	cmd, _, err := root.Find(text)
	if err != nil {
		return err
	}
	if cmd == root {
		return fmt.Errorf("%q is no command", text[0])
	}
	cmd.InitDefaultHelpFlag()
	for _, word := range text {
		name, long := strings.CutPrefix(word, "--")
		name, _, _ = strings.Cut(name, "=")
		if long && name != "" && cmd.Flag(name) == nil && !cmd.DisableFlagParsing {
			return fmt.Errorf("%s has no flag --%s", cmd.CommandPath(), name)
		}
	}
	return nil
}
