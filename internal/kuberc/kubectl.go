// SPDX-License-Identifier: Apache-2.0

package kuberc

import (
	"bytes"
	_ "embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/release"
)

// kubectlTable is written by hack/kubectl from the released modules. It is data of
// the program, and not asked from a kubectl at hand: that one would have to be run,
// with its own preferences, hides what is deprecated from its help, and is not
// there when a file is checked for the kubectl of somebody else.
//
//go:embed data/kubectl.csv
var kubectlTable []byte

// Oldest is the first minor whose kubectl reads preferences unasked.
const Oldest release.Minor = 34

// Manners are what differs between programs that have preferences.
type Manners struct {
	// Loose is how kubectl goes about it: a default is for every command with the
	// same last word, so that one for "config view" is for "kuberc view" as well; the
	// first argument without a dash is taken for an alias, be it a flag's value; and
	// a flag counts as given where an argument only looks like it.
	Loose bool
	// EarlierAliases: only the aliases up to the one that is used are known when
	// defaults are applied (kubectl 1.34; since 1.35 all are).
	EarlierAliases bool
}

// Program is a program with its commands. Its manners are strict unless told.
type Program struct {
	Name  string
	Minor release.Minor // of kubectl; 0 for another program
	Root  *Command
	Manners
}

// Minors lists the minors of kubectl that are known, oldest first.
func Minors() []release.Minor {
	var all []release.Minor
	for _, row := range rows() {
		for span := range strings.FieldsSeq(row[columnKnown]) {
			first, last, err := minors(span)
			for m := first; err == nil && m <= last; m++ {
				all = append(all, m)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Kubectl is the kubectl of a minor.
func Kubectl(minor release.Minor) (Program, error) {
	root, err := build(minor)
	if err != nil {
		return Program{}, fmt.Errorf("reading the table of kubectl's flags: %w", err)
	}
	if root == nil {
		known := Minors()
		return Program{}, fmt.Errorf("there is no table of the commands of kubectl %s: those of %s to %s are known", minor, known[0], known[len(known)-1])
	}
	return Program{"kubectl", minor, root, Manners{Loose: true, EarlierAliases: minor < 35}}, nil
}

// The columns of the table.
const (
	columnCommand = iota
	columnFlag
	columnShort
	columnKind
	columnInherited
	columnKnown
)

func rows() [][]string {
	r := csv.NewReader(bytes.NewReader(kubectlTable))
	r.Comment = '#'
	all, err := r.ReadAll()
	if err != nil || len(all) == 0 {
		return nil // the table is the program's own, and a test reads it
	}
	return all[1:]
}

// build makes the tree of a minor. Its rows are sorted, so that a command comes
// before its flags and before those below it.
func build(minor release.Minor) (*Command, error) {
	commands := map[string]*Command{}
	for _, row := range rows() {
		known, err := within(row[columnKnown], minor)
		if err != nil {
			return nil, err
		}
		if !known {
			continue
		}
		path := row[columnCommand]
		if row[columnFlag] == "" {
			put(commands, path, strings.FieldsFunc(row[columnShort], func(r rune) bool { return r == ',' }))
			continue
		}
		command := commands[path]
		if command == nil {
			return nil, fmt.Errorf("flags of %s, which is no command", path)
		}
		kind, bare := strings.CutSuffix(row[columnKind], "=")
		command.Flags = append(command.Flags, Flag{row[columnFlag], row[columnShort], kind, bare, row[columnInherited] == "true"})
	}
	return commands["kubectl"], nil
}

func put(commands map[string]*Command, path string, others []string) {
	command := &Command{Name: path[strings.LastIndexByte(path, ' ')+1:], Aliases: others}
	commands[path] = command
	if i := strings.LastIndexByte(path, ' '); i >= 0 && commands[path[:i]] != nil {
		commands[path[:i]].Add(command)
	}
}

func within(spans string, minor release.Minor) (bool, error) {
	for span := range strings.FieldsSeq(spans) {
		first, last, err := minors(span)
		if err != nil {
			return false, err
		}
		if first <= minor && minor <= last {
			return true, nil
		}
	}
	return false, nil
}

func minors(span string) (first, last release.Minor, err error) {
	from, to, _ := strings.Cut(span, "-")
	if first, err = release.ParseMinor(from); err != nil {
		return 0, 0, err
	}
	last, err = release.ParseMinor(to)
	return first, last, err
}
