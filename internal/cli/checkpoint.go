// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"perennial.dev/perennial/internal/checkpoint"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/layout"
	"perennial.dev/perennial/internal/report"
)

func newCheckpoint(s Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use: "checkpoint", GroupID: "more", Short: "Checkpoints of containers: take, look into, verify, remove, restore",
		Long: `Kubelets since 1.25 can write a container, as it runs, into an archive on their
node: its memory, its open files and what it changed in its file system. That is
evidence after a break-in and a start with a warm cache, and it is every secret
that the process ever held, in a file that nobody removes.`,
		Args: knownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCheckpointCreate(s), newCheckpointList(s), newCheckpointInspect(s), newCheckpointVerify(s), newCheckpointPrune(s), newCheckpointRestore(s))
	return cmd
}

// DefaultCheckpoints is where kubelets have archives written.
const DefaultCheckpoints = layout.DefaultKubeletRoot + "/" + checkpoint.DirBelow

// shown is how a command shows what it found.
type shown struct {
	output string
}

func (o *shown) addFlags(cmd *cobra.Command) {
	addDocumentFormat(cmd, &o.output)
}

func (o *shown) format() (report.Format, error) { return documentFormat(o.output) }

// archiveReader reads one archive of this machine.
type archiveReader struct {
	fs     *host.FS
	path   string
	meta   fact.Meta
	memory bool
}

// openArchive finds an archive by its path, or by its name in the kubelet's
// directory.
func openArchive(name string) (*archiveReader, error) {
	fs, err := host.Open("/")
	if err != nil {
		return nil, err
	}
	at, err := filepath.Abs(name)
	if err != nil {
		return nil, fmt.Errorf("finding %s: %w", fact.Text(name), err)
	}
	if below := path.Join(DefaultCheckpoints, name); !strings.Contains(name, "/") && !fs.Exists(at) && fs.Exists(below) {
		at = below
	}
	file, meta, err := fs.OpenFile(at)
	if err != nil {
		fs.Close()
		return nil, hinted{err, "perennial checkpoint list shows what there is; as root"}
	}
	file.Close()
	return &archiveReader{fs: fs, path: at, meta: meta}, nil
}

func (a *archiveReader) close() { a.fs.Close() }

// open opens the archive again, and takes no other file for it.
func (a *archiveReader) open() (io.ReadCloser, error) {
	file, meta, err := a.fs.OpenFile(a.path)
	if err != nil {
		return nil, err
	}
	if meta.Inode != a.meta.Inode || meta.Size != a.meta.Size || !meta.ModTime.Equal(a.meta.ModTime) {
		file.Close()
		return nil, fmt.Errorf("reading %s: it was changed meanwhile", fact.Text(a.path))
	}
	return file, nil
}

// readArchive opens an archive and reads it; whoever gets it closes it.
func readArchive(ctx context.Context, name string, memory bool) (*archiveReader, *checkpoint.Description, error) {
	a, err := openArchive(name)
	if err != nil {
		return nil, nil, err
	}
	a.memory = memory
	d, err := a.describe(ctx)
	if err != nil {
		a.close()
		return nil, nil, err
	}
	return a, d, nil
}

func (a *archiveReader) describe(ctx context.Context) (*checkpoint.Description, error) {
	file, err := a.open()
	if err != nil {
		return nil, err
	}
	defer file.Close()
	d, err := checkpoint.Read(ctx, file, checkpoint.Options{Limits: checkpoint.DefaultLimits, Memory: a.memory})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", fact.Text(a.path), err)
	}
	d.Path, d.Size = a.path, a.meta.Size
	return d, nil
}

// listOptions are those of list.
type listOptions struct {
	shown
	dir, root string
}

