// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/cli"
)

// run runs the program as its users do and returns what it prints.
func run(t *testing.T, args ...string) string {
	t.Helper()
	var out, problems bytes.Buffer
	s := cli.Streams{
		In: strings.NewReader(""), Out: &out, Err: &problems,
		Now:    func() time.Time { return time.Unix(0, 0).UTC() },
		Getenv: func(string) string { return "" },
	}
	if code := cli.Main(context.Background(), args, s); code != 0 {
		t.Fatalf("perennial %s: exit code %d\n%s", strings.Join(args, " "), code, &problems)
	}
	return out.String()
}

// commandNames asks the program's own completion, so that a new command is
// found unasked.
func commandNames(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, line := range strings.Split(run(t, "__complete", ""), "\n") {
		name, _, isCommand := strings.Cut(line, "\t")
		if isCommand && !strings.HasPrefix(name, "-") {
			all = append(all, name)
		}
	}
	if !slices.Contains(all, "check") {
		t.Fatalf("the completion does not name check: %q", all)
	}
	return all
}

func commands(t *testing.T) string {
	var b strings.Builder
	section := func(title string, args ...string) {
		fmt.Fprintf(&b, "## %s\n\n```text\n%s\n```\n\n", title, strings.TrimSpace(run(t, args...)))
	}
	section("perennial", "--help")
	for _, name := range commandNames(t) {
		if name != "completion" && name != "help" { // cobra's own
			eachCommand(t, []string{name}, func(words []string, _ string) {
				section("perennial "+strings.Join(words, " "), append(words, "--help")...)
			})
		}
	}
	return b.String()
}

var further = regexp.MustCompile(`(?s)Available Commands:\n(.*?)\n\n`)

// eachCommand goes through a command and those below it, with their help.
func eachCommand(t *testing.T, words []string, do func(words []string, help string)) {
	t.Helper()
	help := run(t, append(slices.Clone(words), "--help")...)
	do(slices.Clone(words), help)
	if m := further.FindStringSubmatch(help); m != nil {
		for _, line := range strings.Split(m[1], "\n") {
			eachCommand(t, append(slices.Clone(words), strings.Fields(line)[0]), do)
		}
	}
}

// excerpt is the head of the report on the recorded node.
func excerpt(t *testing.T) string {
	const lines, columns = 19, 100
	report := run(t, "check", "--exit-zero", "--replay", root+"/examples/recorded-node.jsonl")
	var b strings.Builder
	for _, line := range strings.Split(report, "\n")[:lines] {
		for len(line) > columns {
			cut := strings.LastIndexByte(line[:columns], ' ')
			b.WriteString(line[:cut] + "\n")
			line = "     " + line[cut+1:]
		}
		b.WriteString(line + "\n")
	}
	return "```text\n$ sudo perennial check\n" + b.String() + "...\n```"
}

var fenced = regexp.MustCompile("(?s)```[a-z]*\n.*?```")
