// SPDX-License-Identifier: Apache-2.0

// Package checkpoint reads archives of checkpointed containers, as CRI-O and
// containerd write them for the kubelet, and says what is in them, whether a node
// can restore them, which of them to remove, and what image to restore one from.
//
// An archive is a tar file: config.dump, spec.dump and status.dump (JSON), CRIU's
// images in checkpoint/, its log, what the container changed in its file system
// (github.com/checkpoint-restore/checkpointctl v1.7.0 lib/metadata.go;
// github.com/containerd/containerd/v2 v2.4.2
// internal/cri/server/container_checkpoint_linux.go; github.com/cri-o/cri-o
// internal/lib/checkpoint.go). Whoever may write one may write anything into it.
// So it is read as a stream within bounds, nothing is unpacked, and what no
// runtime would write ends the reading with a Refused.
//
// Values of environment variables do not leave this package.
package checkpoint

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// Limits bound what reading an archive may cost.
type Limits struct {
	Entries    int   // of the archive
	Bytes      int64 // all contents together
	Unpacked   int64 // bytes that a compressed archive may unpack to
	Document   int64 // bytes of a JSON document
	Message    int64 // bytes of one message in an image of CRIU
	Messages   int   // in one image of CRIU
	Things     int   // variables, mounts, sockets, processes: of each
	NameLength int
	Names      int // bytes of all names together
	Depth      int // directories in a name
}

// DefaultLimits are far above what a container has, and keep a reader below
// 100 MiB.
var DefaultLimits = Limits{
	Entries: 200_000, Bytes: 1 << 40, Unpacked: 16 << 30, Document: 4 << 20, Message: 4 << 20, Messages: 2_000_000,
	Things: 20_000, NameLength: 1024, Names: 16 << 20, Depth: 16,
}

// Refused is why an archive is not read any further.
type Refused struct {
	Entry fact.Text // the name in the archive; empty: the archive itself
	Why   string
}

func (r *Refused) Error() string {
	if r.Entry == "" {
		return "the archive is refused: " + r.Why
	}
	return fmt.Sprintf("the archive is refused: its entry %s %s", shorten(r.Entry), r.Why)
}

func refuse(entry, why string, args ...any) error {
	return &Refused{fact.Text(entry), fmt.Sprintf(why, args...)}
}

func shorten(t fact.Text) string {
	const most = 80
	r := []rune(t.String())
	if len(r) <= most {
		return fmt.Sprintf("%q", string(r))
	}
	return fmt.Sprintf("%q…", string(r[:most]))
}

// Options say how an archive is read.
type Options struct {
	Limits Limits
	// Memory: also the memory of the processes is looked through for what looks
	// like secrets, which takes as long as reading it all.
	Memory bool
}

// Read reads an archive. Where r is an io.Seeker, contents that do not matter are
// not read. What is wrong with the archive itself is a *Refused.
func Read(ctx context.Context, r io.Reader, o Options) (*Description, error) {
	rd := &reader{ctx: ctx, o: o, files: map[string]bool{}, dirs: map[string]bool{}, d: newDescription()}
	plain, err := rd.unpacked(r)
	if err != nil {
		return nil, err
	}
	if err := rd.entries(plain); err != nil {
		return nil, err
	}
	if err := rd.complete(); err != nil {
		return nil, err
	}
	rd.finish()
	return rd.d, nil
}

// reader is one reading.
type reader struct {
	ctx   context.Context
	o     Options
	files map[string]bool // clean names
	dirs  map[string]bool
	d     *Description

	names map[uint32]fact.Text // of processes, by PID
	kept  int                  // bytes of the entries' names
}

// compressions are told by their first bytes. Only gzip is read: kubelets ask for
// archives that are not compressed at all.
var compressions = []struct {
	magic, name string
}{{"\x28\xb5\x2f\xfd", "zstd"}, {"BZh", "bzip2"}, {"\xfd7zXZ\x00", "xz"}, {"\x04\x22\x4d\x18", "lz4"}}

