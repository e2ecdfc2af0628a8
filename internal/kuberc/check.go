// SPDX-License-Identifier: Apache-2.0

package kuberc

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// Level is how bad a problem is.
type Level string

// The levels.
const (
	// Broken: the entry, or the whole file, does not do what it says.
	Broken Level = "broken"
	// Risk: it does, and that may be what nobody wants.
	Risk Level = "risk"
	// Note: worth knowing.
	Note Level = "note"
)

// Problem is what is wrong with a file at a line; 0 is the file as a whole.
type Problem struct {
	Line  int       `json:"line,omitempty"`
	Level Level     `json:"level"`
	Entry fact.Text `json:"entry,omitempty"` // "alias getn", "default for apply"
	Text  fact.Text `json:"text"`
	Fix   fact.Text `json:"fix,omitempty"`
}

// Check looks for what is wrong with a file for a kubectl, by line.
func (p Program) Check(c Contents) []Problem {
	k := &checker{program: p, prefs: c.Found, runnable: len(c.Refused) == 0}
	k.documents(c)
	if c.Found != nil {
		k.file()
		for _, a := range c.Found.Aliases {
			k.alias(a)
		}
		for _, d := range c.Found.Defaults {
			k.defaults(d)
		}
		k.policy(c.Found.Policy)
	}
	slices.SortStableFunc(k.problems, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return k.problems
}

type checker struct {
	program  Program
	prefs    *Preferences
	runnable bool
	entry    string
	problems []Problem
}

func (k *checker) say(level Level, line int, fix, format string, args ...any) {
	k.problems = append(k.problems, Problem{line, level, fact.Text(k.entry), fact.Text(fmt.Sprintf(format, args...)), fact.Text(fix)})
}

const convertFix = "perennial kuberc check --convert writes it in today's form"

func (k *checker) documents(c Contents) {
	for _, m := range c.Refused {
		fix := ""
		switch {
		case c.Early != nil && strings.Contains(m.Text, "proposed"):
			fix = convertFix
		case c.Found == nil:
			fix = "until this is mended kubectl uses nothing of the file: it warns and goes on, or stops where the file is named by --kuberc or KUBERC"
		}
		k.say(Broken, m.Line, fix, "%s", m.Text)
	}
	for _, m := range c.Ignored {
		k.say(Broken, m.Line, "kubectl warns of it on every command and leaves it out", "%s", m.Text)
	}
	for _, m := range c.Unused {
		k.say(Note, m.Line, "", "%s", m.Text)
	}
}

func (k *checker) file() {
	if k.prefs.Form == V1alpha1 {
		k.say(Note, k.prefs.Line, convertFix, "%s is the alpha form; %s is today's", V1alpha1, V1beta1)
	}
	for _, m := range k.prefs.allInvalid(k.program) {
		k.say(Broken, m.Line, "until this is mended kubectl refuses every command", "%s", m.Text)
	}
}

func (k *checker) alias(a Alias) {
	k.entry = "alias " + a.Name
	if onlyLetters(a.Name) && !k.program.Root.walk([]string{a.Name}).unknown() {
		k.say(Broken, a.Line, "give the alias another name", "kubectl has a command of this name, which goes first: the alias is never used")
		return
	}
	if a.Name == "help" {
		k.say(Risk, a.Line, "give the alias another name", "kubectl help is no longer kubectl's own")
	}
	to, ok := k.command(a.Line, a.Command, "the alias is refused when it is used")
	if !ok {
		return
	}
	k.options(to, a.Options, "each use of the alias is refused")
	if len(to.Children) > 0 {
		for _, o := range a.Options {
			if f, ok := to.flag(o.Name); ok && !to.global(f.Name) {
				k.say(Broken, o.Line, "make an alias of the command below it", "--%s is set on %s itself, and a command below it does not get it", f.Name, to)
			}
		}
	}
	k.arguments(to, a)
	k.dangers(to, a.Options, a.Line, append(slices.Clone(a.Prepend), a.Append...))
}

// command is what an entry is for. Kubectl leaves out what is behind the words that
// name the command, without a word.
func (k *checker) command(line int, text, otherwise string) (*Command, bool) {
	words := strings.Fields(text)
	leads := k.program.Root.walk(words)
	switch {
	case len(words) == 0:
		k.say(Broken, line, "", "it names no command")
		return nil, false
	case leads.unknown():
		fix, what := otherwise, fmt.Sprintf("%q is no command of kubectl %s", text, k.program.Minor)
		if slices.ContainsFunc(k.prefs.Aliases, func(a Alias) bool { return a.Name == words[leads.next] }) {
			what = fmt.Sprintf("%q is an alias, and kubectl follows none from here", words[leads.next])
			if k.entry == "alias "+words[leads.next] {
				what = "the alias stands for itself, which kubectl does not follow"
			}
			fix = "name the command that is meant; " + otherwise
		}
		k.say(Broken, line, fix, "%s", what)
		return nil, false
	case len(leads.words) < len(words):
		var rest []string
		for i, word := range words {
			if !slices.Contains(leads.words, i) {
				rest = append(rest, word)
			}
		}
		k.say(Broken, line, "write only the command here; arguments belong under prependArgs or appendArgs, flags under options", "kubectl leaves out %q behind %s", strings.Join(rest, " "), leads.to)
	}
	return leads.to, leads.to != k.program.Root
}

func (k *checker) options(on *Command, options []Option, otherwise string) {
	seen := map[string]bool{}
	for _, o := range options {
		if strings.HasPrefix(o.Name, "-") {
			continue // the whole file is refused for it
		}
		f, ok := on.flag(o.Name)
		switch {
		case !ok:
			k.say(Broken, o.Line, otherwise, "%s of kubectl %s has no flag --%s%s", on, k.program.Minor, o.Name, late(o.Name))
		case !f.takes(o.Value):
			k.say(Broken, o.Line, otherwise, "--%s takes no %q: it is of type %s", f.Name, o.Value, f.Kind)
		case seen[f.Name]:
			k.say(Note, o.Line, "", "--%s is there twice", f.Name)
		}
		seen[f.Name] = true
	}
}

// late explains the flags that kubectl gets only after preferences are applied.
func late(name string) string {
	if slices.Contains([]string{"v", "vmodule", "help", "log-flush-frequency"}, name) {
		return " when preferences are applied"
	}
	return ""
}

// arguments looks at flags among the arguments of an alias.
func (k *checker) arguments(to *Command, a Alias) {
	all := append(slices.Clone(a.Prepend), a.Append...)
	for _, arg := range all {
		if arg == "--" {
			return
		}
		name, ok := strings.CutPrefix(arg, "--")
		if name, _, _ = strings.Cut(name, "="); !ok || late(name) != "" {
			continue
		}
		if _, known := to.flag(name); !known && len(to.Children) == 0 {
			k.say(Broken, a.Line, "each use of the alias fails", "%s of kubectl %s has no flag --%s", to, k.program.Minor, name)
		}
	}
}

func (k *checker) defaults(d Default) {
	k.entry = "default for " + d.Command
	if words := strings.Fields(d.Command); len(words) > 0 && slices.ContainsFunc(k.prefs.Aliases, func(a Alias) bool { return a.Name == words[0] }) && k.program.Root.walk(words).unknown() {
		k.say(Broken, d.Line, "put the flags into the alias, under options", "%s is an alias, which has no defaults: kubectl refuses it, and warns on every other command", words[0])
		return
	}
	on, ok := k.command(d.Line, d.Command, "kubectl warns of it on every command")
	if !ok {
		return
	}
	k.options(on, d.Options, fmt.Sprintf("every kubectl %s is refused", on))
	if k.program.Loose {
		k.namesakes(on, d)
	}
	k.dangers(on, d.Options, d.Line, nil)
}

// namesakes are other commands that a default is for because their last word is the
// same.
func (k *checker) namesakes(on *Command, d Default) {
	var others, refused []string
	k.program.Root.each(func(other *Command) {
		if other == on || other.parent == nil || other.Name != on.Name {
			return
		}
		fits := !slices.ContainsFunc(d.Options, func(o Option) bool { _, ok := other.flag(o.Name); return !ok })
		if fits {
			others = append(others, "kubectl "+other.String())
		} else {
			refused = append(refused, "kubectl "+other.String())
		}
	})
	if len(refused) > 0 {
		k.say(Broken, d.Line, "use an alias instead", "kubectl goes by the last word of a command, so that this breaks %s as well, which has not these flags", strings.Join(refused, " and "))
	}
	if len(others) > 0 {
		k.say(Risk, d.Line, "use an alias instead, if only one is meant", "kubectl goes by the last word of a command, so that this is for %s as well", strings.Join(others, " and "))
	}
}

func (k *checker) policy(p Policy) {
	k.entry = ""
	if p.Type == "" && !p.Listed {
		return
	}
	if !k.program.knowsPolicy() {
		k.say(Broken, p.Line, "with kubectl 1.35 and newer it does", "kubectl %s knows no credentialPluginPolicy: it warns and runs any plugin", k.program.Minor)
		return
	}
	for _, a := range p.Allow {
		switch {
		case a.Deprecated && k.program.knowsCommand():
			k.say(Note, a.Line, "write command in its place", "the field name is deprecated since kubectl 1.36")
		case a.Command != "" && !strings.Contains(a.Command, "/"):
			k.say(Note, a.Line, "", "%s is whatever the PATH finds; with a path it is one program", a.Command)
		}
	}
}
