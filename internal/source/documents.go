// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"io"
	"path/filepath"
	"runtime"
	"strings"

	"perennial.dev/perennial/internal/document"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
)

// DocumentLimit is the size up to which a file of documents is read, in bytes.
const DocumentLimit = 64 << 20

// Documents looks at the documents that paths stand for, with kubectl's habits
// of -f and -R: a file is read whatever it is called, in a directory those that
// end in .json, .yaml or .yml, with recursive also below it, and "-" is stdin.
// Nothing is fetched from a URL. want says of which objects the content is
// wanted.
//
// Objects come in the order of the paths, the names in a directory and the
// text. What cannot be read or understood is an Unseen, and all else is still
// looked at; so it is where ctx ends first. emit and unseen are not called
// concurrently, and not after Documents has returned. At any time a few files
// are held, of those of several MiB one.
func Documents(ctx context.Context, paths []string, recursive bool, stdin io.Reader, want document.Want, emit func(fact.Object), unseen func(fact.Unseen)) {
	work, done := context.WithCancel(ctx)
	defer done()
	d := documents{
		ctx: work, paths: paths, recursive: recursive, stdin: stdin, want: want,
		inOrder: make(chan *documentBatch, batchesAhead), toRead: make(chan *documentBatch, batchesAhead),
	}
	go d.find()
	for range runtime.GOMAXPROCS(0) {
		go d.read()
	}
	at := 0
	for d.each(func(b *documentBatch, part documentPart) {
		at = b.path
		for _, o := range part.objects {
			emit(o)
		}
		for _, u := range part.unseen {
			unseen(u)
		}
	}) {
	}
	if ctx.Err() != nil {
		for _, path := range paths[at:] {
			unseen(fact.Unseen{Source: document.Source, What: fact.Text(path), Why: fact.Canceled, Detail: notLooked})
		}
	}
}

const (
	filesAtOnce  = 16  // files that are found before they are read
	batchesAhead = 16  // of that many files
	objectsAhead = 256 // objects that are handed on at once
)

// documents is a look under way: find names the files, readers read several at
// once, and what they find is handed on in the order of the files. Files go from
// hand to hand in batches, since most are small.
type documents struct {
	ctx       context.Context
	paths     []string
	recursive bool
	stdin     io.Reader
	want      document.Want

	inOrder, toRead chan *documentBatch
}

// documentBatch are files that one reader reads one after the other.
type documentBatch struct {
	path  int // whose path it is
	files []host.Document
	parts chan documentPart
	// turn is closed when the objects of the batch are the next ones to be handed
	// on: a large file waits for that, so that one is held at a time, and not for
	// another one, which may wait for this one to be handed on.
	turn chan struct{}
}

type documentPart struct {
	objects []fact.Object
	unseen  []fact.Unseen
}

// find names the files, in order.
func (d *documents) find() {
	defer close(d.inOrder)
	defer close(d.toRead)
	for i, path := range d.paths {
		b := &documentBatch{path: i}
		add := func(f host.Document) bool {
			if b.files = append(b.files, f); len(b.files) < filesAtOnce {
				return d.ctx.Err() == nil
			}
			full := b
			b = &documentBatch{path: i}
			return d.handOver(full)
		}
		if path == "-" || isURL(path) {
			add(host.Document{Path: path, Named: true})
		} else {
			host.Documents(d.ctx, path, d.recursive, add)
		}
		if !d.handOver(b) {
			return
		}
	}
}

func (d *documents) handOver(b *documentBatch) bool {
	b.parts, b.turn = make(chan documentPart, 4), make(chan struct{})
	return len(b.files) == 0 || send(d.ctx, d.inOrder, b) && send(d.ctx, d.toRead, b)
}

func isURL(path string) bool {
	return strings.HasPrefix(path, "http://") || strings.HasPrefix(path, "https://")
}

func send[T any](ctx context.Context, to chan<- T, v T) bool {
	select {
	case to <- v:
		return true
	case <-ctx.Done():
		return false
	}
}

// each hands on the parts of the next files; false when there are none, or the
// look has ended.
func (d *documents) each(hand func(*documentBatch, documentPart)) bool {
	var b *documentBatch
	select {
	case next, more := <-d.inOrder:
		if b = next; !more {
			return false
		}
	case <-d.ctx.Done():
		return false
	}
	close(b.turn)
	hand(b, documentPart{})
	for {
		select {
		case part, more := <-b.parts:
			if !more {
				return true
			}
			hand(b, part)
		case <-d.ctx.Done():
			return false
		}
	}
}

// read reads files until there are no more.
func (d *documents) read() {
	var r documentReader
	r.documents = d
	for b := range d.toRead {
		r.batch(b)
	}
}

// documentReader reads one file after the other.
type documentReader struct {
	*documents
	reader document.Reader
	buffer []byte
	part   documentPart
}

// keptBuffer is how much memory a reader keeps for the next file, in bytes.
const keptBuffer = 1 << 20

func (r *documentReader) batch(b *documentBatch) {
	defer close(b.parts)
	r.part = documentPart{}
	for _, f := range b.files {
		if r.ctx.Err() != nil {
			return
		}
		r.look(b, f)
		if len(r.part.unseen) > 0 {
			r.hand(b) // before what the next file holds
		}
		if cap(r.buffer) > keptBuffer {
			r.buffer = nil
		}
	}
	r.hand(b)
}

// look runs on a goroutine of its own, where a panic would end the program.
func (r *documentReader) look(b *documentBatch, f host.Document) {
	defer func() {
		if v := recover(); v != nil {
			r.fail(f, fact.Failed, panicked(v), "")
		}
	}()
	data, err := r.content(f, func() {
		select {
		case <-b.turn:
		case <-r.ctx.Done():
		}
	})
	switch {
	case isURL(f.Path):
		r.fail(f, fact.Unsupported, "nothing is fetched from the network", fact.Text("curl -fLO "+f.Path))
		return
	case err != nil:
		var hint fact.Text
		if why := host.Why(err); why == fact.TooLarge {
			hint = "split it into several files"
		}
		r.fail(f, host.Why(err), fact.Text(host.Cause(err).Error()), hint)
		return
	}
	r.reader.Read(f.Path, data, r.want, func(o fact.Object) {
		r.part.objects = append(r.part.objects, o)
		if len(r.part.objects) == objectsAhead {
			r.hand(b)
		}
	}, func(u fact.Unseen) { r.part.unseen = append(r.part.unseen, u) })
}

func (r *documentReader) content(f host.Document, large func()) ([]byte, error) {
	switch {
	case isURL(f.Path):
		return nil, nil
	case f.Path == "-" && r.stdin == nil:
		return nil, nil
	case f.Path == "-":
		large()
		return host.ReadStream(r.ctx, r.stdin, DocumentLimit)
	}
	data, err := f.Read(r.ctx, r.buffer, DocumentLimit, large)
	if err == nil {
		r.buffer = data
	}
	return data, err
}

func (r *documentReader) fail(f host.Document, why fact.Why, detail, hint fact.Text) {
	r.part.unseen = append(r.part.unseen, fact.Unseen{Source: document.Source, What: fact.Text(filepath.ToSlash(f.Path)), Why: why, Detail: detail, Hint: hint})
}

// hand hands on what was found so far. It is dropped where nobody waits for it
// any more.
func (r *documentReader) hand(b *documentBatch) {
	if len(r.part.objects)+len(r.part.unseen) > 0 {
		send(r.ctx, b.parts, r.part)
		r.part = documentPart{}
	}
}
