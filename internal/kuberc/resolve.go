// SPDX-License-Identifier: Apache-2.0

package kuberc

import (
	"fmt"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// Resolved is what preferences make of a command line.
type Resolved struct {
	// Args is the line that results, without the program's name. Typed on its own,
	// with the preferences switched off, it does the same.
	Args []string `json:"args"`
	// Command is the command that runs; empty where there is none of the name.
	Command string `json:"command,omitempty"`
	// Entries are what was applied, in the order in which it was.
	Entries []Entry `json:"entries"`
	// Warnings are what the program says of entries that it leaves out.
	Warnings []Remark `json:"warnings,omitempty"`
	// Refusal is why the program refuses the line because of the preferences.
	Refusal *Remark `json:"refusal,omitempty"`
	// Unknown: no command has the name. Kubectl then looks for a plugin.
	Unknown string `json:"unknown,omitempty"`
	// Missed is why an alias of that name was not found.
	Missed *Remark `json:"missed,omitempty"`
}

// Remark is a sentence about a line of the file; 0 where it is about none.
type Remark struct {
	Line int       `json:"line,omitempty"`
	Text fact.Text `json:"text"`
}

// Entry is an entry of the file that was applied.
type Entry struct {
	Alias   fact.Text   `json:"alias,omitempty"` // its name; empty for a default
	Command fact.Text   `json:"command"`
	Line    int         `json:"line"`
	Prepend []fact.Text `json:"prependArgs,omitempty"`
	Append  []fact.Text `json:"appendArgs,omitempty"`
	Options []Applied   `json:"options,omitempty"`
}

// Applied is a flag of an entry.
type Applied struct {
	Name  fact.Text `json:"name"`
	Value fact.Text `json:"value"`
	Line  int       `json:"line"`
	// Not says why it has no effect; empty where it has.
	Not fact.Text `json:"notApplied,omitempty"`
}

// Resolve applies preferences to a command line. The arguments are those behind the
// program's name.
func (p Program) Resolve(prefs *Preferences, args []string) Resolved {
	r := &resolver{program: p, prefs: prefs, root: p.Root, args: slices.Clone(args), known: map[string]bool{}}
	r.out.Entries = []Entry{}
	r.run()
	return r.out
}

type resolver struct {
	program Program
	prefs   *Preferences
	root    *Command
	args    []string
	// alias is the command that an alias has made, target what it stands for.
	alias, target *Command
	known         map[string]bool // names of aliases that the program has come across
	set           []setting
	out           Resolved
}

// setting is a flag that an entry has set, on a command.
type setting struct {
	on          *Command
	flag, value string
	applied     *Applied
}

func (r *resolver) run() {
	if r.prefs != nil && len(r.args) > 0 {
		if m, bad := r.prefs.invalid(r.program); bad {
			r.refuse(m.Line, "%s", m.Text)
		} else if r.applyAlias(); r.out.Refusal == nil {
			r.applyDefaults()
		}
	}
	r.finish()
}

func (r *resolver) refuse(line int, format string, args ...any) {
	r.out.Refusal = &Remark{line, fact.Text(fmt.Sprintf(format, args...))}
}

func (r *resolver) warn(line int, format string, args ...any) {
	r.out.Warnings = append(r.out.Warnings, Remark{line, fact.Text(fmt.Sprintf(format, args...))})
}

// applyAlias makes a command of the alias that the line names.
func (r *resolver) applyAlias() {
	leads := r.root.walk(r.args)
	if !leads.unknown() {
		return
	}
	at := leads.next
	if r.program.Loose {
		at = slices.IndexFunc(r.args, func(arg string) bool { return !strings.HasPrefix(arg, "-") && !strings.HasPrefix(arg, "__complete") })
	}
	for _, a := range r.prefs.Aliases {
		r.known[a.Name] = true
		if at < 0 || a.Name != r.args[at] {
			continue
		}
		if !r.root.walk([]string{a.Name}).unknown() {
			r.warn(a.Line, "alias %s has the name of a command, which goes first", a.Name)
			return
		}
		if r.makeAlias(a, at); r.out.Refusal != nil || r.program.EarlierAliases {
			return
		}
		// Names are there once, so that the rest of the list is only come across.
	}
}

func (r *resolver) makeAlias(a Alias, at int) {
	leads := r.root.walk(strings.Fields(a.Command))
	if leads.unknown() {
		r.refuse(a.Line, "alias %s stands for %q, which is no command", a.Name, a.Command)
		return
	}
	r.target = leads.to
	r.alias = &Command{Name: a.Name, Flags: leads.to.Flags, Children: leads.to.Children, parent: r.root}
	// The tree itself stays as it is.
	r.root = &Command{Name: r.root.Name, Aliases: r.root.Aliases, Flags: r.root.Flags, Children: append(slices.Clone(r.root.Children), r.alias)}
	r.alias.parent = r.root
	e := Entry{Alias: fact.Text(a.Name), Command: fact.Text(a.Command), Line: a.Line, Prepend: texts(a.Prepend), Append: texts(a.Append)}
	r.options(r.alias, a.Options, "alias "+a.Name, &e)
	r.out.Entries = append(r.out.Entries, e)
	r.args = slices.Insert(r.args, at+1, a.Prepend...)
	r.args = append(r.args, a.Append...)
}

func (r *resolver) applyDefaults() {
	leads := r.root.walk(r.args)
	if leads.unknown() {
		return
	}
	for _, d := range r.prefs.Defaults {
		meant := r.root.walk(strings.Fields(d.Command))
		switch {
		case meant.unknown():
			r.warn(d.Line, "%q is no command that could have defaults", d.Command)
			continue
		case !r.isFor(meant.to, leads.to):
			continue
		case r.known[leads.to.Name]:
			r.refuse(d.Line, "%s is the name of an alias, and an alias has no defaults", leads.to.Name)
			return
		}
		e := Entry{Command: fact.Text(d.Command), Line: d.Line}
		r.options(leads.to, d.Options, fmt.Sprintf("default for %q", d.Command), &e)
		if r.out.Entries = append(r.out.Entries, e); r.out.Refusal != nil {
			return
		}
	}
}

func (r *resolver) isFor(meant, runs *Command) bool {
	if r.program.Loose {
		return meant.Name == runs.Name
	}
	return meant == runs
}

// options sets flags, as far as the line does not.
func (r *resolver) options(on *Command, options []Option, of string, e *Entry) {
	e.Options = make([]Applied, len(options))
	for i, o := range options {
		a := &e.Options[i]
		*a = Applied{Name: fact.Text(o.Name), Value: fact.Text(o.Value), Line: o.Line}
		flag, ok := on.flag(o.Name)
		if !ok {
			e.Options = e.Options[:i+1]
			a.Not = "there is no such flag"
			r.refuse(o.Line, "%s: %s has no flag --%s", of, r.path(on), o.Name)
			return
		}
		by, ok := on.given(flag.Name, r.args)
		if r.program.Loose {
			by, ok = seemsGiven(flag, r.args)
		}
		if ok {
			a.Not = fact.Text("given by " + by)
			if _, really := on.given(flag.Name, r.args); !really {
				a.Not = fact.Text(r.program.Name + " takes " + by + " for it")
			}
			continue
		}
		if !flag.takes(o.Value) {
			e.Options = e.Options[:i+1]
			a.Not = "no such value"
			r.refuse(o.Line, "%s: the flag --%s takes no %q, it is of type %s", of, flag.Name, o.Value, flag.Kind)
			return
		}
		r.set = append(r.set, setting{on, flag.Name, o.Value, a})
	}
}

// path is a command as it would be typed without the alias.
func (r *resolver) path(c *Command) string {
	words := []string{r.program.Name}
	if c == r.alias {
		c = r.target
	}
	return strings.Join(append(words, c.Path()...), " ")
}

// finish writes the line out: the alias becomes what it stands for, and behind the
// command's words come the flags. What a person typed comes later and so wins where
// kubectl has not seen that a flag was given.
func (r *resolver) finish() {
	leads := r.root.walk(r.args)
	if leads.unknown() {
		if name := r.args[leads.next]; name != "help" && !strings.HasPrefix(name, "__complete") {
			r.out.Unknown = name
			r.missed(name)
		}
		r.out.Args = r.args
		return
	}
	named := 0 // how many words at the start name the command
	for named < len(leads.words) && leads.words[named] == named {
		named++
	}
	for i, arg := range r.args {
		if i == named {
			r.out.Args = append(r.out.Args, r.flags(leads.to)...)
		}
		if r.alias != nil && len(leads.words) > 0 && i == leads.words[0] && r.root.child(arg) == r.alias {
			r.out.Args = append(r.out.Args, r.target.Path()...)
			continue
		}
		r.out.Args = append(r.out.Args, arg)
	}
	if named == len(r.args) {
		r.out.Args = append(r.out.Args, r.flags(leads.to)...)
	}
	r.out.Command = r.path(leads.to)
}

// missed explains why an alias that is there was not found.
func (r *resolver) missed(name string) {
	if r.prefs == nil {
		return
	}
	for _, a := range r.prefs.Aliases {
		if a.Name == name {
			r.out.Missed = &Remark{a.Line, fact.Text(fmt.Sprintf("alias %s is not found: the first argument without a dash is taken for the alias; write a flag before it as --flag=value, or behind it", name))}
		}
	}
}

// flags are those that the entries have set for the command that runs.
func (r *resolver) flags(runs *Command) (flags []string) {
	for _, s := range r.set {
		if s.on != runs && !(s.on.global(s.flag) && runs.global(s.flag)) {
			s.applied.Not = fact.Text("it is set on " + r.path(s.on) + ", and another command runs")
			continue
		}
		flags = append(flags, "--"+s.flag+"="+s.value)
	}
	return flags
}

func texts(all []string) []fact.Text {
	out := make([]fact.Text, len(all))
	for i, s := range all {
		out[i] = fact.Text(s)
	}
	return out
}
