// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// state says whether a file sets something.
type state int

const (
	absent state = iota
	given
	unreadable // and has been complained about
)

// entry is a scalar of the file, with the place where it stands or would stand.
type entry[T any] struct {
	value T
	state state
	at    place
}

type (
	word   = entry[string]
	truth  = entry[bool]
	number = entry[int]
	// words are a list, or a text with commas between them.
	words = entry[[]word]
)

func written[T any](v T) entry[T] { return entry[T]{value: v, state: given} }

// IsZero leaves out of what is written what is not set.
func (e entry[T]) IsZero() bool { return e.state != given }

// MarshalJSON writes the value alone; words as a text.
func (e entry[T]) MarshalJSON() ([]byte, error) {
	if many, ok := any(e.value).([]word); ok {
		texts := make([]string, len(many))
		for i, w := range many {
			texts[i] = w.value
		}
		return json.Marshal(strings.Join(texts, ","))
	}
	return json.Marshal(e.value)
}

const (
	maxBytes = 256 << 10
	// maxSteps bounds what aliases can make of a small file.
	maxSteps = 1 << 15
)

// document parses the only document of a file.
func (r *reader) document(data []byte) (*yaml.Node, bool) {
	top := place{line: 1, column: 1}
	switch {
	case len(data) > maxBytes:
		r.wrong(top, "the configuration is larger than %d KiB", maxBytes>>10)
		return nil, false
	case len(bytes.TrimSpace(data)) == 0:
		r.wrong(top, "the configuration is empty")
		return nil, false
	}
	docs, err := parseYAML(data)
	switch {
	case err != nil:
		r.wrong(breaks(data), "%s", inWords(err))
		return nil, false
	case len(docs) == 0, len(docs) == 1 && isNull(docs[0].Content[0]):
		r.wrong(top, "the configuration is empty")
		return nil, false
	case len(docs) > 1:
		r.wrong(place{line: docs[1].Line, column: docs[1].Column}, "a second document starts here; a configuration is one")
		return nil, false
	}
	return docs[0].Content[0], true
}

var errParser = errors.New("the YAML parser does not get through it")

