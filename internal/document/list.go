// SPDX-License-Identifier: Apache-2.0

package document

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxLists is how deep lists of lists are followed.
const maxLists = 16

// isList says whether an object is a list of others: kind List, or the list of
// a kind. There are kinds that end in List and are none, such as an AllowList
// of addresses: a list has items, and objects among them if it has any.
func isList(kind string, items bool, mappings, others int) bool {
	return items && strings.HasSuffix(kind, "List") && (mappings > 0 || others == 0)
}

// inherit gives an item of a list its kind where it has none of its own, as in
// what the API answers to a list request.
func inherit(o *object, list object) {
	if kind := strings.TrimSuffix(list.kind, "List"); o.kind == "" && kind != "" {
		o.kind = kind
		if o.apiVersion == "" {
			o.apiVersion = list.apiVersion
		}
	}
}

// object is an object as it was found, by whichever reader.
type object struct {
	apiVersion, kind, name, generated, namespace string

	line int    // from 0, within the text that was read
	used bool   // somebody may use it in further versions
	text []byte // as the file has it, maybe with more around it
	json func() []byte
}

// scanned gives the objects that the scanner found, in the order of the text.
func (r *reader) scanned(text []byte, found func(object)) error {
	s := &r.scanner
	lists := r.lists[:0]
	for i := range s.heads {
		h := &s.heads[i]
		depth := 0
		if h.parent >= 0 {
			if depth = lists[h.parent].depth; depth == 0 {
				lists = append(lists, listed{}) // of what is no list
				continue
			}
		}
		o := r.headObject(h)
		if h.parent >= 0 {
			inherit(&o, lists[h.parent].object)
		}
		if isList(o.kind, h.items, h.mappings, h.others) {
			if depth >= maxLists {
				return errNested
			}
			lists = append(lists, listed{o, depth + 1})
			continue
		}
		lists = append(lists, listed{})
		o.text = text[h.place.start:h.end]
		o.json = func() []byte { return r.headJSON(i, text) }
		found(o)
	}
	r.lists = lists
	return nil
}

// listed is a list whose items are objects; depth 0 is none.
type listed struct {
	object
	depth int
}

func (r *reader) headObject(h *head) object {
	o := object{
		apiVersion: r.name(h.apiVersion), kind: r.name(h.kind),
		name: string(h.name), generated: string(h.generated), namespace: r.name(h.namespace),
		line: h.line, used: h.used,
	}
	if h.line < 0 {
		o.line = h.place.line
	}
	o.used = o.used || h.seen&statusField != 0 && o.kind == "CustomResourceDefinition" || strings.HasSuffix(o.kind, "WebhookConfiguration")
	return o
}

// headJSON writes the i-th object that the scanner found. Where writing takes
// more than the scanner knows, the parser's tree is asked for the object of the
// same number: the two find the same ones.
func (r *reader) headJSON(i int, text []byte) []byte {
	h := r.scanner.heads[i]
	if out, ok := r.scanner.json(&h, make([]byte, 0, h.end-h.place.start)); ok {
		return out
	}
	docs, err := parse(text)
	if err != nil || len(docs) != 1 {
		return nil
	}
	var at []int // the way down to it
	for h.parent >= 0 {
		at = append(at, r.nth(i))
		i = h.parent
		h = r.scanner.heads[i]
	}
	node := docs[0]
	for n := len(at) - 1; n >= 0; n-- {
		items, _ := field(node, "items")
		if items.value == nil {
			return nil
		}
		if node = nthMapping(items.value, at[n]); node == nil {
			return nil
		}
	}
	return appendNode(nil, node)
}

// nth is the number of a head among those of the same parent.
func (r *reader) nth(i int) int {
	n := 0
	for k := range i {
		if r.scanner.heads[k].parent == r.scanner.heads[i].parent {
			n++
		}
	}
	return n
}

func nthMapping(list *yaml.Node, n int) *yaml.Node {
	for _, item := range list.Content {
		if item = target(item); item.Kind == yaml.MappingNode {
			if n == 0 {
				return item
			}
			n--
		}
	}
	return nil
}

// parsed gives the objects in a tree.
func (r *reader) parsed(n *yaml.Node, whole []byte, list object, depth int, found func(object)) error {
	if n = target(n); n.Kind != yaml.MappingNode {
		return nil
	}
	o := object{apiVersion: text(n, "apiVersion"), kind: text(n, "kind"), line: n.Line - 1, text: whole}
	if p, ok := field(n, "apiVersion"); ok {
		o.line = p.key.Line - 1
	}
	inherit(&o, list)
	if items, ok := field(n, "items"); ok && items.value.Kind == yaml.SequenceNode {
		mappings := 0
		for _, item := range items.value.Content {
			if target(item).Kind == yaml.MappingNode {
				mappings++
			}
		}
		if isList(o.kind, true, mappings, len(items.value.Content)-mappings) {
			if depth >= maxLists {
				return errNested
			}
			for _, item := range items.value.Content {
				if err := r.parsed(item, whole, o, depth+1, found); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if m, ok := field(n, "metadata"); ok {
		o.name, o.generated, o.namespace = text(m.value, "name"), text(m.value, "generateName"), text(m.value, "namespace")
	}
	o.used = true
	o.json = func() []byte { return appendNode(nil, n) }
	found(o)
	return nil
}

// walked gives the objects in a value of valid JSON that begins at i.
func (r *reader) walked(text []byte, i int, list object, depth int, found func(object)) error {
	if text[i] != '{' {
		return nil
	}
	var apiVersion, kind, metadata, items []byte
	at, list2 := i, -1
	end := members(text, i, func(key []byte, from int) int {
		to := afterValue(text, from)
		switch {
		case isKey(key, "apiVersion"):
			apiVersion, at = text[from:to], from
		case isKey(key, "kind"):
			kind = text[from:to]
		case isKey(key, "metadata"):
			metadata = text[from:to]
		case isKey(key, "items"):
			items, list2 = text[from:to], from
		}
		return to
	})
	o := object{apiVersion: unquote(apiVersion), kind: unquote(kind)}
	inherit(&o, list)
	if len(items) > 0 && items[0] == '[' && strings.HasSuffix(o.kind, "List") {
		mappings, others := 0, 0
		elements(items, 0, func(from int) int {
			if items[from] == '{' {
				mappings++
			} else {
				others++
			}
			return afterValue(items, from)
		})
		if isList(o.kind, true, mappings, others) {
			if depth >= maxLists {
				return errNested
			}
			var err error
			elements(text, list2, func(from int) int {
				if err == nil {
					err = r.walked(text, from, o, depth+1, found)
				}
				return afterValue(text, from)
			})
			return err
		}
	}
	o.name, o.generated, o.namespace = unquote(member(metadata, "name")), unquote(member(metadata, "generateName")), unquote(member(metadata, "namespace"))
	o.line = r.lineAt(text, at)
	o.used = bytes.Contains(metadata, []byte(lastApplied)) || bytes.Contains(metadata, []byte("managedFields")) ||
		o.kind == "CustomResourceDefinition" || strings.HasSuffix(o.kind, "WebhookConfiguration")
	o.text = text[i:end]
	o.json = func() []byte { return text[i:end] }
	found(o)
	return nil
}

// lineAt counts lines up to a place, from the last place that was asked for
// where that lies before it.
func (r *reader) lineAt(text []byte, at int) int {
	if at < r.counted.at {
		r.counted = counted{}
	}
	r.counted.line += bytes.Count(text[r.counted.at:at], []byte("\n"))
	r.counted.at = at
	return r.counted.line
}

type counted struct{ at, line int }
