// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/cli"
	"perennial.dev/perennial/internal/kuberc"
	"perennial.dev/perennial/internal/testlab"
	"perennial.dev/perennial/internal/timeline"
)

// TestLabKuberc compares what `kuberc explain` shows with what the real kubectl of a
// version does, for 200 files and lines. Three runs of kubectl are compared by what
// they ask of an API server and by all that they print:
//
//	typed       the line as it is typed, with the preferences
//	explained   the line that explain shows, pasted into a shell
//	bare        the line as it is typed, without the preferences
//
// The first two have to be equal. Where explain says that something changes, the
// third has to differ, else the comparison would show nothing.
func TestLabKuberc(t *testing.T) {
	for _, version := range testlab.Versions(t) {
		minor := strings.Join(strings.SplitN(version, ".", 3)[:2], ".")
		if minor < kuberc.Oldest.String() { // its kubectl does not read preferences unasked
			continue
		}
		t.Run(version, func(t *testing.T) {
			k := &kubectl{version: minor, bin: testlab.Programs(t, version), home: t.TempDir(), server: newRecorder(t)}
			if err := os.Mkdir(filepath.Join(k.home, ".kube"), 0o700); err != nil {
				t.Fatal(err)
			}
			cases := append(handMade(), generated(110)...)
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) { k.compare(t, placedCase{kubercCase: c}) })
			}
			for _, c := range placed(k.home) {
				t.Run(c.name, func(t *testing.T) { k.compare(t, c) })
			}
			t.Logf("kubectl %s: %d cases equal to the real one; preferences changed %d of them and are refused in %d; of the changes %d can be seen", version, k.equal, k.changed, k.refused, k.seen)
			if len(cases) < 200 || k.changed < 100 || k.seen*10 < k.changed*9 {
				t.Errorf("too little is shown")
			}
		})
	}
}

type kubectl struct {
	version, bin, home               string
	server                           *recorder
	equal, changed, refused, seen, n int
}

