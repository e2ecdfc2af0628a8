// SPDX-License-Identifier: Apache-2.0

package kuberc

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Command is a command with those below it.
type Command struct {
	Name     string
	Aliases  []string // its other names
	Flags    []Flag   // its own
	Children []*Command
	parent   *Command
}

// Flag is a flag of a command.
type Flag struct {
	Name  string
	Short string // one letter, or empty
	Kind  string // as pflag names its type: bool, string, stringArray ...
	// Bare: it may stand without a value.
	Bare bool
	// Inherited: the commands below have it, too.
	Inherited bool
}

// Add puts a command below another.
func (c *Command) Add(child *Command) {
	child.parent = c
	c.Children = append(c.Children, child)
}

// Path is the words that lead to the command, without the program's name.
func (c *Command) Path() []string {
	if c.parent == nil {
		return nil
	}
	return append(c.parent.Path(), c.Name)
}

// String is the path as it is typed.
func (c *Command) String() string { return strings.Join(c.Path(), " ") }

// each visits a command and all below it.
func (c *Command) each(visit func(*Command)) {
	visit(c)
	for _, child := range c.Children {
		child.each(visit)
	}
}

// flag finds a flag by its long name; kubectl takes _ for -.
func (c *Command) flag(name string) (Flag, bool) {
	name = strings.ReplaceAll(name, "_", "-")
	return c.find(func(f Flag) bool { return f.Name == name })
}

func (c *Command) short(letter string) (Flag, bool) {
	return c.find(func(f Flag) bool { return f.Short == letter && letter != "" })
}

func (c *Command) find(is func(Flag) bool) (Flag, bool) {
	for at := c; at != nil; at = at.parent {
		for _, f := range at.Flags {
			if (at == c || f.Inherited) && is(f) {
				return f, true
			}
		}
	}
	return Flag{}, false
}

// global reports that what a command has under this name is a flag of the program,
// so that its value is the same whichever command it is set on.
func (c *Command) global(name string) bool {
	for ; c.parent != nil; c = c.parent {
		if slices.ContainsFunc(c.Flags, func(f Flag) bool { return f.Name == name }) {
			return false
		}
	}
	_, ok := c.flag(name)
	return ok
}

func (c *Command) child(name string) *Command {
	for _, child := range c.Children {
		if child.Name == name || slices.Contains(child.Aliases, name) {
			return child
		}
	}
	return nil
}

// way is where a command line leads.
type way struct {
	to *Command
	// words are the positions of the words that name the command.
	words []int
	// next is the position of the first word behind them that is neither a flag nor
	// a flag's value; -1 where there is none.
	next int
}

// unknown reports that the line leads to no command: cobra refuses a further word
// at the root alone (legacyArgs).
func (w way) unknown() bool { return w.to.parent == nil && w.next >= 0 && len(w.to.Children) > 0 }

// walk finds the command of a line as cobra's Find does. A flag of which it is not
// known that it may stand without a value takes the next argument.
func (c *Command) walk(args []string) way {
	w := way{to: c}
	for {
		w.next = w.to.firstWord(args, w.words)
		if w.next < 0 {
			return w
		}
		child := w.to.child(args[w.next])
		if child == nil {
			return w
		}
		w.to, w.words = child, append(w.words, w.next)
	}
}

// firstWord is the position of the first argument that is no flag, no flag's value
// and none of the words before.
func (c *Command) firstWord(args []string, before []int) int {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case slices.Contains(before, i):
		case arg == "--":
			return -1
		case c.takesNext(arg):
			for i++; slices.Contains(before, i); i++ { // that word was taken out of the line when its command was found
			}
		case arg != "" && !strings.HasPrefix(arg, "-"):
			return i
		}
	}
	return -1
}

// takesNext reports that the value of a flag is the next argument.
func (c *Command) takesNext(arg string) bool {
	switch {
	case !strings.HasPrefix(arg, "-") || strings.Contains(arg, "="):
		return false
	case strings.HasPrefix(arg, "--"):
		f, ok := c.flag(arg[2:])
		return !ok || !f.Bare
	case len(arg) == 2:
		f, ok := c.short(arg[1:])
		return !ok || !f.Bare
	}
	return false
}

// given reports that a flag is among the arguments.
func (c *Command) given(name string, args []string) (by string, ok bool) {
	for i := 0; i < len(args) && args[i] != "--"; i++ {
		for _, f := range c.named(args[i]) {
			if f.Name == name {
				return args[i], true
			}
		}
		if c.takesNext(args[i]) {
			i++
		}
	}
	return "", false
}

// named are the flags of an argument: one, or several of one letter each.
func (c *Command) named(arg string) (all []Flag) {
	if name, ok := strings.CutPrefix(arg, "--"); ok {
		name, _, _ = strings.Cut(name, "=")
		if f, ok := c.flag(name); ok {
			all = append(all, f)
		}
		return all
	}
	if !strings.HasPrefix(arg, "-") {
		return nil
	}
	for _, letter := range arg[1:] {
		f, ok := c.short(string(letter))
		if !ok {
			return all
		}
		if all = append(all, f); !f.Bare {
			return all // the rest is its value
		}
	}
	return all
}

// seemsGiven reports that a flag seems to be among the arguments, as kubectl sees it:
// what begins with -x counts, and so does any other argument of a dash and letters
// with x among them, be it a flag's value and behind two dashes.
func seemsGiven(f Flag, args []string) (by string, ok bool) {
	for _, arg := range args {
		switch {
		case arg == "--"+f.Name || strings.HasPrefix(arg, "--"+f.Name+"="):
			return arg, true
		case f.Short == "":
		case strings.HasPrefix(arg, "-"+f.Short):
			return arg, true
		case len(arg) > 1 && arg[0] == '-' && onlyLetters(arg[1:]) && strings.Contains(arg[1:], f.Short):
			return arg, true
		}
	}
	return "", false
}

func onlyLetters(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return false
		}
	}
	return s != ""
}

// takes reports whether a flag takes a value, by its type. Of types that this does
// not know it is not said that they refuse one.
func (f Flag) takes(value string) bool {
	var err error
	switch f.Kind {
	case "bool":
		_, err = strconv.ParseBool(value)
	case "int", "int64":
		_, err = strconv.ParseInt(value, 0, 64)
	case "int32":
		_, err = strconv.ParseInt(value, 0, 32)
	case "uint", "uint64":
		_, err = strconv.ParseUint(value, 0, 64)
	case "float32", "float64":
		_, err = strconv.ParseFloat(value, 64)
	case "duration":
		_, err = time.ParseDuration(value)
	}
	return err == nil
}