func newCheckpointList(s Streams) *cobra.Command {
	o := &listOptions{}
	cmd := &cobra.Command{
		Use: "list", Short: "The archives of this node: sizes, ages, who may read them", Args: cobra.NoArgs,
		Long: `Lists the archives in the kubelet's directory of checkpoints on this node, newest
first. They are not opened.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd.Context(), s) },
	}
	o.addFlags(cmd)
	addCheckpointDir(cmd, &o.dir)
	cmd.Flags().StringVar(&o.root, "root", "/", "look at the file system below this `directory`")
	_ = cmd.MarkFlagDirname("root")
	return cmd
}

func addCheckpointDir(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "dir", DefaultCheckpoints, "the kubelet's `directory` of checkpoints")
	_ = cmd.MarkFlagDirname("dir")
}

// archiveList is the JSON of a list.
type archiveList struct {
	head
	Dir      string       `json:"dir"`
	Volume   uint64       `json:"volume"` // bytes of the file system; 0: it does not tell
	Free     uint64       `json:"free"`
	Total    int64        `json:"total"` // bytes of all archives
	Archives []archiveRow `json:"archives"`
	Others   int          `json:"others"` // entries that are no files, or beyond the limit
}

type archiveRow struct {
	Path     string    `json:"path"`
	Pod      string    `json:"pod,omitempty"` // as the name of the file says
	Taken    time.Time `json:"taken,omitzero"`
	Written  time.Time `json:"written,omitzero"`
	Size     int64     `json:"size"`
	Mode     string    `json:"mode"`
	Owner    string    `json:"owner"`    // uid:gid
	Readable string    `json:"readable"` // by its owner, its group, or everybody
}

// archivesListed is how many entries are looked at.
const archivesListed = 100_000

func (o *listOptions) run(ctx context.Context, s Streams) error {
	format, err := o.format()
	if err != nil {
		return err
	}
	root, err := filepath.Abs(o.root)
	if err != nil {
		return fmt.Errorf("finding the root %s: %w", o.root, err)
	}
	fs, err := host.Open(root)
	if err != nil {
		return err
	}
	defer fs.Close()
	dir := filepath.Clean(o.dir)
	if !filepath.IsAbs(dir) {
		return usageError{fmt.Errorf("reading --dir: %q is no absolute path", fact.Text(o.dir))}
	}
	all, err := fs.Archives(ctx, dir, archivesListed)
	if host.Missing(err) {
		return hinted{err, "the kubelet makes it at its start where it takes checkpoints (1.25 and later); --dir names another one"}
	}
	if err != nil {
		return hinted{err, "run it as root"}
	}
	list := archiveList{head: headOf("CheckpointList"), Dir: all.Dir, Volume: all.Volume, Free: all.Free, Total: all.Total(), Archives: []archiveRow{}, Others: all.More}
	for _, a := range all.Archives {
		list.Archives = append(list.Archives, row(a, all.Reach))
	}
	slices.SortStableFunc(list.Archives, func(a, b archiveRow) int { return b.Written.Compare(a.Written) })
	return report.Document(s.Out, format, list, func(w io.Writer) error { return list.table(w, s.Now()) })
}

func row(a fact.Archive, reach uint32) archiveRow {
	name, _ := checkpoint.ParseName(a.Path)
	who := checkpoint.Readable(a, reach)
	if who == "" {
		who = "its owner"
	}
	return archiveRow{
		Path: a.Path, Pod: name.Pod, Taken: checkpoint.Instant(name.At), Written: checkpoint.Instant(a.Meta.ModTime), Size: a.Meta.Size,
		Mode: fmt.Sprintf("%04o", a.Meta.Mode), Owner: fmt.Sprintf("%d:%d", a.Meta.UID, a.Meta.GID), Readable: who,
	}
}

func (l archiveList) table(w io.Writer, now time.Time) error {
	share := ""
	if l.Volume > 0 {
		share = fmt.Sprintf(", %.1f %% of the file system, of which %.0f %% are free", 100*float64(l.Total)/float64(l.Volume), 100*float64(l.Free)/float64(l.Volume))
	}
	fmt.Fprintf(w, "%s: %s, %s%s.\n", fact.Text(l.Dir), checkpoint.Count(len(l.Archives), "archive"), checkpoint.Bytes(l.Total), share)
	if len(l.Archives) == 0 {
		return nil
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "ARCHIVE\tSIZE\tAGE\tMODE\tREADABLE BY")
	for _, a := range l.Archives {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", fact.Text(path.Base(a.Path)), checkpoint.Bytes(a.Size), checkpoint.Age(now.Sub(a.Written)), a.Mode, a.Readable)
	}
	return t.Flush()
}

// completeArchives offers the archives of this node.
func completeArchives(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	fs, err := host.Open("/")
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	defer fs.Close()
	all, err := fs.Archives(cmd.Context(), DefaultCheckpoints, archivesListed)
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	for _, a := range all.Archives {
		names = append(names, a.Path)
	}
	return names, cobra.ShellCompDirectiveDefault
}

// oneArchive asks for exactly one argument.
func oneArchive(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{hinted{errors.New("give one archive"), cmd.CommandPath() + " --help"}}
	}
	return nil
}
