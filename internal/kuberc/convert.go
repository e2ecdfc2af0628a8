// SPDX-License-Identifier: Apache-2.0

package kuberc

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"perennial.dev/perennial/internal/fact"
)

// The form of what is written, v1beta1.
type (
	written struct {
		APIVersion string           `yaml:"apiVersion"`
		Kind       string           `yaml:"kind"`
		Aliases    []writtenAlias   `yaml:"aliases,omitempty"`
		Defaults   []writtenDefault `yaml:"defaults,omitempty"`
		Policy     visible          `yaml:"credentialPluginPolicy,omitempty"`
		Allowlist  []writtenAllowed `yaml:"credentialPluginAllowlist,omitempty"`
	}
	writtenAlias struct {
		Name    visible         `yaml:"name"`
		Command visible         `yaml:"command"`
		Options []writtenOption `yaml:"options,omitempty"`
		Prepend []visible       `yaml:"prependArgs,omitempty"`
		Append  []visible       `yaml:"appendArgs,omitempty"`
	}
	writtenDefault struct {
		Command visible         `yaml:"command"`
		Options []writtenOption `yaml:"options"`
	}
	writtenOption struct {
		Name    visible `yaml:"name"`
		Default visible `yaml:"default"`
	}
	writtenAllowed struct {
		Command visible `yaml:"command"`
	}
)

// visible is a text of which nothing acts on a terminal that shows it.
type visible string

// MarshalYAML has such a text quoted, so that escapes may stand in it.
func (v visible) MarshalYAML() (any, error) {
	n := yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: string(v)}
	if fact.Text(v).String() != string(v) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return &n, nil
}

