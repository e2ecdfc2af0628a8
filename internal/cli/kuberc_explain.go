// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kuberc"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/report"
	"perennial.dev/perennial/internal/timeline"
)

type kubercExplainOptions struct {
	kubercOptions
	file string
}

func newKubercExplain(s Streams) *cobra.Command {
	o := &kubercExplainOptions{}
	cmd := &cobra.Command{
		Use: "explain -- kubectl ...", DisableFlagsInUseLine: true, Short: "The kubectl command that results from your preferences",
		Long: `Shows the command line that kubectl runs where you type another, quoted so that it
can be pasted, and which entry of the preferences did what. KUBERC=off stands before
it where preferences would change it once more. Kubectl is not run.

Exit codes: 0 shown, 11 kubectl refuses the command because of the preferences.`,
		Example: `  perennial kuberc explain -- kubectl getn control-plane-1
  perennial kuberc explain -f team.kuberc --kubectl 1.34 -- kubectl delete pod web-1`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if dash := cmd.ArgsLenAtDash(); dash > 0 {
				return usageError{fmt.Errorf("explaining a command: %q stands before the two dashes", fact.Text(args[0]))}
			}
			return o.run(cmd.Context(), s, args)
		},
	}
	o.addFlags(cmd)
	cmd.Flags().StringVarP(&o.file, "filename", "f", "", "the preferences of this `file` (default what kubectl reads: --kuberc behind the dashes, KUBERC, ~/.kube/kuberc)")
	return cmd
}

// explained is what becomes of a command line, for programs.
type explained struct {
	head
	Kubectl release.Minor `json:"kubectl"`
	File    fact.Text     `json:"file,omitempty"` // absent where there are no preferences
	Typed   fact.Text     `json:"typed"`
	Line    string        `json:"line,omitempty"` // absent where kubectl refuses it
	kuberc.Resolved
	ExitCode int `json:"exitCode"`
}

func (o *kubercExplainOptions) run(ctx context.Context, s Streams, args []string) error {
	format, err := documentFormat(o.output)
	if err != nil {
		return err
	}
	if len(args) == 0 || filepath.Base(args[0]) != "kubectl" {
		return usageError{hinted{errors.New("explaining a command: it begins with kubectl"), "perennial kuberc explain -- kubectl get pods"}}
	}
	program, err := o.program(ctx, s)
	if err != nil {
		return err
	}
	where := kubectlFile(s, program, args[1:])
	if o.file != "" {
		where = preferencesFile{o.file, true}
	}
	out := explained{head: headOf("KubercExplanation"), Kubectl: program.Minor, Typed: fact.Text(kuberc.Quote(args))}
	var contents kuberc.Contents
	if where.path != "" {
		data, err := where.read(s)
		if err != nil {
			return err
		}
		if data != nil {
			out.File, contents = fact.Text(where.path), kuberc.Read(data)
		}
	}
	if err := unusable(contents, where); err != nil {
		return err
	}
	out.Resolved = program.Resolve(contents.Found, args[1:])
	if s.Getenv("KUBERC") == "off" && kuberc.Named(args) != "" {
		out.Refusal = &kuberc.Remark{Text: "KUBERC=off and --kuberc exclude each other"}
	}
	named := o.file != "" || kuberc.Named(args) != ""
	out.finish(program, contents, args[0], named)
	return out.write(s, format, contents)
}

// unusable is the error that kubectl stops with where a file that it was told to
// use holds nothing that it understands.
func unusable(c kuberc.Contents, where preferencesFile) error {
	if c.Found != nil || c.Documents == 0 || !where.explicit {
		return nil
	}
	m := c.Refused[0]
	return hinted{fmt.Errorf("reading %s:%d: %s", where.path, max(m.Line, 1), m.Text), "perennial kuberc check " + kuberc.Quote([]string{where.path})}
}

// finish writes the line. Preferences are switched off for it where those that
// kubectl finds by itself would change it, or where it is not known what they do,
// since others were named.
func (e *explained) finish(program kuberc.Program, contents kuberc.Contents, name string, named bool) {
	if e.Refusal != nil {
		e.Args, e.ExitCode = []string{}, timeline.ExitOverdue
		return
	}
	off := ""
	if e.Unknown == "" {
		e.Args = kuberc.Unnamed(e.Args)
		again := program.Resolve(contents.Found, e.Args)
		if named || again.Refusal != nil || !slices.Equal(again.Args, e.Args) {
			off = "KUBERC=off "
		}
	}
	if e.Args == nil { // kubectl alone
		e.Args = []string{}
	}
	e.Line = off + kuberc.Quote(append([]string{name}, e.Args...))
}

func (e *explained) write(s Streams, format report.Format, contents kuberc.Contents) error {
	err := report.Document(s.Out, format, e, func(w io.Writer) error { return e.text(w, contents) })
	if err == nil && e.ExitCode != timeline.ExitOK {
		err = exit{e.ExitCode}
	}
	return err
}

// text is the line, and the reasons as a shell's comments, so that all of it can be
// pasted.
func (e *explained) text(w io.Writer, contents kuberc.Contents) error {
	var b strings.Builder
	note := func(format string, args ...any) { fmt.Fprintf(&b, "# "+format+"\n", args...) }
	if e.Line != "" {
		fmt.Fprintln(&b, e.Line)
	}
	switch {
	case e.File == "":
		note("kubectl %s, without preferences", e.Kubectl)
	case contents.Found == nil:
		note("kubectl %s, which uses nothing of %s: perennial kuberc check says why", e.Kubectl, e.File)
	case len(e.Entries) == 0:
		note("kubectl %s, preferences of %s: no entry is for this command", e.Kubectl, e.File)
	default:
		note("kubectl %s, preferences of %s:", e.Kubectl, e.File)
	}
	for _, line := range e.Lines("kubectl") {
		note("%s", line)
	}
	if e.Refusal != nil {
		where := ""
		if e.Refusal.Line > 0 {
			where = fmt.Sprintf("line %d: ", e.Refusal.Line)
		}
		note("%skubectl refuses it: %s", where, e.Refusal.Text)
	}
	if e.Unknown != "" {
		note("%s is no command: kubectl looks for a plugin kubectl-%s", fact.Text(e.Unknown), fact.Text(e.Unknown))
	}
	if e.Missed != nil {
		note("line %d: %s", e.Missed.Line, e.Missed.Text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
