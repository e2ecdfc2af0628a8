// SPDX-License-Identifier: Apache-2.0

package kuberc

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func newest(t *testing.T) Program {
	t.Helper()
	known := Minors()
	p, err := Kubectl(known[len(known)-1])
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// preferences makes a file of today's form.
func preferences(t *testing.T, body string) *Preferences {
	t.Helper()
	c := Read([]byte("apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n" + body))
	if c.Found == nil {
		t.Fatalf("refused: %v", c.Refused)
	}
	return c.Found
}

// What the types of kubectl give as examples.
func TestExamplesOfKubectl(t *testing.T) {
	prefs := preferences(t, `
aliases:
- name: runx
  command: run
  options: [{name: image, default: nginx}]
  appendArgs: [--, custom-arg1]
- name: getn
  command: get
  options: [{name: output, default: wide}]
  prependArgs: [node]
defaults:
- command: delete
  options: [{name: interactive, default: "true"}]
`)
	for typed, want := range map[string]string{
		"runx test-pod":                      "run --image=nginx test-pod -- custom-arg1",
		"getn control-plane-1":               "get --output=wide node control-plane-1",
		"getn control-plane-1 --output=json": "get node control-plane-1 --output=json",
		"getn -ojson":                        "get node -ojson",
		"-n=x getn":                          "--output=wide -n=x get node",
		"delete pod a":                       "delete --interactive=true pod a",
		"delete pod a -i=false":              "delete pod a -i=false",
		"get pods":                           "get pods",
	} {
		got := newest(t).Resolve(prefs, strings.Fields(typed))
		if strings.Join(got.Args, " ") != want || got.Refusal != nil {
			t.Errorf("%s: %q, %v; want %q", typed, strings.Join(got.Args, " "), got.Refusal, want)
		}
	}
	if got := newest(t).Resolve(prefs, []string{"-n", "getn", "getn"}); got.Unknown != "" {
		t.Logf("%+v", got)
	}
}

// What the proposal of 2022 showed, as in the article on Kubernetes 1.25.
const early = `apiVersion: v1alpha1
kind: Preferences

command:
  aliases:
    - alias: getdbprod
      command: get pods -l what=database --namespace us-2-production

  overrides:
    - command: apply
      flags:
        - name: server-side
          default: "true"
    - command: delete
      flags:
        - name: confirm
          default: "true"
    - command: "*"
      flags:
        - name: exec-auth-allowlist
          default: /var/kubectl/exec/...
`

func TestConvertsTheProposal(t *testing.T) {
	c := Read([]byte(early))
	if c.Found != nil || c.Early == nil {
		t.Fatalf("found %v, early %v", c.Found, c.Early)
	}
	text, left, err := newest(t).Convert(c)
	if err != nil {
		t.Fatal(err)
	}
	again := Read(text)
	if again.Found == nil || again.Found.Form != V1beta1 || len(again.Ignored) > 0 {
		t.Fatalf("what was written is not read: %+v\n%s", again, text)
	}
	if problems := newest(t).Check(again); slices.ContainsFunc(problems, func(p Problem) bool { return p.Level == Broken }) {
		t.Errorf("what was written is broken: %v\n%s", problems, text)
	}
	got := newest(t).Resolve(again.Found, []string{"getdbprod", "-w"})
	if want := "get --selector=what=database --namespace=us-2-production pods -w"; strings.Join(got.Args, " ") != want {
		t.Errorf("%q, want %q", strings.Join(got.Args, " "), want)
	}
	var lines []int
	for _, m := range left {
		lines = append(lines, m.Line)
	}
	if !slices.Equal(lines, []int{16, 18}) || !strings.Contains(string(text), "# left out, line 18") {
		t.Errorf("left out: %v\n%s", left, text)
	}
}

func TestConvertsAlpha(t *testing.T) {
	c := Read([]byte("apiVersion: kubectl.config.k8s.io/v1alpha1\nkind: Preference\n" + `aliases:
- {name: getn, command: get, prependArgs: [node], flags: [{name: output, default: wide}]}
overrides:
- {command: delete, flags: [{name: interactive, default: "true"}]}
`))
	text, left, err := newest(t).Convert(c)
	again := Read(text)
	if err != nil || len(left) > 0 || again.Found == nil || again.Found.Form != V1beta1 {
		t.Fatalf("%v %v\n%s", err, left, text)
	}
	for _, typed := range []string{"getn a", "delete pod b"} {
		before, after := newest(t).Resolve(c.Found, strings.Fields(typed)), newest(t).Resolve(again.Found, strings.Fields(typed))
		if !slices.Equal(before.Args, after.Args) || slices.Equal(after.Args, strings.Fields(typed)) {
			t.Errorf("%s: %q before, %q after", typed, before.Args, after.Args)
		}
	}
}

// Each row is a file and what must be said of it, with the line.
func TestCheck(t *testing.T) {
	const head = "apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n"
	for name, c := range map[string]struct {
		text, want string
	}{
		"nothing":             {head, ""},
		"recommended":         {head + "defaults:\n- {command: apply, options: [{name: server-side, default: \"true\"}]}\n- {command: delete, options: [{name: interactive, default: \"true\"}]}\n", ""},
		"number for a text":   {head + "defaults:\n- command: get\n  options:\n  - {name: chunk-size, default: 500}\n", `6 broken default must be a text, and YAML reads 500 as a number: write "500"`},
		"old truth":           {head + "defaults:\n- command: get\n  options:\n  - {name: watch, default: yes}\n", `6 broken default must be a text, and YAML reads yes as true or false`},
		"field of the alpha":  {head + "aliases:\n- name: a\n  command: get\n  flags: [{name: output, default: wide}]\n", `6 broken there is no field "flags" in an alias; the one meant may be options`},
		"twice":               {head + "defaults:\n- command: get\n  command: describe\n  options: []\n", `5 broken the field "command" is there twice`},
		"shadowed":            {head + "aliases:\n- {name: get, command: describe}\n", `4 broken kubectl has a command of this name`},
		"itself":              {head + "aliases:\n- {name: a, command: a}\n", `4 broken the alias stands for itself`},
		"loop":                {head + "aliases:\n- {name: a, command: b}\n- {name: b, command: a}\n", `5 broken "a" is an alias, and kubectl follows none`},
		"unknown command":     {head + "defaults:\n- {command: gte, options: []}\n", `4 broken "gte" is no command`},
		"unknown flag":        {head + "defaults:\n- {command: get, options: [{name: confirm, default: \"true\"}]}\n", `4 broken get of kubectl 1.37 has no flag --confirm`},
		"late flag":           {head + "defaults:\n- {command: get, options: [{name: v, default: \"6\"}]}\n", `4 broken get of kubectl 1.37 has no flag --v when preferences are applied`},
		"value":               {head + "defaults:\n- {command: get, options: [{name: watch, default: maybe}]}\n", `4 broken --watch takes no "maybe"`},
		"dashes":              {head + "defaults:\n- {command: get, options: [{name: --watch, default: \"true\"}]}\n", `4 broken the flag --watch is written without dashes`},
		"name of an alias":    {head + "aliases:\n- {name: get-n, command: get}\n", `4 broken the name of an alias is made of the letters`},
		"two of a name":       {head + "aliases:\n- {name: a, command: get}\n- {name: a, command: describe}\n", `5 broken there are two aliases`},
		"words behind":        {head + "aliases:\n- {name: pods, command: get pods -o wide}\n", `4 broken kubectl leaves out "pods -o wide" behind get`},
		"default of an alias": {head + "aliases:\n- {name: a, command: get}\ndefaults:\n- {command: a, options: []}\n", `6 broken a is an alias, which has no defaults`},
		"namesakes":           {head + "defaults:\n- {command: set serviceaccount, options: [{name: local, default: \"true\"}]}\n", `4 broken kubectl goes by the last word of a command, so that this breaks kubectl create serviceaccount`},
		"lost on a group":     {head + "aliases:\n- {name: mk, command: create, options: [{name: dry-run, default: client}]}\n", `4 broken --dry-run is set on create itself`},
		"force":               {head + "defaults:\n- {command: delete, options: [{name: force, default: \"true\"}]}\n", `4 risk delete gets --force=true unasked`},
		"no force":            {head + "defaults:\n- {command: delete, options: [{name: force, default: \"false\"}]}\n", ""},
		"prune in an alias":   {head + "aliases:\n- {name: up, command: apply, appendArgs: [--prune, -l, app=x]}\n", `4 risk apply gets --prune=true unasked`},
		"drain":               {head + "defaults:\n- {command: drain, options: [{name: delete-emptydir-data, default: \"true\"}]}\n", `4 risk drain gets --delete-emptydir-data=true`},
		"context":             {head + "defaults:\n- {command: delete, options: [{name: context, default: prod}]}\n", `4 risk delete gets --context=prod unasked`},
		"policy":              {head + "credentialPluginPolicy: Deny\n", `3 broken the credentialPluginPolicy "Deny" is none of`},
		"list alone":          {head + "credentialPluginAllowlist: [{command: /usr/bin/x}]\n", `3 broken there is a credentialPluginAllowlist`},
		"nothing allowed":     {head + "credentialPluginPolicy: Allowlist\n", `3 broken the credentialPluginPolicy is Allowlist, and the list allows nothing`},
		"unclean path":        {head + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- command: /usr//bin/x\n", `5 broken the path /usr//bin/x is written as /usr/bin/x`},
		"older word":          {head + "credentialPluginPolicy: Allowlist\ncredentialPluginAllowlist:\n- name: /usr/bin/x\n", `5 note the field name is deprecated`},
		"the proposal":        {early, `1 broken this is the form that was proposed`},
		"version":             {"apiVersion: kubectl.config.k8s.io/v2\nkind: Preference\n", `1 broken apiVersion "kubectl.config.k8s.io/v2"`},
		"second document":     {head + "---\n" + head, `4 note this document is not used`},
		"no YAML":             {head + "aliases: [\n", `broken this is no YAML`},
		"NUL":                 {head + "aliases: []\x00\n", `3 broken the byte 0x00 stands in no text`},
		"a bomb":              {head + bomb(), `broken the anchors and aliases of this document make too much of it`},
	} {
		t.Run(name, func(t *testing.T) {
			var said []string
			for _, p := range newest(t).Check(Read([]byte(c.text))) {
				said = append(said, fmt.Sprintf("%d %s %s", p.Line, p.Level, p.Text))
			}
			switch all := strings.Join(said, "\n"); {
			case c.want == "" && all != "":
				t.Errorf("said %s", all)
			case !strings.Contains(all, c.want):
				t.Errorf("said %q; want %q", all, c.want)
			}
		})
	}
}

// What acts on a terminal is written so that it does not, and read back the same.
func TestConvertsVisibly(t *testing.T) {
	const hostile = "\x1b[31m\u202e\u0085 \U000e0041 'it\"s' \\u202e"
	c := Read([]byte(alphaHead + "overrides:\n- command: get\n  flags: [{name: output, default: \"\\e[31m\\u202e\\x85 \\U000e0041 'it\\\"s' \\\\u202e\"}]\n"))
	if c.Found == nil || c.Found.Defaults[0].Options[0].Value != hostile {
		t.Fatalf("read as %+v", c)
	}
	text, _, err := newest(t).Convert(c)
	if err != nil {
		t.Fatal(err)
	}
	if i := strings.IndexFunc(string(text), func(r rune) bool { return r != '\n' && (r < ' ' || r > '~') }); i >= 0 {
		t.Errorf("not visible: %q", text)
	}
	if again := Read(text); again.Found == nil || again.Found.Defaults[0].Options[0].Value != hostile {
		t.Errorf("read back as %+v\n%s", again, text)
	}
}

const alphaHead = "apiVersion: kubectl.config.k8s.io/v1alpha1\nkind: Preference\n"

func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [{name: x, command: get}]\n")
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
	}
	b.WriteString("b: &b {name: x, command: get}\naliases: [")
	b.WriteString(strings.Repeat("*b, ", maxSteps))
	return b.String() + "]\n"
}

