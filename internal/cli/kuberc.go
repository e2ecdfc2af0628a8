// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/kuberc"
	"perennial.dev/perennial/internal/release"
	"perennial.dev/perennial/internal/report"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/timeline"
)

func newKuberc(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "kuberc", GroupID: "more", Short: "Your preferences for kubectl: what is wrong with them, and what they make of a command",
		Long: `Looks at the file in which you keep aliases and default flags for kubectl,
~/.kube/kuberc or what KUBERC names. A wrong one changes what kubectl does without
a word, so "kuberc check" says what is wrong with it and "kuberc explain" which
command line results from what you type. Neither runs kubectl or changes the file.`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newKubercCheck(s), newKubercExplain(s))
	return cmd
}

// kubercOptions are what the two commands have in common.
type kubercOptions struct {
	kubectl, output string
}

func (o *kubercOptions) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.kubectl, "kubectl", "", "for the kubectl of this `version`, like 1.36 (default that of the first kubectl in the PATH, else the newest that is known)")
	_ = cmd.RegisterFlagCompletionFunc("kubectl", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var all []string
		for _, minor := range kuberc.Minors() {
			all = append(all, minor.String())
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	})
	addDocumentFormat(cmd, &o.output)
}

// program is the kubectl that is meant. One that is not known is said, where it was
// not asked for.
func (o *kubercOptions) program(ctx context.Context, s Streams) (kuberc.Program, error) {
	if o.kubectl != "" {
		minor, err := release.ParseMinor(o.kubectl)
		if err != nil {
			return kuberc.Program{}, usageError{fmt.Errorf("reading --kubectl: %w", err)}
		}
		p, err := kuberc.Kubectl(minor)
		if err != nil {
			return p, usageError{err}
		}
		return p, nil
	}
	known := kuberc.Minors()
	newest := known[len(known)-1]
	path, found := "", ""
	source.Kubectls(ctx, filepath.SplitList(s.Getenv("PATH")), func(at, version string) {
		if found == "" {
			path, found = at, version
		}
	}, func(fact.Unseen) {})
	if found != "" {
		if version, err := release.ParseVersion(found); err == nil {
			if p, err := kuberc.Kubectl(version.Minor); err == nil {
				return p, nil
			}
		}
		complain(s, "note: ", fmt.Sprintf("%s is %s, whose commands are not known: this is for %s", path, found, newest))
	}
	return kuberc.Kubectl(newest)
}

type kubercCheckOptions struct {
	kubercOptions
	convert, exitZero bool
}

func newKubercCheck(s Streams) *cobra.Command {
	o := &kubercCheckOptions{}
	cmd := &cobra.Command{
		Use: "check [FILE]", Short: "What is wrong with a preferences file",
		Long: `Says what is wrong with a preferences file: what kubectl refuses or leaves out,
commands and flags that it does not have, aliases that are never used, defaults that
are for more commands than they name, and those that make a dangerous command more so.

Exit codes: 0 nothing but notes, 10 a risk, 11 something in it does not work.
The file is that of KUBERC or ~/.kube/kuberc unless told; - is standard input.`,
		Example: `  perennial kuberc check
  perennial kuberc check --kubectl 1.34 team.kuberc
  perennial kuberc check --convert old.kuberc > ~/.kube/kuberc`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args) },
	}
	o.addFlags(cmd)
	cmd.Flags().BoolVar(&o.convert, "convert", false, "write the preferences to standard output in today's form, and what had to be left out to standard error")
	cmd.Flags().BoolVar(&o.exitZero, "exit-zero", false, "exit with 0 whatever was found")
	return cmd
}

func (o *kubercCheckOptions) run(ctx context.Context, s Streams, args []string) error {
	format, err := documentFormat(o.output)
	if err != nil {
		return err
	}
	program, err := o.program(ctx, s)
	if err != nil {
		return err
	}
	where := kubectlFile(s, program, nil)
	if len(args) > 0 {
		where = preferencesFile{path: args[0], explicit: true}
	}
	if where.path == "" {
		return hinted{errors.New("checking preferences: they are switched off, or there is no home directory"), "perennial kuberc check FILE"}
	}
	data, err := where.read(s)
	if err != nil {
		return err
	}
	contents := kuberc.Read(data)
	if o.convert {
		return convertPreferences(s, program, contents, where)
	}
	if data == nil {
		r := newKubercReport(program, where)
		r.Missing = true
		return report.Document(s.Out, format, r, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "There are no preferences for kubectl: %s does not exist.\n", r.File)
			return err
		})
	}
	return o.write(s, format, program, contents, where)
}

func convertPreferences(s Streams, program kuberc.Program, contents kuberc.Contents, where preferencesFile) error {
	text, left, err := program.Convert(contents)
	if err != nil {
		if len(contents.Refused) > 0 {
			m := contents.Refused[0]
			return fmt.Errorf("converting %s:%d: %s", where.path, max(m.Line, 1), m.Text)
		}
		return fmt.Errorf("converting %s: %w", where.path, err)
	}
	for _, m := range left {
		complain(s, "left out: ", fmt.Sprintf("%s:%d: %s", where.path, m.Line, m.Text))
	}
	_, err = s.Out.Write(text)
	return err
}

