// SPDX-License-Identifier: Apache-2.0

// Package cli is the command line: it wires the packages below together and
// decides nothing itself.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/timeline"
)

// Streams are where a command reads and writes. Out gets the report only;
// progress, hints and questions go to Err.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Now      func() time.Time
	Getenv   func(string) string
	// Program is the name by which the program was called: kubectl-perennial is a
	// plugin of kubectl. Empty: perennial.
	Program string

	preferences preferencesFile // the user's, for perennial
}

// System are the process's own streams, clock and environment.
func System() Streams {
	return Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Now: time.Now, Getenv: os.Getenv, Program: filepath.Base(os.Args[0])}
}

// exit is the end of a command whose report is already written.
type exit struct{ code int }

func (e exit) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// usageError is a call that cannot be understood.
type usageError struct{ error }

func (u usageError) Unwrap() error { return u.error }

// hinted is an error with a next step.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }

// Hint is a command, or a sentence. Errors of other packages have one, too.
func (h hinted) Hint() string { return h.hint }

// Main runs a command line and returns its exit code.
func Main(ctx context.Context, args []string, s Streams) int {
	if s.Program == pluginCompletion {
		args = append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	s.preferences = ownFile(s, args)
	root := newRoot(s)
	cmd := root
	args, err := preferred(s, root, args)
	if err == nil {
		root.SetArgs(args)
		cmd, err = root.ExecuteContextC(ctx)
	}
	var ended exit
	switch {
	case err == nil:
		return timeline.ExitOK
	case errors.As(err, &ended):
		return ended.code
	case ctx.Err() != nil:
		return timeline.ExitInterrupted
	}
	_, usage := errors.AsType[usageError](err)
	usage = usage || isUsage(err)
	complain(s, "perennial: ", err.Error())
	if h, ok := errors.AsType[interface {
		error
		Hint() string
	}](err); ok {
		complain(s, "hint: ", h.Hint())
	} else if usage {
		complain(s, "hint: ", cmd.CommandPath()+" --help")
	}
	if usage {
		return timeline.ExitUsage
	}
	return timeline.ExitFailed
}

// complain writes what may quote an argument, a path or a file, safe for a
// terminal.
func complain(s Streams, start, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(s.Err, "%s%s\n", start, fact.Text(line))
		start = ""
	}
}

// isUsage recognises cobra's own complaints, which have no type.
func isUsage(err error) bool {
	for _, start := range []string{"unknown command", "unknown flag", "unknown shorthand flag", "invalid argument", "flag needs an argument", "accepts ", "requires ", "required flag", "bad flag syntax"} {
		if strings.HasPrefix(err.Error(), start) {
			return true
		}
	}
	return false
}

func newRoot(s Streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "perennial",
		Short: "Finds everything that will stop this Kubernetes cluster",
		Long: `Perennial finds everything that will stop this Kubernetes cluster, before it does.

  perennial check                           what will stop working, worst first
  perennial check --endpoint 10.0.0.1:6443  the same from outside, no credentials
  perennial check --to 1.37                 what breaks on the way to 1.37
  perennial check --at 2027-06-01           what it looks like then, if nothing is done
  perennial explain CertificateExpires      a code, a name or a log line, explained

It only looks: nothing is changed. Run it as root on a control-plane node to
see the keys; without root it says what it could not see.`,
		SilenceErrors: true, SilenceUsage: true,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetIn(s.In)
	root.AddGroup(&cobra.Group{ID: "look", Title: "Look (changes nothing)"}, &cobra.Group{ID: "keep", Title: "Keep alive (plan, ask, do, prove)"}, &cobra.Group{ID: "ready", Title: "Get ready for an upgrade (plan, ask, do, prove)"}, &cobra.Group{ID: "unattended", Title: "Unattended"}, &cobra.Group{ID: "more", Title: "More"})
	root.SetHelpCommandGroupID("more")
	root.SetCompletionCommandGroupID("more")
	root.AddCommand(
		newCheck(s), newServe(s), newExplain(s), newReleases(s), newHistory(s),
		newRenew(s), newRestart(s), newUndo(s),
		newPrepare(s),
		newAgent(s),
		newCheckpoint(s), newRules(s), newKuberc(s), newVersion(s), newMan(s),
	)
	addPreferenceFlags(root)
	if s.isPlugin() {
		asPlugin(root)
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{hinted{err, cmd.CommandPath() + " --help"}}
	})
	return root
}

// knownCommand is asked when no command has the name of the first argument.
func knownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := root.CommandPath() + " --help"
	if like := root.SuggestionsFor(args[0]); len(like) > 0 {
		hint = "did you mean " + root.CommandPath() + " " + like[0] + "?"
	}
	return usageError{hinted{fmt.Errorf("unknown command %q", fact.Text(args[0])), hint}}
}

// display is how a report is shown: what the terminal can do, unless a flag
// says otherwise.
func display(s Streams, noColor bool) (width int, color bool) {
	file, ok := s.Out.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		width = 80
	}
	return width, colored(s, noColor)
}

// colored says whether a terminal is to be shown colours.
func colored(s Streams, noColor bool) bool {
	return !noColor && s.Getenv("NO_COLOR") == "" && s.Getenv("TERM") != "dumb"
}
