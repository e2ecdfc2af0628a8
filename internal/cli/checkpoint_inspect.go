// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/checkpoint"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/report"
)

type inspectOptions struct {
	shown
	memory bool
}

func newCheckpointInspect(s Streams) *cobra.Command {
	o := &inspectOptions{}
	cmd := &cobra.Command{
		Use: "inspect ARCHIVE", Short: "What is in an archive, without its values", Args: oneArchive, ValidArgsFunction: completeArchives,
		Long: `Reads an archive, as a path or as its name in the kubelet's directory, and says
what is in it: the container, its image and command, what wrote it, its
processes, sockets, mounts and the names of its variables, and what looks as if
it held a secret. No value of a variable is shown, and nothing is unpacked.

Archives are not trusted: one with anything that no runtime would write into it
is refused (links, devices, paths that lead out, bombs), and nothing of it shown.`,
		Example: `  sudo perennial checkpoint inspect checkpoint-web_default-app-2026-11-22T08:00:00Z.tar
  perennial checkpoint inspect ./evidence.tar --memory`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args[0]) },
	}
	o.addFlags(cmd)
	cmd.Flags().BoolVar(&o.memory, "memory", false, "also count what looks like secrets in the memory; reads all of it, and shows none of it")
	return cmd
}

func (o *inspectOptions) run(ctx context.Context, s Streams, name string) error {
	format, err := o.format()
	if err != nil {
		return err
	}
	a, d, err := readArchive(ctx, name, o.memory)
	if err != nil {
		return err
	}
	defer a.close()
	return report.Document(s.Out, format, d, func(w io.Writer) error { return described(w, d) })
}

// rows are lines of a name and a text; those without a text are left out.
type rows struct{ *tabwriter.Writer }

func (r rows) add(name string, text any) {
	if t := fact.Text(fmt.Sprint(text)); t != "" && t != "0" {
		fmt.Fprintf(r, "%s\t%s\n", name, t)
	}
}

func described(w io.Writer, d *checkpoint.Description) error {
	r := rows{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	r.add("Archive", d.Path)
	r.add("Size", fmt.Sprintf("%s: memory %s, changed files %s, %d entries", checkpoint.Bytes(d.Size), checkpoint.Bytes(d.Memory), checkpoint.Bytes(d.RootDiff), d.Entries))
	r.add("Container", strings.Join(nonEmpty(d.Namespace, d.Pod, d.Container), "/"))
	r.add("Image", d.Image)
	if d.ImageRef != d.Image {
		r.add("Image ID", d.ImageRef)
	}
	r.add("Taken", instantOf(d.Checkpointed))
	r.add("Created", instantOf(d.Created))
	r.add("Written by", strings.Join(nonEmpty(fact.Text(d.Manager), d.Runtime), ", "))
	r.add("CRIU", d.CRIU)
	r.add("Kernel", d.Kernel)
	r.add("Machine", strings.Join(append(nonEmpty(fact.Text(d.Arch)), d.Features...), " "))
	if d.Cgroup > 0 {
		r.add("Control groups", fmt.Sprintf("v%d", d.Cgroup))
	}
	var words []string
	for _, word := range d.Command {
		words = append(words, word.String())
	}
	r.add("Command", strings.Join(words, " "))
	r.add("As", strings.Join(nonEmpty(fact.Text(d.User), d.Directory), " in "))
	r.add("Open files", d.OpenFiles)
	for i, p := range d.Processes {
		r.add(only(i, "Processes"), fmt.Sprintf("%d %s (%d threads)", p.PID, p.Name, p.Threads))
	}
	for i, k := range d.Sockets {
		text := k.Kind + " " + k.State
		if k.Local != "" {
			text += " " + k.Local.String()
		}
		if k.Remote != "" {
			text += " with " + k.Remote.String()
		}
		r.add(only(i, "Sockets"), text)
	}
	for i, m := range d.Mounts {
		r.add(only(i, "Mounts"), strings.Join(nonEmpty(m.Path, m.Type, m.Source), "  "))
	}
	for i, v := range d.Environment {
		r.add(only(i, "Environment"), fmt.Sprintf("%s (%d bytes, not shown)", v.Name, v.Bytes))
	}
	for i, k := range d.Secrets {
		r.add(only(i, "Secrets"), fmt.Sprintf("%s: %s", k.Where, k.Why))
	}
	if err := r.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nThe archive holds %s of memory as it was: every key, token and password that the processes had read.\n", checkpoint.Bytes(d.Memory))
	return err
}

// only is the name of the first row of several.
func only(i int, name string) string {
	if i > 0 {
		return ""
	}
	return name
}

func nonEmpty(all ...fact.Text) (some []string) {
	for _, t := range all {
		if t != "" {
			some = append(some, t.String())
		}
	}
	return some
}

func instantOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}
