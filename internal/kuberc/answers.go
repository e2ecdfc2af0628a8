// SPDX-License-Identifier: Apache-2.0

package kuberc

import (
	"fmt"
	"slices"
	"strings"
)

// Answers finds the flags of a file that answer in place of a person, whatever
// entry they are in and whether or not that one is used.
func (p Program) Answers(prefs *Preferences, flags []string) (all []Mistake) {
	look := func(command string, options []Option, args []string, line int) {
		on := p.Root.walk(strings.Fields(command)).to
		found := slices.Clone(options)
		for _, arg := range args {
			for _, f := range on.named(arg) {
				found = append(found, Option{Name: f.Name, Line: line})
			}
		}
		for _, o := range found {
			if slices.Contains(flags, strings.ReplaceAll(o.Name, "_", "-")) {
				all = append(all, Mistake{o.Line, fmt.Sprintf("--%s answers in place of a person, and is no preference: it is typed where it is meant", o.Name)})
			}
		}
	}
	for _, a := range prefs.Aliases {
		look(a.Command, a.Options, slices.Concat(strings.Fields(a.Command), a.Prepend, a.Append), a.Line)
	}
	for _, d := range prefs.Defaults {
		look(d.Command, d.Options, strings.Fields(d.Command), d.Line)
	}
	return all
}

// Gives reports whether a flag is among the arguments of a line.
func (p Program) Gives(args []string, flag string) bool {
	_, ok := p.Root.walk(args).to.given(flag, args)
	return ok
}

// First is the first word of a line that names a command, or is meant to.
func (p Program) First(args []string) string {
	at := p.Root.firstWord(args, nil)
	if at < 0 {
		return ""
	}
	return args[at]
}