// prepare makes what some commands change anew.
func (k *kubectl) prepare(t *testing.T) {
	t.Helper()
	config := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "x",
"clusters": [{"name": "x", "cluster": {"server": %q}}], "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x", "namespace": "dev"}}],
"users": [{"name": "x", "user": {"token": "x"}}]}`, k.server.URL)
	for name, text := range map[string]string{
		"config": config, "object.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: web}\ndata: {a: b}\n",
	} {
		if err := os.WriteFile(filepath.Join(k.home, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// observed is what a run of kubectl did.
type observed struct {
	code     int
	out, err string
	asked    []string
	config   string // the kubeconfig afterwards
}

func (o observed) String() string {
	return fmt.Sprintf("exit code %d\n-- asked\n%s\n-- output\n%s\n-- errors\n%s", o.code, strings.Join(o.asked, "\n"), o.out, o.err)
}

// run runs a line of a shell, in which kubectl is the real one.
func (k *kubectl) run(t *testing.T, line string, env ...string) observed {
	t.Helper()
	k.prepare(t)
	k.n++
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", line)
	cmd.Dir = k.home
	// Each run has a cache of its own, so that all discover alike.
	cmd.Env = append([]string{"HOME=" + k.home, "KUBECONFIG=" + filepath.Join(k.home, "config"), "PATH=" + k.bin + ":/usr/bin:/bin", "TERM=dumb",
		fmt.Sprintf("KUBECACHEDIR=%s/cache-%d", k.home, k.n)}, env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s did not end", line)
	}
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		t.Fatal(err)
	}
	o := observed{code: cmd.ProcessState.ExitCode(), out: chance.ReplaceAllString(out.String(), "X"), err: klogLine.ReplaceAllString(errs.String(), "")}
	for _, asked := range k.server.take() {
		o.asked = append(o.asked, chance.ReplaceAllString(asked, "X"))
	}
	config, err := os.ReadFile(filepath.Join(k.home, "config"))
	if err != nil {
		t.Fatal(err)
	}
	o.config = string(config)
	return o
}

var (
	klogLine     = regexp.MustCompile(`[EWI]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \w+\.go:\d+\] `) // its clock and process
	loadWarnings = regexp.MustCompile(`(?m)^Warning: (command .* not found to set kuberc override|Setting alias .* to a built-in command is not supported)\n`)
)

// kubercExplained is what explain says, as programs read it.
type kubercExplained struct {
	Line, Command, Unknown string
	Args                   []string
	Entries                []struct{ Alias string }
	Warnings               []struct{ Text string }
	Refusal                *struct{ Text string }
}

func (k *kubectl) explain(t *testing.T, typed, variables []string) kubercExplained {
	t.Helper()
	var out, errs bytes.Buffer
	env := map[string]string{"HOME": k.home}
	for _, v := range variables {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	args := append([]string{"kuberc", "explain", "--kubectl", k.version, "-o", "json", "--"}, typed...)
	code := cli.Main(t.Context(), args, cli.Streams{Out: &out, Err: &errs, Now: time.Now, Getenv: func(name string) string { return env[name] }})
	var e kubercExplained
	if err := json.Unmarshal(out.Bytes(), &e); err != nil {
		t.Fatalf("exit code %d: %v\n%s%s", code, err, &out, &errs)
	}
	if want := map[bool]int{true: timeline.ExitOverdue}[e.Refusal != nil]; code != want {
		t.Errorf("explain ends with %d, want %d", code, want)
	}
	return e
}

func (k *kubectl) compare(t *testing.T, c placedCase) {
	if err := os.WriteFile(filepath.Join(k.home, ".kube", "kuberc"), []byte(c.file), 0o600); err != nil {
		t.Fatal(err)
	}
	typed := strings.Fields(c.typed)
	if err := os.WriteFile(filepath.Join(k.home, "other"), []byte(c.other), 0o600); err != nil {
		t.Fatal(err)
	}
	e := k.explain(t, typed, c.env)
	real := k.run(t, shellLine(typed), c.env...)
	if e.Refusal != nil {
		if real.code == 0 || len(real.asked) > 0 || !strings.Contains(real.err, "error occurred while applying preferences") {
			t.Errorf("explain says that kubectl refuses it: %s\nit does not: %s", e.Refusal.Text, real)
			return
		}
		k.equal++
		k.refused++
		return
	}
	pasted := k.run(t, e.Line, c.env...)
	if n := len(loadWarnings.FindAllString(real.err, -1)); n != len(e.Warnings) {
		t.Errorf("kubectl warns %d times, explain %d: %s", n, len(e.Warnings), real.err)
	}
	if a, b := plainly(real, e), plainly(pasted, e); !same(a, b) {
		t.Errorf("%s\ntyped: %s\nexplained: %s\n---- typed with these preferences\n%s\n---- explained\n%s", c.file, c.typed, e.Line, a, b)
		return
	}
	k.equal++
	if slices.Equal(e.Args, typed[1:]) {
		return
	}
	k.changed++
	if bare := k.run(t, shellLine(typed), "KUBERC=off"); !same(plainly(real, e), plainly(bare, e)) {
		k.seen++
	} else {
		t.Logf("cannot be seen: %s becomes %s", c.typed, e.Line)
	}
}

// shellLine quotes what a case types.
func shellLine(args []string) string {
	quoted := make([]string, len(args))
	for i, arg := range args {
		quoted[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}

// plainly is an observation without what tells a person of the preferences: the
// warnings of loading them, and the alias in the place of its command.
func plainly(o observed, e kubercExplained) observed {
	o.err = loadWarnings.ReplaceAllString(o.err, "")
	o.asked = slices.Clone(o.asked)
	for _, entry := range e.Entries {
		if entry.Alias == "" {
			continue
		}
		alias := regexp.MustCompile(`\bkubectl ` + entry.Alias + `\b`)
		o.out, o.err = alias.ReplaceAllString(o.out, e.Command), alias.ReplaceAllString(o.err, e.Command)
		for i := range o.asked {
			o.asked[i] = alias.ReplaceAllString(o.asked[i], e.Command)
		}
	}
	return o
}

// same compares two runs. What kubectl says of a file that it does not understand
// has no end of line, so that it stands before whatever it says next.
func same(a, b observed) bool {
	errs := a.err == b.err
	if strings.HasPrefix(a.err, "kuberc: ") {
		errs = strings.HasSuffix(a.err, b.err)
	}
	return errs && a.code == b.code && a.out == b.out && a.config == b.config && slices.Equal(a.asked, b.asked)
}
