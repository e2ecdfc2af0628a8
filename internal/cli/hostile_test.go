// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"perennial.dev/perennial/internal/cli"
	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/testnode"
	"perennial.dev/perennial/internal/timeline"
)

// bad is one thing that is wrong with a node, and all that has to follow from
// it. What is not listed must be as on a healthy node.
type bad struct {
	name   string
	node   testnode.Options
	change func(t *testing.T, n *testnode.Node)
	want   []string // further items, as "ID Code"
	gone   []string // items of the healthy node that are no longer there
	unseen []string // "Why what"
	exit   int
	says   []string // each stands somewhere in the table
	never  []string // none stands anywhere
}

// hangs is how long a check may take before it counts as hanging. It bounds
// nothing: the slowest case takes a fraction of a second on an idle machine.
const hangs = time.Minute

// result is what one call of the program gave.
type result struct {
	exit        int
	out, errors string
}

// run calls the program in this process.
func run(t *testing.T, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), hangs)
	defer cancel()
	var out, errors bytes.Buffer
	code := cli.Main(ctx, args, cli.Streams{
		In: strings.NewReader(""), Out: &out, Err: &errors, Now: time.Now, Getenv: func(string) string { return "" },
	})
	if ctx.Err() != nil {
		t.Fatalf("perennial %s did not end in time", strings.Join(args, " "))
	}
	return result{code, out.String(), errors.String()}
}

// settings keeps tests apart from the settings of the machine they run on.
func settings(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "settings.yaml")
	text := "apiVersion: " + finding.APIVersion + "\nkind: Config\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// look checks once, live, and renders what was recorded in every other format.
func look(t *testing.T, args ...string) (timeline.Timeline, map[string]string, int) {
	t.Helper()
	record := filepath.Join(t.TempDir(), "record.jsonl")
	common := []string{"check", "--config", settings(t)}
	live := run(t, slices.Concat(common, args, []string{"-o", "json", "--record", record})...)
	if live.errors != "" {
		t.Errorf("standard error holds %q", live.errors)
	}
	var seen timeline.Timeline
	if err := json.Unmarshal([]byte(live.out), &seen); err != nil {
		t.Fatalf("no report came (exit code %d): %v\n%s", live.exit, err, live.errors)
	}
	if seen.ExitCode != live.exit {
		t.Errorf("the report says exit code %d, the program ends with %d", seen.ExitCode, live.exit)
	}
	outputs := map[string]string{"json": live.out}
	for _, format := range []string{"json", "table", "wide", "yaml"} {
		again := run(t, append(common, "--replay", record, "-o", format)...)
		if again.exit != live.exit {
			t.Errorf("replayed as %s: exit code %d, live %d: %s", format, again.exit, live.exit, again.errors)
		}
		// What is no UTF-8 is written by its escape once, and as the
		// replacement character when it has been read back.
		if was := strings.ReplaceAll(live.out, `\ufffd`, "\uFFFD"); format == "json" && again.out != was {
			t.Errorf("the replay differs from the look:\n%s", firstDifference(was, again.out))
		}
		outputs[format] = again.out
	}
	raw, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	outputs["record"] = string(raw)
	return seen, outputs, live.exit
}

func firstDifference(a, b string) string {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] {
			return fmt.Sprintf("line %d\n- %s\n+ %s", i+1, x[i], y[i])
		}
	}
	return "one is longer"
}

// summary is what a report says, without how it says it.
func summary(seen timeline.Timeline) (items, unseen []string) {
	for _, i := range seen.Items {
		items = append(items, fmt.Sprintf("%s %s", i.ID, i.Code))
	}
	for _, u := range seen.Unseen {
		unseen = append(unseen, fmt.Sprintf("%s %s", u.Why, u.What))
	}
	slices.Sort(items)
	slices.Sort(unseen)
	return items, slices.Compact(unseen)
}

