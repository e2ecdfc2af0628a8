// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"perennial.dev/perennial/internal/timeline"
)

// The program's memory stays below this, in KiB, whatever it is given; of that
// the program itself takes about a sixth.
const mostMemory = 300 << 10

// reported runs the program as a process of its own, which must end by itself, and
// reads its report.
func reported(t *testing.T, cmd *exec.Cmd) (tl timeline.Timeline, exit int) {
	t.Helper()
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	err := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Bytes(), &tl); err != nil {
		t.Fatalf("exit code %d: %v: %s", cmd.ProcessState.ExitCode(), err, &problems)
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); !ok || usage.Maxrss > mostMemory {
		t.Errorf("it took %d MiB", usage.Maxrss>>10)
	}
	unsafe(t, "json", out.String())
	return tl, cmd.ProcessState.ExitCode()
}

// places are the findings as "FILE:LINE ID CODE", files below a directory.
func places(tl timeline.Timeline, dir string) []string {
	var all []string
	for _, i := range tl.Items {
		all = append(all, fmt.Sprintf("%s:%d %s %s", strings.TrimPrefix(i.File, dir+"/"), i.Line, i.ID, i.Code))
	}
	slices.Sort(all)
	return all
}

// removed is a document of which 1.25 takes the version away.
func removed(name string) string {
	return "apiVersion: batch/v1beta1\nkind: CronJob\nmetadata: {name: " + name + ", namespace: shop}\n"
}

// long is a list on one line of ten megabytes, with one object in it that
// matters.
func long() string {
	var b strings.Builder
	b.WriteString(`{"apiVersion":"v1","kind":"List","items":[`)
	for b.Len() < 10<<20 {
		fmt.Fprintf(&b, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"text":%q}},`, strings.Repeat(`{"apiVersion":"batch/v1beta1"} `, 100))
	}
	b.WriteString(`{"apiVersion":"batch/v1beta1","kind":"CronJob","metadata":{"name":"long","namespace":"shop"}}]}`)
	return b.String()
}

// aliasBomb is a document that its aliases make a thousand million times as large.
func aliasBomb() string {
	text := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 9 {
		text += fmt.Sprintf("a%d: &a%d [%s]\n", i+1, i+1, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i), 10), ","))
	}
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\n" + text
}

// What is damaged, hostile or out of reach is named, each, and everything else is
// found, in the same files too.
func TestHostileDocuments(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "manifests")
	for name, text := range map[string]string{
		"good.yaml":        removed("good"),
		"long.json":        long(),
		"long-cut.json":    long()[:10<<20],
		"bomb.yaml":        aliasBomb() + "---\n" + removed("behind-the-bomb"),
		"loop.yaml":        "a: &a [*a]\n",
		"template.yaml":    "{{- if .Values.ingress }}\n" + removed("{{ .Release.Name }}") + "{{- end }}\n---\n" + removed("behind-the-template"),
		"braces.yaml":      "apiVersion: {{ .Version }}\nkind: CronJob\n",
		"binary.yaml":      "\x7fELF\x02\x01\x01\x00\x00" + removed("in-a-binary"),
		"utf16.yaml":       "\xff\xfea\x00p\x00i\x00",
		"deep.json":        strings.Repeat("[", 1<<20),
		"deep.yaml":        strings.Repeat("- ", 1<<20) + "x\n",
		"below/fine.yml":   "# below\n" + removed("below"),
		"closed/lost.yaml": removed("closed"),
	} {
		path := filepath.Join(dir, name)
		mkdir(t, filepath.Dir(path))
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, to := range map[string]string{"self.yaml": "self.yaml", "below/up": "..", "below/away": "/etc", "nowhere.yaml": "missing"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "huge.yaml"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, "huge.yaml"), 1<<30); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "closed"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(filepath.Join(dir, "closed"), 0o755) })

	tl, exit := reported(t, unprivileged(t, "check", "--to", "1.25", "--from", "1.24", "-R", "-f", dir, "-o", "json"))
	want := []string{
		"below/fine.yml:2 manifest/batch/CronJob/shop/below APIRemoved", "bomb.yaml:15 manifest/batch/CronJob/shop/behind-the-bomb APIRemoved",
		"good.yaml:1 manifest/batch/CronJob/shop/good APIRemoved", "long.json:1 manifest/batch/CronJob/shop/long APIRemoved",
		"template.yaml:7 manifest/batch/CronJob/shop/behind-the-template APIRemoved",
	}
	if got := places(tl, dir); !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if exit != timeline.ExitUnseen {
		t.Errorf("exit code %d", exit)
	}
	unseen := map[string]string{}
	for _, u := range tl.Unseen {
		name := strings.TrimPrefix(string(u.What), dir+"/")
		name, _, _ = strings.Cut(name, ":")
		unseen[name] = string(u.Why)
	}
	for name, why := range map[string]string{
		"long-cut.json": "Malformed", "bomb.yaml": "TooLarge Malformed", "loop.yaml": "TooLarge Malformed", "template.yaml": "Unsupported Malformed", "braces.yaml": "Unsupported Malformed",
		"binary.yaml": "Malformed", "utf16.yaml": "Unsupported", "deep.json": "TooLarge", "deep.yaml": "TooLarge Malformed", "self.yaml": "Malformed", "below/up": "Malformed",
		"below/away": "Unsupported", "nowhere.yaml": "Failed", "huge.yaml": "TooLarge", "closed": "Denied",
	} {
		if unseen[name] == "" || !slices.Contains(strings.Fields(why), unseen[name]) {
			t.Errorf("%s is told as %q, want %s", name, unseen[name], why)
		}
		delete(unseen, name)
	}
	if len(unseen) > 0 {
		t.Errorf("told without need: %v", unseen)
	}
}

// unprivileged is the program as one that may not read everything: for root,
// without the rights that let it.
func unprivileged(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	if os.Geteuid() != 0 {
		return product(t, args...)
	}
	setpriv, err := exec.LookPath("setpriv")
	if err != nil {
		t.Skip("for root, needs setpriv: it may read every directory")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "perennial") // by its name the test binary knows what to be
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	const rights = "-dac_override,-dac_read_search"
	return exec.CommandContext(t.Context(), setpriv, append([]string{"--inh-caps=" + rights, "--bounding-set=" + rights, program}, args...)...)
}
