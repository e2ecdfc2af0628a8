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
		inOrder: make(chan *documentFile, filesAhead), toRead: make(chan *documentFile, filesAhead),
		large: make(chan struct{}, 1),
	}
	go d.find()
	for range runtime.GOMAXPROCS(0) {
		go d.read()
	}
	at := 0
	for d.each(func(f *documentFile, part documentPart) {
		at = f.path
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
	filesAhead   = 64  // files that are found before they are read
	objectsAhead = 256 // objects that are handed on at once
)

// documents is a look under way: find names the files, readers read several at
// once, and what they find is handed on in the order of the files.
type documents struct {
	ctx       context.Context
	paths     []string
	recursive bool
	stdin     io.Reader
	want      document.Want

	inOrder, toRead chan *documentFile
	large           chan struct{} // full while a large file is held
}

// documentFile is a file, or what is wrong with it.
type documentFile struct {
	path  int // whose path it is
	name  string
	err   error
	parts chan documentPart
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
		add := func(name string, err error) bool {
			f := &documentFile{path: i, name: name, err: err, parts: make(chan documentPart, 4)}
			return send(d.ctx, d.inOrder, f) && send(d.ctx, d.toRead, f)
		}
		switch {
		case path == "-" || isURL(path):
			add(path, nil)
		default:
			host.Documents(d.ctx, path, d.recursive, add)
		}
	}
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

// each hands on the parts of the next file; false when there is none, or the
// look has ended.
func (d *documents) each(hand func(*documentFile, documentPart)) bool {
	var f *documentFile
	select {
	case next, more := <-d.inOrder:
		if f = next; !more {
			return false
		}
	case <-d.ctx.Done():
		return false
	}
	hand(f, documentPart{})
	for {
		select {
		case part, more := <-f.parts:
			if !more {
				return true
			}
			hand(f, part)
		case <-d.ctx.Done():
			return false
		}
	}
}

// read reads files until there are no more.
func (d *documents) read() {
	var r documentReader
	r.documents = d
	for f := range d.toRead {
		r.file(f)
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

func (r *documentReader) file(f *documentFile) {
	defer close(f.parts)
	r.part = documentPart{}
	r.look(f)
	r.hand(f)
	if cap(r.buffer) > keptBuffer {
		r.buffer = nil
	}
}

// look runs on a goroutine of its own, where a panic would end the program.
func (r *documentReader) look(f *documentFile) {
	held := false
	defer func() {
		if v := recover(); v != nil {
			r.fail(f, fact.Failed, panicked(v), "")
		}
		if held {
			<-r.large
		}
	}()
	data, err := r.content(f, func() { held = send(r.ctx, r.large, struct{}{}) })
	switch {
	case isURL(f.name):
		r.fail(f, fact.Unsupported, "nothing is fetched from the network", fact.Text("curl -fLO "+f.name))
		return
	case err != nil:
		var hint fact.Text
		if why := host.Why(err); why == fact.TooLarge {
			hint = "split it into several files"
		}
		r.fail(f, host.Why(err), fact.Text(host.Cause(err).Error()), hint)
		return
	}
	r.reader.Read(f.name, data, r.want, func(o fact.Object) {
		r.part.objects = append(r.part.objects, o)
		if len(r.part.objects) == objectsAhead {
			r.hand(f)
		}
	}, func(u fact.Unseen) { r.part.unseen = append(r.part.unseen, u) })
}

func (r *documentReader) content(f *documentFile, large func()) ([]byte, error) {
	switch {
	case f.err != nil:
		return nil, f.err
	case isURL(f.name):
		return nil, nil
	case f.name == "-" && r.stdin == nil:
		return nil, nil
	case f.name == "-":
		large()
		return host.ReadStream(r.ctx, r.stdin, DocumentLimit)
	}
	data, err := host.ReadDocument(r.ctx, f.name, f.name == r.paths[f.path], r.buffer, DocumentLimit, large)
	if err == nil {
		r.buffer = data
	}
	return data, err
}

func (r *documentReader) fail(f *documentFile, why fact.Why, detail, hint fact.Text) {
	r.part.unseen = append(r.part.unseen, fact.Unseen{Source: document.Source, What: fact.Text(filepath.ToSlash(f.name)), Why: why, Detail: detail, Hint: hint})
}

// hand hands on what was found so far. It is dropped where nobody waits for it
// any more.
func (r *documentReader) hand(f *documentFile) {
	if len(r.part.objects)+len(r.part.unseen) > 0 {
		send(r.ctx, f.parts, r.part)
		r.part = documentPart{}
	}
}