// Whatever stands in a file, reading, checking and converting it end, and what is
// used of it is said or applied.
func FuzzPreferences(f *testing.F) {
	f.Add([]byte(early))
	f.Add([]byte("apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\naliases: [{name: a, command: get, <<: {name: b}}]\n---\n--- x\n"))
	f.Add([]byte("a: &a [*a]\n"))
	p, err := Kubectl(Minors()[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := Read(data)
		if c.Found == nil && c.Documents > 0 && len(c.Refused) == 0 {
			t.Errorf("nothing is used and nothing is said")
		}
		for _, problem := range p.Check(c) {
			if problem.Text == "" || problem.Line < 0 {
				t.Errorf("says nothing: %+v", problem)
			}
		}
		p.Resolve(c.Found, []string{"a", "--", "b"})
		if text, _, err := p.Convert(c); err == nil && Read(text).Found == nil {
			t.Errorf("what was converted is not read:\n%s", text)
		}
	})
}

// The table is whole: each minor has its commands, each flag its command.
func TestTable(t *testing.T) {
	for _, minor := range Minors() {
		p, err := Kubectl(minor)
		if err != nil {
			t.Fatal(err)
		}
		commands, flags := 0, 0
		p.Root.each(func(c *Command) { commands++; flags += len(c.Flags) })
		if commands < 100 || flags < 800 || p.Root.walk([]string{"create", "secret", "tls"}).to.String() != "create secret tls" {
			t.Errorf("kubectl %s: %d commands, %d flags", minor, commands, flags)
		}
	}
	if _, err := Kubectl(Oldest - 1); err == nil {
		t.Error("a minor before the table is known")
	}
}

// A shell reads back what was quoted.
func TestQuote(t *testing.T) {
	for _, arg := range []string{"", "a b", "it's", "$HOME", "a\nb", "\x1b[31m", "=x", "~", "*", "{a,b}", "\\", "ü", "\xff", "-o=jsonpath={.items[*].metadata.name}"} {
		got := shell(t, "printf %s "+Quote([]string{arg}))
		if got != arg {
			t.Errorf("%q: quoted %s, read as %q", arg, Quote([]string{arg}), got)
		}
	}
}

// Merges in a ring are refused, whatever else stands around them.
func TestMergesInARing(t *testing.T) {
	for _, text := range []string{"aliases:\n- &a {<<: *a, name: b}\n", "x: &x {<<: [*x, *x], a: 1}\naliases: [*x]\n"} {
		c := Read([]byte("apiVersion: kubectl.config.k8s.io/v1beta1\nkind: Preference\n" + text))
		if c.Found != nil || !strings.Contains(fmt.Sprint(c.Refused), "too deep") {
			t.Errorf("%s: %+v", text, c)
		}
	}
}