// parseYAML gives the documents of a text, two at most.
func parseYAML(text []byte) (docs []*yaml.Node, err error) {
	defer func() {
		if recover() != nil {
			err = errParser
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(text))
	for len(docs) < 2 {
		var doc yaml.Node
		switch err := d.Decode(&doc); {
		case errors.Is(err, io.EOF):
			return docs, nil
		case err != nil:
			return docs, err
		case len(doc.Content) == 1:
			docs = append(docs, &doc)
		}
	}
	return docs, nil
}

// inWords leaves out where the parser believes that it stopped, which is often
// the line before or where the surrounding map begins.
func inWords(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(text, "line "); ok {
		if _, what, ok := strings.Cut(rest, ": "); ok {
			text = what
		}
	}
	return "this is no YAML: " + strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
}

// maxRetries bounds in bytes what is parsed again to find a place.
const maxRetries = 4 << 20

// breaks is where a text stops being YAML: just after the longest beginning of
// it that is. So an open bracket or quote is named where it stands.
func breaks(text []byte) place {
	left := maxRetries
	good := func(n int) bool {
		left -= n
		_, err := parseYAML(text[:n])
		return err == nil
	}
	line := len(text)
	for line > 0 && left > 0 {
		if line = bytes.LastIndexByte(text[:line-1], '\n') + 1; line == 0 || good(line) {
			break
		}
	}
	end := line
	if n := bytes.IndexByte(text[line:], '\n'); n >= 0 {
		end += n
	} else {
		end = len(text)
	}
	for end > line && left > 0 && !good(end) {
		_, size := utf8.DecodeLastRune(text[line:end])
		end -= size
	}
	return place{line: bytes.Count(text[:line], []byte("\n")) + 1, column: utf8.RuneCount(text[line:end]) + 1}
}

// read takes a value into a variable of the form of the file. A node that is nil
// is not there: then only its place is noted.
func (r *reader) read(n *yaml.Node, to reflect.Value, at place) {
	if n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if r.tired(at) {
		return
	}
	if n != nil {
		at.line, at.column = n.Line, n.Column
		if isNull(n) {
			n = nil
		}
	}
	switch to := to.Addr().Interface().(type) {
	case *word:
		to.at = at
		to.value, to.state = r.text(n, at)
		return
	case *truth:
		to.at = at
		to.value, to.state = r.truth(n, at)
		return
	case *number:
		to.at = at
		to.value, to.state = r.number(n, at)
		return
	case *words:
		to.at = at
		to.value, to.state = r.words(n, at)
		return
	}
	if to.Kind() == reflect.Slice {
		r.list(n, to, at)
		return
	}
	r.fields(n, to, at)
}

// tired counts what is looked at, and complains once when it is too much.
func (r *reader) tired(at place) bool {
	if r.steps++; r.steps == maxSteps {
		r.wrong(at, "there is too much in this file, or its aliases make too much of it")
	}
	return r.steps >= maxSteps
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func (r *reader) text(n *yaml.Node, at place) (string, state) {
	switch {
	case n == nil:
		return "", absent
	case n.Kind == yaml.ScalarNode && (n.ShortTag() == "!!str" || n.ShortTag() == "!!timestamp"):
		return n.Value, given
	}
	r.wrong(at, "want text, in quotes if need be, not %s", what(n))
	return "", unreadable
}

func (r *reader) truth(n *yaml.Node, at place) (v bool, s state) {
	switch {
	case n == nil:
		return false, absent
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!bool" && n.Decode(&v) == nil:
		return v, given
	}
	r.wrong(at, "want true or false, not %s", what(n))
	return false, unreadable
}

func (r *reader) number(n *yaml.Node, at place) (int, state) {
	if n == nil {
		return 0, absent
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		if v, err := strconv.ParseInt(n.Value, 10, 32); err == nil {
			return int(v), given
		}
	}
	r.wrong(at, "want a whole number such as 4, not %s", what(n))
	return 0, unreadable
}

func (r *reader) words(n *yaml.Node, at place) ([]word, state) {
	if n != nil && n.Kind == yaml.SequenceNode {
		var items []word
		r.list(n, reflect.ValueOf(&items).Elem(), at)
		return items, given
	}
	text, state := r.text(n, at)
	if state != given {
		return nil, state
	}
	var items []word
	for part := range strings.SplitSeq(text, ",") {
		items = append(items, word{value: strings.TrimSpace(part), state: given, at: at})
		if n.Style == 0 {
			items[len(items)-1].at.column += utf8.RuneCountInString(part) - utf8.RuneCountInString(strings.TrimLeft(part, " "))
			at.column += utf8.RuneCountInString(part) + 1
		}
	}
	return items, given
}

func (r *reader) list(n *yaml.Node, to reflect.Value, at place) {
	switch {
	case n == nil:
		return
	case n.Kind != yaml.SequenceNode:
		r.wrong(at, "want a list, not %s", what(n))
		return
	}
	for i, item := range n.Content {
		one := reflect.New(to.Type().Elem()).Elem()
		r.read(item, one, at.item(i))
		to.Set(reflect.Append(to, one))
	}
}

func (r *reader) fields(n *yaml.Node, to reflect.Value, at place) {
	var members []member
	switch {
	case n == nil:
	case n.Kind != yaml.MappingNode && at.field == "":
		r.wrong(at, "the configuration is not a map of fields")
		return
	case n.Kind != yaml.MappingNode:
		r.wrong(at, "want a map of fields, not %s", what(n))
	default:
		members = r.members(n, at)
	}
	var names []string
	for i := range to.NumField() {
		name, _, _ := strings.Cut(to.Type().Field(i).Tag.Get("json"), ",")
		names = append(names, name)
		var value *yaml.Node
		if m := slices.IndexFunc(members, func(m member) bool { return m.name == name }); m >= 0 {
			value = members[m].value
		}
		r.read(value, to.Field(i), at.below(name))
	}
	for _, m := range members {
		if !slices.Contains(names, m.name) {
			r.wrong(place{m.key.Line, m.key.Column, at.field}, "unknown field %s: want one of %s", quoted(m.name), strings.Join(names, ", "))
		}
	}
}

type member struct {
	name       string
	key, value *yaml.Node
}

// members are the fields of a map; its own win over those that it merges in.
func (r *reader) members(n *yaml.Node, at place) (all []member) {
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind == yaml.AliasNode {
			key = key.Alias
		}
		here := place{key.Line, key.Column, at.field}
		if r.tired(here) {
			return all
		}
		switch first := slices.IndexFunc(all, func(m member) bool { return m.name == key.Value }); {
		case key.Kind != yaml.ScalarNode:
			r.wrong(here, "want the name of a field, not %s", what(key))
		case key.ShortTag() == "!!merge":
			merged = append(merged, value)
		case first >= 0:
			here.field = at.below(key.Value).field
			r.wrong(here, "is set twice; first on line %d", all[first].key.Line)
		default:
			all = append(all, member{key.Value, key, value})
		}
	}
	for _, from := range merged {
		all = r.merge(all, from, at)
	}
	return all
}

func (r *reader) merge(all []member, from *yaml.Node, at place) []member {
	if from.Kind == yaml.AliasNode {
		from = from.Alias
	}
	if r.tired(at) {
		return all
	}
	switch from.Kind {
	case yaml.SequenceNode:
		for _, one := range from.Content {
			all = r.merge(all, one, at)
		}
	case yaml.MappingNode:
		for _, m := range r.members(from, at) {
			if !slices.ContainsFunc(all, func(o member) bool { return o.name == m.name }) {
				all = append(all, m)
			}
		}
	default:
		r.wrong(place{from.Line, from.Column, at.field}, "want a map of fields to merge in, not %s", what(from))
	}
	return all
}

// what names a value that is not what is wanted.
func what(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a map"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.ShortTag() == "!!int", n.ShortTag() == "!!float":
		return "the number " + strings.Trim(quoted(n.Value), `"`)
	case n.ShortTag() == "!!bool":
		return "the truth value " + strings.Trim(quoted(n.Value), `"`)
	case n.ShortTag() == "!!str", n.ShortTag() == "!!timestamp":
		return "the text " + quoted(n.Value)
	}
	return "a value with the tag " + quoted(n.Tag)
}

// quoted is safe to print, and not longer than a line.
func quoted(s string) string { return strconv.Quote(short(s)) }

func short(s string) string {
	const runes = 80
	if utf8.RuneCountInString(s) <= runes {
		return s
	}
	return string([]rune(s)[:runes]) + "…"
}
