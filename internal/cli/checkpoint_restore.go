// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"sync"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/checkpoint"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/report"
)

type restoreOptions struct {
	shown
	runtime, to, name string
}

func newCheckpointRestore(s Streams) *cobra.Command {
	o := &restoreOptions{}
	cmd := &cobra.Command{
		Use: "restore ARCHIVE", Short: "How to restore an archive, and the image to do it from", Args: oneArchive, ValidArgsFunction: completeArchives,
		Long: `Says step by step how CRI-O or containerd restores an archive: both take an image
with the archive as its only layer and an annotation that says what it is. With
--to it writes that image as one file, which ctr and skopeo import; no registry is
asked. It restores nothing itself.`,
		Example: `  perennial checkpoint restore evidence.tar
  sudo perennial checkpoint restore evidence.tar --runtime cri-o --to image.tar`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), s, args[0]) },
	}
	o.addFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.runtime, "runtime", "", "the `runtime` that is to restore it: containerd or cri-o (default: what wrote it)")
	f.StringVar(&o.to, "to", "", "write the image into this new `file`")
	f.StringVar(&o.name, "name", "localhost/checkpoint:latest", "the image's `name`")
	_ = cmd.MarkFlagFilename("to")
	_ = cmd.RegisterFlagCompletionFunc("runtime", cobra.FixedCompletions([]string{"containerd", "cri-o"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// imageNames are those that every tool takes: lower case, with a tag.
var imageNames = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9]+([._:/-][a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
})

func (o *restoreOptions) run(ctx context.Context, s Streams, name string) error {
	format, err := o.format()
	if err != nil {
		return err
	}
	manager := checkpoint.Manager(o.runtime)
	if o.runtime != "" && manager != checkpoint.Containerd && manager != checkpoint.CRIO {
		return usageError{fmt.Errorf("reading --runtime: want containerd or cri-o, not %q", fact.Text(o.runtime))}
	}
	if !imageNames().MatchString(o.name) || len(o.name) > 250 {
		return usageError{fmt.Errorf("reading --name: want a name with a tag, such as localhost/checkpoint:1, not %q", fact.Text(o.name))}
	}
	a, d, err := readArchive(ctx, name, false)
	if err != nil {
		return err
	}
	defer a.close()
	switch {
	case manager != "":
	case d.Manager == checkpoint.Containerd || d.Manager == checkpoint.CRIO:
		manager = d.Manager
	default:
		return usageError{hinted{fmt.Errorf("the archive does not say what wrote it"), "add --runtime containerd or --runtime cri-o"}}
	}
	if o.to != "" {
		if err := o.write(ctx, s, a, d, manager); err != nil {
			return err
		}
	}
	advice := restoreAdvice{headOf("CheckpointAdvice"), checkpoint.Advise(d, manager, o.name, o.to)}
	return report.Document(s.Out, format, advice, advice.table)
}

// restoreAdvice is the JSON of an advice.
type restoreAdvice struct {
	head
	checkpoint.Advice
}

func (o *restoreOptions) write(ctx context.Context, s Streams, a *archiveReader, d *checkpoint.Description, manager checkpoint.Manager) error {
	switch {
	case d.Compressed:
		return hinted{errors.New("writing the image: the archive is compressed"), "unpack it first: gunzip"}
	case d.Arch == "":
		return errors.New("writing the image: the archive does not say for which architecture it is")
	}
	to, err := filepath.Abs(o.to)
	if err != nil {
		return fmt.Errorf("finding %s: %w", fact.Text(o.to), err)
	}
	image := checkpoint.Image{Description: d, Manager: manager, Name: o.name, Created: s.Now(), Size: a.meta.Size, Open: a.open}
	digest := ""
	err = host.NewDisk(a.fs, nil).SaveNew(to, func(w io.Writer) (err error) {
		digest, err = image.Write(ctx, w)
		return err
	})
	switch {
	case errors.Is(err, fs.ErrExist):
		return hinted{err, "give the name of a new file"}
	case err != nil:
		return err
	}
	fmt.Fprintf(s.Err, "wrote %s (%s, mode 0600), the image %s as %s\n\n", fact.Text(to), checkpoint.Bytes(a.meta.Size), digest, o.name)
	return nil
}

func (a restoreAdvice) table(w io.Writer) error {
	fmt.Fprintf(w, "To restore it with %s:\n\n", a.Manager)
	for i, step := range a.Steps {
		fmt.Fprintf(w, "%2d  %s\n", i+1, fact.Text(step))
	}
	fmt.Fprintln(w)
	for _, m := range a.Mind {
		if _, err := fmt.Fprintf(w, "Mind: %s\n", fact.Text(m)); err != nil {
			return err
		}
	}
	return nil
}
