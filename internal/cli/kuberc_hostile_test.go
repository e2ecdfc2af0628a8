// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"perennial.dev/perennial/internal/cli"
	"perennial.dev/perennial/internal/timeline"
)

// hostilePreferences are files that no preferences are. Each is refused with its
// line, or with why there is none.
func hostilePreferences() map[string]string {
	bomb := beta + "x0: &x0 [{name: a, command: get}]\n"
	for i := 1; i < 64; i++ {
		bomb += fmt.Sprintf("x%d: &x%d [*x%d, *x%d, *x%d, *x%d]\n", i, i, i-1, i-1, i-1, i-1)
	}
	return map[string]string{
		"NUL":               beta + "aliases:\n- {name: a\x00b, command: get}\n",
		"binary":            "\x7fELF\x02\x01\x01\x00\x00",
		"no UTF-8":          beta + "aliases: [\xff\xfe]\n",
		"UTF-16":            "\xff\xfea\x00p\x00i\x00",
		"escapes":           beta + "aliases:\n- {name: \"\\e[31mred\\u202e\", command: get}\n",
		"a terminal's":      beta + "# \x1b]0;title\x07\naliases: 5\n",
		"YAML's bomb":       bomb + "aliases: [" + strings.Repeat("{name: a, command: get, appendArgs: [*x0]}, ", 2000) + "]\n",
		"YAML's loop":       beta + "aliases: &a [*a]\n",
		"loop in a merge":   beta + "aliases:\n- &a\n  <<: *a\n  name: b\n",
		"aliases in a ring": beta + "aliases:\n- {name: a, command: b}\n- {name: b, command: a}\n",
		"deep":              beta + "aliases: " + strings.Repeat("[", 20000) + "\n",
		"deep maps":         beta + "aliases: " + strings.Repeat("{a: ", 20000) + "\n",
		"huge":              beta + "aliases: # " + strings.Repeat("x", 1<<20) + "\n",
		"an open bracket":   beta + "aliases: [\n",
		"a tab":             beta + "aliases:\n\t- {name: a}\n",
		"a list":            "- a\n- b\n",
		"a word":            "hello\n",
		"a number":          "5\n",
		"no version":        "kind: Preference\n",
		"unknown version":   "apiVersion: kubectl.config.k8s.io/v2\nkind: Preference\n",
		"unknown kind":      "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preferences\n",
		"another file":      "apiVersion: v1\nkind: Config\nclusters: []\n",
		"version a list":    "apiVersion: [a]\nkind: Preference\n",
		"tagged":            beta + "aliases: !!binary aGVsbG8=\n",
		"stray dashes":      "--- a\n" + beta,
		"the proposal":      "apiVersion: v1alpha1\nkind: Preferences\n",
	}
}

var lined = regexp.MustCompile(`file:\d+: |file: it is no regular file|larger than 256 KiB`)

// Whatever a file holds, each command that reads it ends with an error that names
// the line, shows no character that acts on a terminal, and changes nothing.
func TestHostilePreferences(t *testing.T) {
	for name, text := range hostilePreferences() {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "file")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			refuses(t, dir, file, name)
			after, err := os.ReadFile(file)
			if err != nil || string(after) != text {
				t.Errorf("the file was changed: %v", err)
			}
		})
	}
	t.Run("what is no file", func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "file")
		if err := syscall.Mkfifo(file, 0o600); err != nil {
			t.Fatal(err)
		}
		refuses(t, dir, file, "fifo")
	})
	t.Run("a directory", func(t *testing.T) {
		dir := t.TempDir()
		file := filepath.Join(dir, "file")
		if err := os.Mkdir(file, 0o700); err != nil {
			t.Fatal(err)
		}
		refuses(t, dir, file, "directory")
	})
}

func refuses(t *testing.T, dir, file, name string) {
	t.Helper()
	ring := name == "aliases in a ring" || name == "escapes" // kubectl reads these, and they are wrong
	for _, call := range []struct {
		args []string
		code []int
	}{
		{[]string{"kuberc", "check", "--kubectl", "1.37", file}, []int{timeline.ExitOverdue, timeline.ExitFailed}},
		{[]string{"kuberc", "check", "--kubectl", "1.37", "-o", "json", file}, []int{timeline.ExitOverdue, timeline.ExitFailed}},
		{[]string{"kuberc", "check", "--kubectl", "1.37", "--convert", file}, []int{timeline.ExitFailed}},
		{[]string{"kuberc", "explain", "--kubectl", "1.37", "-f", file, "--", "kubectl", "a", "pods"}, []int{timeline.ExitFailed, timeline.ExitOverdue}},
		{[]string{"--kuberc", file, "releases", "--at", "2026-11-22"}, []int{timeline.ExitUsage}},
		{[]string{"--kuberc", file, "a"}, []int{timeline.ExitUsage}},
	} {
		r := run(t, call.args...)
		code, said := r.exit, r.out+r.errors
		line := strings.Join(call.args, " ")
		convert := strings.Contains(line, "--convert") && (ring || name == "the proposal")
		unused := ring && strings.HasSuffix(line, "2026-11-22") && name != "escapes"
		if !convert && !unused && !slices.Contains(call.code, code) {
			t.Errorf("%s: exit code %d, want one of %v\n%s", line, code, call.code, said)
		}
		if !convert && !unused && !strings.Contains(line, "json") && !strings.Contains(line, "explain") && !lined.MatchString(said) {
			t.Errorf("%s: no line is named: %s", line, said)
		}
		if i := strings.IndexFunc(said, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f || r == 0x202e }); i >= 0 {
			t.Errorf("%s: a character acts on the terminal: %q", line, said)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("something was written: %v %v", left, err)
	}
}

// Where preferences are to come out, a sentence would be taken for them.
func TestNothingIsConvertedToASentence(t *testing.T) {
	home, out, problems := t.TempDir(), &strings.Builder{}, &strings.Builder{}
	code := cli.Main(t.Context(), []string{"kuberc", "check", "--kubectl", "1.37", "--convert"}, cli.Streams{In: strings.NewReader(""), Out: out, Err: problems, Now: time.Now, Getenv: func(name string) string {
		return map[string]string{"HOME": home}[name]
	}})
	if code != timeline.ExitFailed || out.Len() > 0 || !strings.Contains(problems.String(), "kuberc: there are no preferences in it") {
		t.Errorf("exit code %d, %q, %q", code, out, problems)
	}
}