// escaped writes what YAML would leave as it is.
func escaped(text []byte) []byte {
	var b bytes.Buffer
	for _, r := range string(text) {
		switch {
		case r == '\n' || fact.Text(r).String() == string(r):
			b.WriteRune(r)
		case r > 0xffff:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.Bytes()
}

func shown(all []string) (out []visible) {
	for _, s := range all {
		out = append(out, visible(s))
	}
	return out
}

// Convert writes preferences of any form in today's, v1beta1, and says what it had
// to leave out. Of a file in several documents it takes what kubectl would, else the
// proposal's.
func (p Program) Convert(c Contents) (text []byte, left []Mistake, err error) {
	prefs := c.Found
	if prefs == nil {
		prefs = c.Early
	}
	if prefs == nil {
		return nil, nil, errors.New("there are no preferences in it that could be converted")
	}
	v := &converter{program: p, early: prefs.Form == Early}
	out := written{APIVersion: Group + "/" + string(V1beta1), Kind: Kind}
	for _, a := range prefs.Aliases {
		v.alias(&out, a)
	}
	for _, d := range prefs.Defaults {
		v.defaults(&out, d)
	}
	out.Policy = visible(prefs.Policy.Type)
	for _, a := range prefs.Policy.Allow {
		out.Allowlist = append(out.Allowlist, writtenAllowed{visible(a.Command)})
	}
	var b bytes.Buffer
	for _, m := range v.left {
		fmt.Fprintf(&b, "# left out, line %d: %s\n", m.Line, fact.Text(m.Text))
	}
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(out); err != nil {
		return nil, nil, fmt.Errorf("writing preferences: %w", err)
	}
	return escaped(b.Bytes()), v.left, nil
}

type converter struct {
	program Program
	early   bool
	left    []Mistake
}

func (v *converter) leave(line int, format string, args ...any) {
	v.left = append(v.left, Mistake{line, fmt.Sprintf(format, args...)})
}

func (v *converter) alias(out *written, a Alias) {
	w := writtenAlias{visible(a.Name), visible(a.Command), v.options(a.Options), shown(a.Prepend), shown(a.Append)}
	if !v.early {
		out.Aliases = append(out.Aliases, w)
		return
	}
	// The proposal's alias is a whole command line; today's is a command, with its
	// flags and arguments apart.
	words, err := splitWords(a.Command)
	if err != nil {
		v.leave(a.Line, "the alias %s: %v", a.Name, err)
		return
	}
	if words[0] == "kubectl" && len(words) > 1 {
		words = words[1:]
	}
	leads := v.program.Root.walk(words)
	switch {
	case leads.unknown() || len(leads.words) == 0:
		v.leave(a.Line, "the alias %s: %q is no command of kubectl %s", a.Name, a.Command, v.program.Minor)
		return
	case !onlyLetters(a.Name):
		v.leave(a.Line, "the alias %s: its name may have letters only", a.Name)
		return
	case !v.program.Root.walk([]string{a.Name}).unknown():
		v.leave(a.Line, "the alias %s: kubectl has a command of this name", a.Name)
		return
	}
	w.Command = visible(leads.to.String())
	if err := v.line(&w, leads, words); err != nil {
		v.leave(a.Line, "the alias %s: %v", a.Name, err)
		return
	}
	out.Aliases = append(out.Aliases, w)
}

// line sorts the words of a command line into flags and arguments.
func (v *converter) line(w *writtenAlias, leads way, words []string) error {
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case slices.Contains(leads.words, i):
		case word == "--":
			w.Append = append(w.Append, shown(words[i:])...)
			return nil
		case len(word) < 2 || word[0] != '-':
			w.Prepend = append(w.Prepend, visible(word))
		default:
			name, value, valued := strings.Cut(strings.TrimPrefix(word, "--"), "=")
			f, ok := leads.to.flag(name)
			if !strings.HasPrefix(word, "--") {
				f, ok = leads.to.short(word[1:2])
				value = strings.TrimPrefix(word[2:], "=")
				valued = len(word) > 2
				if ok && f.Bare && valued {
					return fmt.Errorf("the flags %s are several in one: write them apart", word)
				}
			}
			switch {
			case !ok:
				return fmt.Errorf("%s has no flag %s", leads.to, word)
			case !valued && f.Bare:
				value = "true"
			case !valued && i+1 >= len(words):
				return fmt.Errorf("the flag %s has no value", word)
			case !valued:
				i++
				value = words[i]
			}
			w.Options = append(w.Options, writtenOption{visible(f.Name), visible(value)})
		}
	}
	return nil
}

func (v *converter) defaults(out *written, d Default) {
	if d.Command == "*" {
		v.leave(d.Line, "the default for every command: kubectl has none such")
		return
	}
	w := writtenDefault{visible(d.Command), v.options(d.Options)}
	if v.early {
		leads := v.program.Root.walk(strings.Fields(d.Command))
		if leads.unknown() || len(leads.words) == 0 {
			v.leave(d.Line, "the default for %q: it is no command of kubectl %s", d.Command, v.program.Minor)
			return
		}
		w.Options = nil
		for _, o := range d.Options {
			if f, ok := leads.to.flag(o.Name); !ok || !f.takes(o.Value) {
				v.leave(o.Line, "the default --%s=%s for %s: it is no flag of kubectl %s with this value", o.Name, o.Value, d.Command, v.program.Minor)
				continue
			}
			w.Options = append(w.Options, writtenOption{visible(o.Name), visible(o.Value)})
		}
		if len(w.Options) == 0 {
			return
		}
	}
	out.Defaults = append(out.Defaults, w)
}

func (v *converter) options(all []Option) (out []writtenOption) {
	for _, o := range all {
		out = append(out, writtenOption{visible(o.Name), visible(o.Value)})
	}
	return out
}

// splitWords splits a command line at spaces, with a shell's quotes around what has
// some.
func splitWords(line string) (words []string, err error) {
	var word strings.Builder
	inWord := false
	quote := rune(0)
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, inWord = r, true
		case r == ' ' || r == '\t' || r == '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote %c is not closed", quote)
	}
	if inWord {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, errors.New("it names no command")
	}
	return words, nil
}
