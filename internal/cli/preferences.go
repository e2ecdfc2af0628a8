// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kuberc"
)

// addPreferenceFlags adds the flags that every command has. Both are read before
// the command line is, by preferred.
func addPreferenceFlags(root *cobra.Command) {
	f := root.PersistentFlags()
	f.String("kuberc", "", "your preferences for perennial: a `file`, or off (default PERENNIAL_KUBERC, else ~/.config/perennial/kuberc)")
	f.BoolP("verbose", "v", false, "say which of your preferences changed what")
}

// answers are the flags that stand for what a person says at the moment of a change.
// Preferences never have them, so that none makes a change an unattended one.
var answers = []string{"yes", "accept-outage", "any-clock", "force", "purge"}

// unpreferred are the commands that preferences leave alone: what runs unattended,
// what looks at preferences, and what helps when they are wrong.
var unpreferred = []string{"", "agent", "kuberc", "completion", "help", "version"}

// preferred is the command line that results from the user's preferences, the only
// place where they are applied.
func preferred(s Streams, root *cobra.Command, args []string) ([]string, error) {
	program := ownProgram(root)
	if first := program.First(args); slices.Contains(unpreferred, first) || strings.HasPrefix(first, "__") {
		return args, nil
	}
	where := s.preferences
	if where.path == "" {
		return args, nil
	}
	prefs, err := ownPreferences(s, program, where)
	if err != nil {
		return nil, usageError{hinted{err, "perennial --kuberc off ... goes without preferences"}}
	}
	if prefs == nil {
		return args, nil
	}
	resolved := program.Resolve(prefs, args)
	if resolved.Refusal != nil {
		return nil, usageError{hinted{fmt.Errorf("applying %s:%d: %s", where.path, resolved.Refusal.Line, resolved.Refusal.Text), "perennial --kuberc off ... goes without preferences"}}
	}
	if slices.Contains(unpreferred, program.First(resolved.Args)) {
		return nil, usageError{fmt.Errorf("applying %s: an alias cannot stand for perennial %s, which goes without preferences", where.path, program.First(resolved.Args))}
	}
	if program.Gives(args, "verbose") && len(resolved.Entries) > 0 {
		complain(s, "preferences: ", where.path)
		for _, line := range resolved.Lines(program.Name) {
			complain(s, "preferences: ", line)
		}
		complain(s, "preferences: ", "runs: "+kuberc.Quote(append([]string{program.Name}, resolved.Args...)))
	}
	return resolved.Args, nil
}

// ownProgram is perennial with its commands, as preferences see it. cobra adds
// these two by itself, later.
func ownProgram(root *cobra.Command) kuberc.Program {
	tree := ownCommand(root)
	tree.Add(&kuberc.Command{Name: "help"})
	tree.Add(&kuberc.Command{Name: "completion"})
	return kuberc.Program{Name: root.Name(), Root: tree}
}

func ownCommand(c *cobra.Command) *kuberc.Command {
	out := &kuberc.Command{Name: c.Name(), Aliases: c.Aliases}
	inherited := c.PersistentFlags()
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		out.Flags = append(out.Flags, kuberc.Flag{Name: f.Name, Short: f.Shorthand, Kind: f.Value.Type(),
			Bare: f.NoOptDefVal != "", Inherited: inherited.Lookup(f.Name) != nil})
	})
	for _, child := range c.Commands() {
		out.Add(ownCommand(child))
	}
	return out
}

// ownFile is where preferences for perennial are: what is typed, what the variable
// says, or the place for a user's settings. KUBERC=off switches off these as well
// as kubectl's.
func ownFile(s Streams, args []string) preferencesFile {
	named := kubercTyped(args)
	if named == "" && s.Getenv("KUBERC") == "off" {
		named = "off"
	}
	if named == "" {
		named = s.Getenv("PERENNIAL_KUBERC")
	}
	dir := s.Getenv("XDG_CONFIG_HOME")
	if home := s.Getenv("HOME"); dir == "" && home != "" {
		dir = filepath.Join(home, ".config")
	}
	switch {
	case named == "off":
		return preferencesFile{}
	case named != "":
		return preferencesFile{named, true}
	case dir == "":
		return preferencesFile{}
	}
	return preferencesFile{path: filepath.Join(dir, "perennial", "kuberc")}
}