// check runs one bad input against what the same node is when healthy.
func (b bad) check(t *testing.T) {
	n := testnode.New(t, b.node)
	args := []string{"--root", n.Root}
	healthy, _, exit := look(t, args...)
	if exit != timeline.ExitOK || len(healthy.Unseen) > 0 {
		t.Fatalf("the healthy node ends with %d: %s", exit, healthy.Headline)
	}
	secrets := secretsBelow(t, n.Root)
	b.change(t, n)
	secrets = append(secrets, secretsBelow(t, n.Root)...)
	seen, outputs, exit := look(t, args...)
	b.compare(t, healthy, seen, exit)
	b.clean(t, outputs, secrets)
}

// compare wants the report to differ from the healthy one as said, and in
// nothing else.
func (b bad) compare(t *testing.T, healthy, seen timeline.Timeline, exit int) {
	t.Helper()
	before, _ := summary(healthy)
	items, unseen := summary(seen)
	expected := slices.DeleteFunc(slices.Clone(before), func(s string) bool { return slices.Contains(b.gone, s) })
	if len(expected) != len(before)-len(b.gone) {
		t.Errorf("not all of %v are on a healthy node", b.gone)
	}
	expected = slices.Sorted(slices.Values(append(expected, b.want...)))
	for _, s := range few(minus(expected, items)) {
		t.Errorf("missing: %s", s)
	}
	for _, s := range few(minus(items, expected)) {
		t.Errorf("unexpected: %s (%s)", s, because(seen, s))
	}
	if want := slices.Sorted(slices.Values(b.unseen)); !slices.Equal(unseen, want) {
		t.Errorf("unseen\n got %q\nwant %q", unseen, want)
	}
	if exit != b.exit {
		t.Errorf("exit code %d, want %d: %s", exit, b.exit, seen.Headline)
	}
}

// minus is what a has more than b; both are sorted and may repeat.
func minus(a, b []string) []string {
	left := slices.Clone(b)
	var more []string
	for _, s := range a {
		if i := slices.Index(left, s); i >= 0 {
			left = slices.Delete(left, i, i+1)
		} else {
			more = append(more, s)
		}
	}
	return more
}

func few(all []string) []string { return all[:min(len(all), 20)] }

func because(seen timeline.Timeline, name string) string {
	for _, i := range seen.Items {
		if fmt.Sprintf("%s %s", i.ID, i.Code) == name {
			return i.Reason
		}
	}
	return ""
}

// clean wants every output safe for a terminal and free of private keys.
func (b bad) clean(t *testing.T, outputs map[string]string, secrets []string) {
	t.Helper()
	for format, text := range outputs {
		unsafe(t, format, text)
		for _, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Fatalf("%s holds a part of a private key", format)
			}
		}
		for _, s := range b.never {
			if strings.Contains(text, s) {
				t.Errorf("%s holds %q", format, s)
			}
		}
	}
	// The first line names the root, and with it the test.
	_, table, _ := strings.Cut(outputs["table"], "\n")
	words := strings.Join(strings.Fields(table), " ")
	for _, s := range b.says {
		if !strings.Contains(words, s) {
			t.Errorf("the table does not say %q:\n%s", s, outputs["table"])
		}
	}
}

// unsafe finds characters that move a cursor, hide or reorder. It does not ask
// the program's own idea of them.
func unsafe(t *testing.T, format, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%s is no UTF-8", format)
	}
	for i, r := range text {
		if r != '\n' && (unicode.Is(unicode.C, r) || r == '\u2028' || r == '\u2029') {
			t.Errorf("%s holds %U near %q", format, r, text[max(0, i-40):min(len(text), i+10)])
			return
		}
	}
}

func TestHostile(t *testing.T) {
	names := map[string]bool{}
	total := 0
	for _, group := range []struct {
		name  string
		cases []bad
	}{
		{"files", hostileFiles()}, {"certificates", hostileCertificates()}, {"names", hostileNames()},
		{"kubeconfigs", hostileKubeconfigs()}, {"manifests", hostileManifests()},
	} {
		total += len(group.cases)
		for _, b := range group.cases {
			if names[b.name] {
				t.Errorf("two cases are called %q", b.name)
			}
			names[b.name] = true
			t.Run(group.name+"/"+b.name, func(t *testing.T) { t.Parallel(); b.check(t) })
		}
	}
	if total < 40 {
		t.Errorf("there are %d bad inputs, want at least 40", total)
	}
}
