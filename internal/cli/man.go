// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"perennial.dev/perennial/internal/timeline"
)

// newMan is for those who make packages, and stands in no help.
func newMan(s Streams) *cobra.Command {
	return &cobra.Command{
		Use: "man DIRECTORY", Hidden: true, Short: "Write the manual pages into a directory", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return manPages(cmd.Root(), args[0], builtOn(s)) },
	}
}

// builtOn is the day of the pages: that of SOURCE_DATE_EPOCH, so that packages can be
// built again byte for byte, else today.
func builtOn(s Streams) time.Time {
	if epoch, err := strconv.ParseInt(s.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		return time.Unix(epoch, 0).UTC()
	}
	return s.Now().UTC()
}

// manPages writes a page for each command that help names.
func manPages(root *cobra.Command, dir string, day time.Time) error {
	var each func(*cobra.Command) error
	each = func(cmd *cobra.Command) error {
		name := filepath.Join(dir, pageName(cmd)+".1")
		var b strings.Builder
		manPage(&b, cmd, day)
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			return fmt.Errorf("writing a manual page: %w", err)
		}
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() && c.Name() != "completion" {
				if err := each(c); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return each(root)
}

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// manPage writes one in the macros of man(7).
func manPage(w io.Writer, cmd *cobra.Command, day time.Time) {
	section := func(name string) { fmt.Fprintf(w, ".SH %s\n", name) }
	fmt.Fprintf(w, ".TH %s 1 %s %s %s\n", quotedRoff(strings.ToUpper(pageName(cmd))), day.Format(time.DateOnly), quotedRoff(tool()), quotedRoff("Perennial"))
	section("NAME")
	fmt.Fprintf(w, "%s \\- %s\n", roff(pageName(cmd)), roff(cmd.Short))
	section("SYNOPSIS")
	fmt.Fprintf(w, ".nf\n%s\n.fi\n", roff(cmd.UseLine()))
	section("DESCRIPTION")
	manText(w, cmp.Or(cmd.Long, cmd.Short+"."))
	if flags := cmd.NonInheritedFlags(); flags.HasAvailableFlags() {
		section("OPTIONS")
		manFlags(w, flags)
	}
	if flags := cmd.InheritedFlags(); flags.HasAvailableFlags() {
		section("OPTIONS OF EVERY COMMAND")
		manFlags(w, flags)
	}
	if cmd.Example != "" {
		section("EXAMPLES")
		fmt.Fprintf(w, ".nf\n%s\n.fi\n", roff(cmd.Example))
	}
	section("EXIT STATUS")
	for _, e := range timeline.ExitCodes {
		fmt.Fprintf(w, ".TP\n.B %d\n%s\n", e.Code, roff(e.Meaning))
	}
	manSeeAlso(w, cmd)
}

// manText writes paragraphs; lines that are indented stay as they are.
func manText(w io.Writer, text string) {
	asIs := false
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		indented := strings.HasPrefix(line, "  ")
		switch {
		case indented && !asIs:
			fmt.Fprint(w, ".nf\n")
		case !indented && asIs:
			fmt.Fprint(w, ".fi\n")
		}
		if asIs = indented; line == "" {
			fmt.Fprint(w, ".PP\n")
			continue
		}
		fmt.Fprintf(w, "%s\n", roff(line))
	}
	if asIs {
		fmt.Fprint(w, ".fi\n")
	}
}

func manFlags(w io.Writer, flags *pflag.FlagSet) {
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		head := "\\fB" + roff("--"+f.Name) + "\\fR"
		if f.Shorthand != "" {
			head = "\\fB" + roff("-"+f.Shorthand) + "\\fR, " + head
		}
		if value != "" {
			head += " \\fI" + roff(value) + "\\fR"
		}
		if d := f.DefValue; d != "" && d != "false" && d != "[]" && d != "0s" && d != "0" && !strings.Contains(usage, "(default") {
			usage += " (default " + d + ")"
		}
		fmt.Fprintf(w, ".TP\n%s\n%s\n", head, roff(usage))
	})
}

func manSeeAlso(w io.Writer, cmd *cobra.Command) {
	var names []string
	if cmd.HasParent() {
		names = append(names, pageName(cmd.Parent()))
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "completion" {
			names = append(names, pageName(c))
		}
	}
	if len(names) == 0 {
		return
	}
	fmt.Fprint(w, ".SH SEE ALSO\n")
	for n, name := range names {
		end := ","
		if n == len(names)-1 {
			end = ""
		}
		fmt.Fprintf(w, ".BR %s (1)%s\n", roff(name), end)
	}
}

var roffed = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`)

// roff is text as roff takes it: nothing of it is a request or an escape.
func roff(text string) string {
	lines := strings.Split(roffed.Replace(text), "\n")
	for n, line := range lines {
		if strings.HasPrefix(line, ".") {
			lines[n] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}

func quotedRoff(text string) string { return `"` + strings.ReplaceAll(roff(text), `"`, `\(dq`) + `"` }