// kubercTyped is the value of --kuberc, which is needed before the line is read.
func kubercTyped(args []string) string {
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if arg == "--kuberc" && i+1 < len(args) {
			return args[i+1]
		}
		if value, ok := strings.CutPrefix(arg, "--kuberc="); ok {
			return value
		}
	}
	return ""
}

// ownPreferences reads the file. Nothing in it is left out without a word: a default
// that is lost could lead a command to another cluster.
func ownPreferences(s Streams, program kuberc.Program, where preferencesFile) (*kuberc.Preferences, error) {
	if _, err := os.Stat(where.path); !where.explicit && errors.Is(err, fs.ErrPermission) {
		return nil, nil // HOME is somebody else's, and so is what may lie there
	}
	data, err := where.read(s)
	if err != nil || data == nil {
		return nil, err
	}
	if err := trusted(where.path); err != nil {
		return nil, err
	}
	contents := kuberc.Read(data)
	mistakes := slices.Concat(contents.Refused, contents.Ignored, contents.Unused)
	if contents.Found != nil {
		mistakes = slices.Concat(mistakes, contents.Found.Invalid(program), program.Answers(contents.Found, answers))
	}
	if len(mistakes) > 0 {
		m := mistakes[0]
		return nil, fmt.Errorf("reading %s:%d: %s", where.path, max(m.Line, 1), m.Text)
	}
	return contents.Found, nil
}

// trusted refuses preferences that somebody else can write: they would choose what
// root runs.
func trusted(path string) error {
	if path == "-" {
		return errors.New("reading preferences: standard input is not read for them")
	}
	info, err := os.Stat(path)
	if err != nil {
		return readingFile(path, err)
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && owner.Uid != 0 && int(owner.Uid) != os.Geteuid() {
		return fmt.Errorf("reading %s: it belongs to the user %d, and preferences are one's own", path, owner.Uid)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("reading %s: others can write it (%04o), and preferences are one's own", path, info.Mode().Perm())
	}
	return nil
}

// pluginPolicy says which credential plugins a kubeconfig may have run: what the
// preferences for perennial say, else those for kubectl. One that cannot be read
// allows none.
func pluginPolicy(s Streams) func() (kuberc.Policy, error) {
	return func() (kuberc.Policy, error) {
		known := kuberc.Minors()
		kubectl, err := kuberc.Kubectl(known[len(known)-1])
		if err != nil {
			return kuberc.Policy{}, err
		}
		for _, where := range []preferencesFile{s.preferences, kubectlFile(s, kubectl, nil)} {
			if where.path == "" {
				continue
			}
			data, err := where.read(s)
			if err != nil {
				return kuberc.Policy{}, err
			}
			policy, err := policyIn(data, kubectl, where)
			if err != nil || policy.Type != "" {
				return policy, err
			}
		}
		return kuberc.Policy{}, nil
	}
}

func policyIn(data []byte, kubectl kuberc.Program, where preferencesFile) (kuberc.Policy, error) {
	contents := kuberc.Read(data)
	mistakes := contents.Refused
	if contents.Found != nil {
		mistakes = contents.Found.Invalid(kubectl)
		for _, m := range contents.Ignored { // kubectl would go without the policy
			if strings.Contains(strings.ToLower(m.Text), "plugin") {
				mistakes = append(mistakes, m)
			}
		}
	}
	switch {
	case len(mistakes) > 0:
		return kuberc.Policy{}, fmt.Errorf("reading %s:%d: %s", fact.Text(where.path), max(mistakes[0].Line, 1), mistakes[0].Text)
	case contents.Found == nil:
		return kuberc.Policy{}, nil
	}
	return contents.Found.Policy, nil
}