func (rd *reader) unpacked(r io.Reader) (io.Reader, error) {
	head := make([]byte, 6)
	n, err := io.ReadFull(r, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && err != io.EOF {
		return nil, err
	}
	head = head[:n]
	if seeker, ok := r.(io.Seeker); ok {
		if _, err := seeker.Seek(0, io.SeekStart); err != nil {
			return nil, err
		}
	} else {
		r = io.MultiReader(bytes.NewReader(head), r)
	}
	switch {
	case n == 0:
		return nil, refuse("", "it is empty")
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		unzipped, err := gzip.NewReader(r)
		if err != nil {
			return nil, refuse("", "what should be gzip is not: %v", err)
		}
		rd.d.Compressed = true
		return &bounded{ctx: rd.ctx, r: unzipped, left: rd.o.Limits.Unpacked}, nil
	}
	for _, c := range compressions {
		if bytes.HasPrefix(head, []byte(c.magic)) {
			return nil, refuse("", "it is compressed with %s, as no kubelet's is; unpack it first", c.name)
		}
	}
	return r, nil
}

// bounded ends what unpacks to too much, and what is canceled.
type bounded struct {
	ctx  context.Context
	r    io.Reader
	left int64
}

var errTooMuch = errors.New("it unpacks to too much")

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	if b.left <= 0 {
		return 0, errTooMuch
	}
	n, err := b.r.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

func (rd *reader) entries(r io.Reader) error {
	in := count(r)
	archive := tar.NewReader(in)
	end := int64(0) // of the last entry, with what fills its block
	for {
		if err := rd.ctx.Err(); err != nil {
			return err
		}
		header, err := archive.Next()
		if err == io.EOF {
			if rd.d.Entries > 0 && in.offset()-end < 2*block {
				return refuse("", "its end is missing: it is cut off")
			}
			return rd.ending(r)
		}
		if err != nil {
			return rd.broken("", err)
		}
		if rd.d.Entries++; rd.d.Entries > rd.o.Limits.Entries {
			return refuse("", "it has more than %d entries", rd.o.Limits.Entries)
		}
		name, err := rd.admit(header)
		if err != nil {
			return err
		}
		end = in.offset() + (header.Size+block-1)/block*block
		if header.Typeflag == tar.TypeDir {
			continue
		}
		if rd.d.Content += header.Size; rd.d.Content > rd.o.Limits.Bytes || rd.d.Content < 0 {
			return refuse(name, "makes the contents larger than %s", Bytes(rd.o.Limits.Bytes))
		}
		if err := rd.content(name, header.Size, archive); err != nil {
			return rd.broken(name, err)
		}
	}
}

// block is that of tar. Two of zeros end an archive; archive/tar also takes an end of
// the file between two entries for one.
const block = 512

// counted counts what was read and passed over.
type counted interface {
	io.Reader
	offset() int64
}

type counting struct {
	io.Reader
	at int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.at += int64(n)
	return n, err
}

func (c *counting) offset() int64 { return c.at }

type seeking struct {
	counting
	seeker io.Seeker
}

// Seek implements io.Seeker.
func (s *seeking) Seek(by int64, whence int) (at int64, err error) {
	if at, err = s.seeker.Seek(by, whence); err == nil {
		s.at = at
	}
	return at, err
}

func count(r io.Reader) counted {
	if seeker, ok := r.(io.Seeker); ok {
		return &seeking{counting{r, 0}, seeker}
	}
	return &counting{r, 0}
}

// ending looks at what follows the end of the archive. Programs differ in what
// they do with a second archive there, so what one of them is shown is not what
// another one restores.
func (rd *reader) ending(r io.Reader) error {
	if rd.d.Entries == 0 {
		return refuse("", "it holds nothing, or is no tar archive")
	}
	rest, err := io.ReadAll(io.LimitReader(r, paddingLimit+1))
	if err != nil {
		return rd.broken("", err)
	}
	if len(rest) > paddingLimit || len(bytes.Trim(rest, "\x00")) > 0 {
		return refuse("", "something follows its end")
	}
	return nil
}

// paddingLimit is far above what tar fills its last record with (10 KiB).
const paddingLimit = 1 << 20

// broken tells what is wrong with the archive from what went wrong in reading it.
func (rd *reader) broken(name string, err error) error {
	var refused *Refused
	switch {
	case errors.As(err, &refused), rd.ctx.Err() != nil:
		return cmp.Or(rd.ctx.Err(), err)
	case errors.Is(err, errTooMuch):
		return refuse("", "it is compressed and unpacks to more than %s", Bytes(rd.o.Limits.Unpacked))
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return refuse(name, "ends too early: it is cut off")
	case errors.Is(err, tar.ErrHeader), errors.Is(err, tar.ErrFieldTooLong), errors.Is(err, gzip.ErrChecksum), errors.Is(err, gzip.ErrHeader):
		return refuse(name, "cannot be understood: %v", err)
	case rd.d.Compressed:
		return refuse(name, "cannot be unpacked: %v", err)
	}
	return err
}

// admit says under which clean name an entry is read. Runtimes write directories
// and plain files below the archive's root, each once; everything else is refused,
// whether or not it would be looked into.
func (rd *reader) admit(h *tar.Header) (string, error) {
	if err := rd.named(h.Name); err != nil {
		return "", err
	}
	if rd.kept += len(h.Name); rd.kept > rd.o.Limits.Names {
		return "", refuse(h.Name, "makes the names longer than %s together", Bytes(int64(rd.o.Limits.Names)))
	}
	name := path.Clean(h.Name)
	switch {
	case h.Typeflag == tar.TypeDir:
		if rd.files[name] {
			return "", refuse(h.Name, "is a directory and a file")
		}
		return name, rd.enter(h.Name, name)
	case h.Typeflag != tar.TypeReg:
		return "", refuse(h.Name, "is %s; a checkpoint consists of files and directories", kindOf(h.Typeflag))
	case sparse(h):
		return "", refuse(h.Name, "is a sparse file, whose size says nothing of what is in the archive")
	case h.Size < 0:
		return "", refuse(h.Name, "has a negative size")
	case name == "." || strings.HasSuffix(h.Name, "/"):
		return "", refuse(h.Name, "is a file with the name of a directory")
	case rd.files[name]:
		return "", refuse(h.Name, "is there twice")
	case rd.dirs[name]:
		return "", refuse(h.Name, "is a directory and a file")
	}
	rd.files[name] = true
	return name, rd.enter(h.Name, path.Dir(name))
}

// enter notes a directory, and those above it, of which none may be a file.
func (rd *reader) enter(entry, dir string) error {
	for ; dir != "."; dir = path.Dir(dir) {
		if rd.files[dir] {
			return refuse(entry, "lies below a file")
		}
		rd.dirs[dir] = true
	}
	return nil
}

func (rd *reader) named(name string) error {
	parts := strings.Split(name, "/")
	switch {
	case name == "":
		return refuse("", "an entry has no name")
	case len(name) > rd.o.Limits.NameLength:
		return refuse(name, "has a name of more than %d bytes", rd.o.Limits.NameLength)
	case fact.Text(name).String() != name:
		return refuse(name, "has a name that is no UTF-8, or holds characters that cannot be seen")
	case strings.HasPrefix(name, "/"):
		return refuse(name, "has an absolute name")
	case slices.Contains(parts, ".."):
		return refuse(name, "leads out of the archive")
	case strings.ContainsRune(name, '\\'):
		return refuse(name, "has a backslash in its name")
	case len(parts) > rd.o.Limits.Depth:
		return refuse(name, "is nested too deeply")
	}
	return nil
}

func kindOf(flag byte) string {
	switch flag {
	case tar.TypeSymlink:
		return "a symbolic link"
	case tar.TypeLink:
		return "a hard link"
	case tar.TypeChar, tar.TypeBlock:
		return "a device"
	case tar.TypeFifo:
		return "a named pipe"
	case tar.TypeGNUSparse:
		return "a sparse file"
	case tar.TypeXGlobalHeader:
		return "a header for all others"
	}
	return fmt.Sprintf("of the unknown type %q", flag)
}

// sparse finds the marks of GNU tar's newer sparse files, which archive/tar
// presents as plain ones.
func sparse(h *tar.Header) bool {
	for name := range h.PAXRecords {
		if strings.HasPrefix(name, "GNU.sparse.") {
			return true
		}
	}
	return false
}

// complete says whether it is an archive of a checkpoint at all.
func (rd *reader) complete() error {
	for _, name := range []string{configDump, specDump} {
		if !rd.files[name] {
			return refuse("", "it has no %s, so it is no checkpoint of a container", name)
		}
	}
	if rd.d.Images == 0 {
		return refuse("", "it holds no images of CRIU in %s", imagesDir)
	}
	return nil
}

// Count writes a number of things.
func Count(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

// Bytes writes a size as people read it.
func Bytes(n int64) string {
	const steps = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	value, i := float64(n)/1024, 0
	for ; value >= 1024 && i < len(steps)-1; i++ {
		value /= 1024
	}
	return fmt.Sprintf("%.1f %ciB", value, steps[i])
}