// kubercReport is the answer of a check, for programs.
type kubercReport struct {
	head
	File     fact.Text        `json:"file"`
	Missing  bool             `json:"missing,omitempty"` // there is no such file
	Kubectl  release.Minor    `json:"kubectl"`
	Form     kuberc.Form      `json:"form,omitempty"` // empty where kubectl uses nothing of it
	Problems []kuberc.Problem `json:"problems"`
	ExitCode int              `json:"exitCode"`
}

func newKubercReport(program kuberc.Program, where preferencesFile) kubercReport {
	return kubercReport{head: headOf("KubercCheck"), File: fact.Text(where.path), Kubectl: program.Minor, Problems: []kuberc.Problem{}, ExitCode: timeline.ExitOK}
}

func (o *kubercCheckOptions) write(s Streams, format report.Format, program kuberc.Program, contents kuberc.Contents, where preferencesFile) error {
	r := newKubercReport(program, where)
	if contents.Found != nil {
		r.Form = contents.Found.Form
	}
	r.Problems = append(r.Problems, program.Check(contents)...)
	for _, p := range r.Problems {
		switch p.Level {
		case kuberc.Broken:
			r.ExitCode = timeline.WorstExit(r.ExitCode, timeline.ExitOverdue)
		case kuberc.Risk:
			r.ExitCode = timeline.WorstExit(r.ExitCode, timeline.ExitDue)
		}
	}
	err := report.Document(s.Out, format, r, func(w io.Writer) error { return r.text(w, contents) })
	if err == nil && r.ExitCode != timeline.ExitOK && !o.exitZero {
		err = exit{r.ExitCode}
	}
	return err
}

func (r kubercReport) text(w io.Writer, contents kuberc.Contents) error {
	var b strings.Builder
	uses := "nothing of it is used"
	if contents.Found != nil {
		uses = string(r.Form) + ", " + contents.Found.Counts()
	} else if contents.Documents == 0 {
		uses = "it is empty"
	}
	fmt.Fprintf(&b, "%s, for kubectl %s: %s.\n", r.File, r.Kubectl, uses)
	if len(r.Problems) == 0 {
		b.WriteString("Nothing is wrong with it.\n")
	}
	for _, p := range r.Problems {
		place := r.File.String()
		if p.Line > 0 {
			place = fmt.Sprintf("%s:%d", place, p.Line)
		}
		entry := ""
		if p.Entry != "" {
			entry = p.Entry.String() + ": "
		}
		fmt.Fprintf(&b, "\n%-6s  %s: %s%s\n", p.Level, place, entry, p.Text)
		if p.Fix != "" {
			fmt.Fprintf(&b, "        %s\n", p.Fix)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// preferencesFile is where preferences are to be read from; its path is empty where
// they are switched off.
type preferencesFile struct {
	path string
	// explicit: it was named, so that it has to be there.
	explicit bool
}

// kubectlFile is the file that a kubectl reads (LoadKuberc of its pkg/kuberc; that
// of 1.34 does not ask KUBERC for a path).
func kubectlFile(s Streams, program kuberc.Program, args []string) preferencesFile {
	switch named := kuberc.Named(args); {
	case strings.EqualFold(s.Getenv("KUBECTL_KUBERC"), "false") || s.Getenv("KUBERC") == "off":
		return preferencesFile{}
	case named != "":
		return preferencesFile{named, true}
	case s.Getenv("KUBERC") != "" && program.Minor > kuberc.Oldest:
		return preferencesFile{s.Getenv("KUBERC"), true}
	case s.Getenv("HOME") == "":
		return preferencesFile{}
	}
	return preferencesFile{path: filepath.Join(s.Getenv("HOME"), ".kube", "kuberc")}
}

// read reads the file; nil is one that does not exist and was not named.
func (f preferencesFile) read(s Streams) ([]byte, error) {
	if f.path == "-" {
		data, err := io.ReadAll(io.LimitReader(s.In, kuberc.MaxBytes+1))
		return append([]byte{}, data...), err
	}
	info, err := os.Stat(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !f.explicit:
		return nil, nil
	case err != nil:
		return nil, readingFile(f.path, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("reading %s: it is no regular file", f.path)
	}
	file, err := os.Open(f.path)
	if err != nil {
		return nil, readingFile(f.path, err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, kuberc.MaxBytes+1))
	if err != nil {
		return nil, readingFile(f.path, err)
	}
	return append([]byte{}, data...), nil
}

func readingFile(path string, err error) error {
	var cause *fs.PathError
	if errors.As(err, &cause) {
		err = cause.Err
	}
	return fmt.Errorf("reading %s: %w", path, err)
}
