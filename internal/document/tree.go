// SPDX-License-Identifier: Apache-2.0

package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// What the parser reads must not cost much more than it is long.
const (
	treeBytes = 16 << 20
	treeNodes = 1 << 19
	// expanded is the number of nodes that a document may grow to when its
	// aliases are followed.
	expanded = 1 << 20
)

var (
	errTemplate = errors.New("is a template, which has to be rendered first")
	errAliases  = errors.New("has aliases that grow beyond any use")
	errKey      = errors.New("has a key that is no string")
	errTag      = errors.New("has a tag that does not fit what it stands before")
	errMerge    = errors.New("merges what is no mapping")
	errLarge    = errors.New("is too large for what it is written like")
	errNested   = errors.New("has lists in lists in lists, too deep to follow")
)

// parse reads what the scanner declined. A chunk may hold several documents
// where a lone carriage return ends a line.
func parse(text []byte) (docs []*yaml.Node, err error) {
	if len(text) > treeBytes || nodes(text) > treeNodes {
		return nil, errLarge
	}
	defer func() {
		if v := recover(); v != nil {
			err = errors.New("cannot be read by the YAML parser")
		}
	}()
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		switch err := d.Decode(&doc); {
		case errors.Is(err, io.EOF):
			return docs, nil
		case err != nil:
			return docs, err
		}
		t := tree{sizes: map[*yaml.Node]int{}}
		if t.size(&doc); t.err != nil {
			return docs, t.err
		}
		if len(doc.Content) == 1 {
			docs = append(docs, doc.Content[0])
		}
	}
}

// nodes is about how many nodes a text may have at most.
func nodes(text []byte) int {
	n := 1
	for _, sign := range []string{"\n", ": ", ",", "[", "{", "- "} {
		n += bytes.Count(text, []byte(sign))
	}
	return n
}

// tree checks a document before anything follows its aliases.
type tree struct {
	sizes map[*yaml.Node]int // with aliases followed; 0 while it is not known
	err   error
}

// size is how many nodes there are below a node when aliases are followed.
func (t *tree) size(n *yaml.Node) int {
	if size, seen := t.sizes[n]; seen {
		if size == 0 {
			t.fail(errAliases) // one that contains itself
		}
		return size
	}
	if n.Anchor != "" {
		t.sizes[n] = 0
	}
	size := 1
	var v any
	if n.Style&yaml.TaggedStyle != 0 && n.Kind == yaml.ScalarNode && n.Decode(&v) != nil {
		t.fail(fmt.Errorf("line %d: %w", n.Line, errTag))
	}
	if n.Kind == yaml.AliasNode {
		size += t.size(n.Alias)
	}
	for i, child := range n.Content {
		size += t.size(child)
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			t.key(child, n.Content[i+1])
		}
	}
	if size = min(size, expanded+1); size > expanded {
		t.fail(errAliases)
	}
	if n.Anchor != "" {
		t.sizes[n] = size
	}
	return size
}

func (t *tree) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

// key refuses what no JSON can have as a key, as kubectl does.
func (t *tree) key(key, value *yaml.Node) {
	line := key.Line
	refuse := func(err error) { t.fail(fmt.Errorf("line %d: %w", line, err)) }
	key = target(key)
	switch {
	case isMerge(key):
		for _, from := range merged(value) {
			if target(from).Kind != yaml.MappingNode {
				refuse(errMerge)
			}
		}
	case key.Kind == yaml.MappingNode && key.Style&yaml.FlowStyle != 0:
		refuse(errTemplate)
	case key.Kind != yaml.ScalarNode, key.ShortTag() == "!!null":
		refuse(errKey)
	}
}

// target follows an alias.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isMerge(key *yaml.Node) bool {
	return key.Kind == yaml.ScalarNode && key.Value == "<<" && key.ShortTag() == "!!merge"
}

// merged are the mappings that a merge key names.
func merged(value *yaml.Node) []*yaml.Node {
	if value = target(value); value.Kind == yaml.SequenceNode {
		return value.Content
	}
	return []*yaml.Node{value}
}

// pair is a member of a mapping.
type pair struct {
	name       string
	key, value *yaml.Node
}

// pairs are the members of a mapping, each name once. What comes later wins,
// and so does what is merged in over what stands before the merge key: YAML has
// it otherwise, but this is how kubectl reads it.
func pairs(n *yaml.Node) []pair {
	index := map[string]int{}
	var found []pair
	put := func(p pair) {
		if i, there := index[p.name]; there {
			found[i] = p
			return
		}
		index[p.name] = len(found)
		found = append(found, p)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := target(n.Content[i]), n.Content[i+1]
		if !isMerge(key) {
			put(pair{keyName(key), n.Content[i], target(value)})
			continue
		}
		for _, from := range slices.Backward(merged(value)) {
			for _, p := range pairs(target(from)) {
				put(p)
			}
		}
	}
	return found
}

func keyName(key *yaml.Node) string {
	switch v := value(key).(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}

// field finds a member of a mapping.
func field(n *yaml.Node, name string) (pair, bool) {
	if n == nil || n.Kind != yaml.MappingNode {
		return pair{}, false
	}
	for _, p := range pairs(n) {
		if p.name == name {
			return p, true
		}
	}
	return pair{}, false
}

// text is a member that is a string.
func text(n *yaml.Node, name string) string {
	if p, ok := field(n, name); ok && p.value.Kind == yaml.ScalarNode {
		if s, ok := value(p.value).(string); ok {
			return s
		}
	}
	return ""
}

// value is what kubectl takes a scalar for, which reads YAML 1.1: there yes and
// no are truth values, and a date is just a string.
func value(n *yaml.Node) any {
	tag := n.ShortTag()
	if n.Style == 0 && tag == "!!str" && len(n.Value) <= 5 && words[n.Value] == aBool {
		return truth([]byte(n.Value))
	}
	var v any
	switch tag {
	case "!!null", "!!int", "!!float", "!!bool", "!!binary":
		if n.Decode(&v) != nil {
			return n.Value
		}
		if f, ok := v.(float64); ok && (math.IsInf(f, 0) || math.IsNaN(f)) {
			return n.Value
		}
		return v
	}
	return n.Value
}

// appendNode writes a node as JSON.
func appendNode(out []byte, n *yaml.Node) []byte {
	n = target(n)
	switch n.Kind {
	case yaml.MappingNode:
		out = append(out, '{')
		for i, p := range pairs(n) {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(appendString(out, []byte(strings.ToValidUTF8(p.name, "\uFFFD"))), ':')
			out = appendNode(out, p.value)
		}
		return append(out, '}')
	case yaml.SequenceNode:
		out = append(out, '[')
		for i, item := range n.Content {
			if i > 0 {
				out = append(out, ',')
			}
			out = appendNode(out, item)
		}
		return append(out, ']')
	}
	body, err := json.Marshal(value(n))
	if err != nil {
		return append(out, "null"...)
	}
	return append(out, body...)
}
