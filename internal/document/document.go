// SPDX-License-Identifier: Apache-2.0

// Package document reads the Kubernetes objects in a file: YAML in one or many
// documents, JSON, lists of either, and what Helm has rendered. Each object
// comes with the line of its apiVersion; text that only contains an apiVersion,
// such as a manifest in a ConfigMap, is none.
//
// There may be tens of thousands of documents, and nearly all are plain block
// style. So three readers share the work. The scanner (block.go) reads a strict
// subset of YAML line by line without building a tree, and declines whatever it
// is not certain of: tabs, anchors, tags, merge keys, flow style that spans
// lines, broken YAML. What it declines, a YAML parser reads (tree.go); a fuzz
// test holds the two to the same answer. JSON is validated and then walked
// (json.go).
//
// A document that cannot be understood is said to be unseen, and the rest of
// the file is still read. The package is pure.
package document

import (
	"bytes"
	"encoding/json"
	"errors"

	"perennial.dev/perennial/internal/fact"
)

// Source is what an Unseen of a document names as its source.
const Source = "documents"

// Want says of which objects the content is wanted; the zero Want is all of
// those in Contents. Both are called from several goroutines at once.
type Want struct {
	// Kind is asked for the kinds in Contents; nil wants all of them.
	Kind func(apiVersion, kind string) bool
	// ContentIf is asked after Kind, with the object's text as the file has it,
	// and maybe more around it: a judge that needs only objects with certain
	// words says here whether they occur, which is far cheaper than reading.
	// It must not keep the text. nil wants all.
	ContentIf func(kind string, text []byte) bool
}

// content says whether the content of an object is wanted.
func (w Want) content(apiVersion, kind string, text []byte) bool {
	return HasContent(apiVersion, kind) &&
		(w.Kind == nil || w.Kind(apiVersion, kind)) &&
		(w.ContentIf == nil || w.ContentIf(kind, text))
}

// Read emits the objects in a file, in their order, and says what of it could
// not be understood. file is the path as it was given, "-" for standard input.
// The text is not kept.
func Read(file string, text []byte, want Want, emit func(fact.Object), unseen func(fact.Unseen)) {
	new(Reader).Read(file, text, want, emit, unseen)
}

// Reader reads one file after the other and keeps what it needs for that. The
// zero Reader is ready; it is not safe for concurrent use.
type Reader struct{ reader }

// Read is the function Read, with the reader's memory.
func (r *Reader) Read(file string, text []byte, want Want, emit func(fact.Object), unseen func(fact.Unseen)) {
	r.file, r.want, r.emit, r.unseen, r.failures = file, want, emit, unseen, 0
	r.read(text)
	r.more()
	r.emit, r.unseen = nil, nil
}

type reader struct {
	file   string
	want   Want
	emit   func(fact.Object)
	unseen func(fact.Unseen)

	scanner  scanner
	lists    []listed
	counted  counted
	names    map[string]string
	failures int
}

func (r *reader) read(text []byte) {
	text = bytes.TrimPrefix(text, []byte("\xEF\xBB\xBF"))
	switch {
	case bytes.HasPrefix(text, []byte("\xFF\xFE")), bytes.HasPrefix(text, []byte("\xFE\xFF")):
		r.fail(0, fact.Unsupported, "is UTF-16", fact.Text("iconv -f UTF-16 -t UTF-8 "+r.file))
		return
	case bytes.IndexByte(text, 0) >= 0:
		r.fail(0, fact.Malformed, "is no text", "")
		return
	}
	split(text, r.chunk)
}

// chunk reads one document, or one JSON stream.
func (r *reader) chunk(text []byte, line int, odd bool) {
	found := func(o object) { r.object(o, line) }
	at := significant(text)
	if at == len(text) {
		return
	}
	var err error
	switch {
	case odd:
		err = r.parse(text, found)
	case text[at] == '{' || text[at] == '[':
		at, err = r.stream(text, at, found)
	case r.scanner.scan(text):
		err = r.scanned(text, found)
	default:
		err = r.parse(text, found)
	}
	if err != nil {
		r.broken(err, text, at, line)
	}
}

func (r *reader) parse(text []byte, found func(object)) error {
	if r.failures > hopeless {
		return errHopeless
	}
	docs, err := parse(text)
	for _, doc := range docs {
		if err := r.parsed(doc, text, object{}, 0, found); err != nil {
			return err
		}
	}
	return err
}

// stream reads one JSON value after the other. What begins like JSON and is
// none may be YAML in flow style. It gives the place of an error.
func (r *reader) stream(text []byte, at int, found func(object)) (int, error) {
	r.counted = counted{}
	for first := true; at < len(text); first = false {
		end := afterValue(text, at)
		switch valid := json.Valid(text[at:end]); {
		case !valid && first:
			return at, r.parse(text, found)
		case !valid:
			return at, errJSON
		}
		if err := r.walked(text, at, object{}, 0, found); err != nil {
			return at, err
		}
		at = blank(text, end)
	}
	return at, nil
}

var errJSON = errors.New("is no JSON, as what stands before it is")

// object emits an object, unless it has no version or kind. The text that it
// was found in begins on a line of the file.
func (r *reader) object(o object, line int) {
	if o.apiVersion == "" || o.kind == "" {
		return
	}
	f := fact.Object{
		APIVersion: fact.Text(o.apiVersion), Type: fact.Text(o.kind),
		Namespace: fact.Text(o.namespace), Name: fact.Text(o.name),
		File: r.file, Line: line + o.line + 1,
	}
	if f.Name == "" && o.generated != "" {
		f.Name = fact.Text(o.generated + "*")
	}
	judged := r.want.content(o.apiVersion, o.kind, o.text)
	if judged || o.used {
		content := o.json()
		if o.used && len(content) > 0 {
			f.Uses = usesOf(content)
		}
		if judged {
			f.Content = pruneValid(content)
		}
	}
	r.emit(f)
	if holdsPlugins(o) {
		r.plugins(o, f)
	}
}

// name keeps a name that is likely to come again.
func (r *reader) name(text []byte) string {
	if name, known := r.names[string(text)]; known {
		return name
	}
	if len(r.names) > 4096 || r.names == nil {
		r.names = map[string]string{}
	}
	name := string(text)
	r.names[name] = name
	return name
}
