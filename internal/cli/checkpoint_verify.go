// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/checkpoint"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/report"
	"perennial.dev/perennial/internal/source"
	"perennial.dev/perennial/internal/timeline"
)

func newCheckpointVerify(s Streams) *cobra.Command {
	o := &shown{}
	cmd := &cobra.Command{
		Use: "verify ARCHIVE", Short: "Whether this node can restore an archive", Args: oneArchive, ValidArgsFunction: completeArchives,
		Long: `Compares an archive with the node that this runs on: architecture, CRIU, container
runtime, kernel, control groups, the CPU's registers, the container's image. It
restores nothing. What the archive does not record, and what could not be looked
at, is said and counts as unknown.

Exit code 0: nothing is in the way; 10: something is; 12: something is not known.`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.verify(cmd.Context(), s, args[0]) },
	}
	o.addFlags(cmd)
	return cmd
}

// verification is the JSON of a comparison.
type verification struct {
	head
	Path   string             `json:"path"`
	Answer checkpoint.Answer  `json:"answer"`
	Checks []checkpoint.Check `json:"checks"`
}

func (o *shown) verify(ctx context.Context, s Streams, name string) error {
	format, err := o.format()
	if err != nil {
		return err
	}
	a, d, err := readArchive(ctx, name, false)
	if err != nil {
		return err
	}
	defer a.close()
	checks := checkpoint.Verify(d, lookForRestore(ctx, d))
	if err := ctx.Err(); err != nil {
		return err
	}
	v := verification{headOf("CheckpointVerification"), a.path, checkpoint.Worst(checks), checks}
	if err := report.Document(s.Out, format, v, v.table); err != nil {
		return err
	}
	switch v.Answer {
	case checkpoint.No:
		return exit{timeline.ExitDue}
	case checkpoint.Unknown:
		return exit{timeline.ExitUnseen}
	}
	return nil
}

func (v verification) table(w io.Writer) error {
	headline := map[checkpoint.Answer]string{
		checkpoint.Yes:     "Nothing is in the way of restoring it on this node.",
		checkpoint.No:      "This node cannot restore it.",
		checkpoint.Unknown: "Nothing that was seen is in the way of restoring it on this node; not all could be seen.",
	}
	fmt.Fprintf(w, "%s\n\n", headline[v.Answer])
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "WHAT\tANSWER\tARCHIVE\tTHIS NODE")
	for _, c := range v.Checks {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", c.Name, c.Answer, orDash(c.Archive), orDash(c.Node))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, c := range v.Checks {
		if c.Answer == checkpoint.Yes {
			continue
		}
		text := c.Says
		if c.Next != "" {
			text += " Next: " + c.Next + "."
		}
		if _, err := fmt.Fprintf(w, "\n%s: %s\n", c.Name, fact.Text(text)); err != nil {
			return err
		}
	}
	return nil
}

func orDash(t fact.Text) string {
	const most = 40
	text := []rune(t.String())
	switch {
	case len(text) == 0:
		return "-"
	case len(text) > most:
		return string(text[:most-1]) + "…"
	}
	return string(text)
}

// lookForRestore looks at what of this machine decides whether it can restore.
func lookForRestore(ctx context.Context, d *checkpoint.Description) checkpoint.Node {
	n := checkpoint.Node{Arch: runtime.GOARCH}
	rec, _ := source.Survey(ctx, fact.Scope{Root: "/", KubernetesDir: "/etc/kubernetes"}, source.Options{})
	for _, f := range rec.Facts {
		if p, ok := f.(fact.Platform); ok {
			n.Kernel, n.Cgroup = p.Kernel, p.Cgroup
		}
	}
	n.CRIU = program(ctx, "criu")
	n.CRIU.Refuses = criuRefuses(ctx, n.CRIU.Path)
	for _, m := range []struct {
		manager checkpoint.Manager
		name    string
	}{{checkpoint.Containerd, "containerd"}, {checkpoint.CRIO, "crio"}} {
		if p := program(ctx, m.name); p.Path != "" && (n.Manager == "" || m.manager == d.Manager) {
			n.Manager, n.ManagerVersion = m.manager, p.Version
		}
	}
	for _, name := range []string{"runc", "crun"} {
		if p := program(ctx, name); p.Path != "" && (n.Runtime.Path == "" || strings.Contains(string(d.Runtime), name)) {
			n.Runtime = p
		}
	}
	n.Flags = cpuFlags(ctx)
	n.Image = imageHere(ctx, d)
	return n
}

func program(ctx context.Context, name string) checkpoint.Program {
	p := checkpoint.Program{Name: name}
	var err error
	if p.Path, err = host.FindProgram(name); p.Path != "" {
		p.Version, err = host.ProgramVersion(ctx, p.Path)
	}
	if err != nil {
		p.Problem = fact.Text(err.Error()).String()
	}
	return p
}

// criuRefuses is what CRIU says against this machine, in its first line of an error.
// Only root can ask it.
func criuRefuses(ctx context.Context, path string) string {
	if path == "" || os.Geteuid() != 0 {
		return ""
	}
	out, err := host.Said(ctx, imagesTime, imagesLimit, path, "check")
	if err == nil || ctx.Err() != nil {
		return ""
	}
	for line := range strings.Lines(out) {
		if _, what, ok := strings.Cut(line, "): "); ok && strings.HasPrefix(line, "Error") {
			return fact.Text(strings.TrimSpace(what)).String()
		}
	}
	return fact.Text(err.Error()).String()
}

// cpuFlags are those of the first CPU; nil where they cannot be read.
func cpuFlags(ctx context.Context) []string {
	fs, err := host.Open("/")
	if err != nil {
		return nil
	}
	defer fs.Close()
	data, _, err := fs.Read(ctx, "/proc/cpuinfo", 16<<20)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(data)) {
		if name, flags, ok := strings.Cut(line, ":"); ok && (strings.TrimSpace(name) == "flags" || strings.TrimSpace(name) == "Features") {
			return strings.Fields(flags)
		}
	}
	return nil
}

const (
	imagesTime  = 5 * time.Second
	imagesLimit = 8 << 20
)

// imageHere asks the node's own tools whether the container's image is there.
func imageHere(ctx context.Context, d *checkpoint.Description) checkpoint.Presence {
	for _, tool := range [][]string{{"crictl", "images", "-o", "json"}, {"ctr", "-n", "k8s.io", "images", "list"}} {
		at, err := host.FindProgram(tool[0])
		if at == "" || err != nil {
			continue
		}
		out, err := host.Output(ctx, imagesTime, imagesLimit, at, tool[1:]...)
		if err != nil {
			continue
		}
		words := strings.FieldsFunc(out, func(r rune) bool { return strings.ContainsRune(" \t\n\",", r) })
		for _, name := range []fact.Text{d.ImageRef, d.Image} {
			if name != "" && slices.ContainsFunc(words, func(w string) bool { return w == string(name) || strings.HasSuffix(w, "@"+string(name)) }) {
				return checkpoint.Present
			}
		}
		return checkpoint.Absent
	}
	return checkpoint.Uncertain
}
