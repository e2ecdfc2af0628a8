// SPDX-License-Identifier: Apache-2.0

package kuberc

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"perennial.dev/perennial/internal/fact"
)

const (
	// MaxBytes is the size of the largest file that is read.
	MaxBytes = 256 << 10
	// maxSteps bounds what YAML's aliases can make of a small file.
	maxSteps = 1 << 15
)

// Read reads a file. It never fails: what is wrong with a file is in its contents.
func Read(data []byte) Contents {
	var c Contents
	if len(data) > MaxBytes {
		c.Documents = 1
		c.Refused = []Mistake{{0, fmt.Sprintf("the file is larger than %d KiB, which no preferences are", MaxBytes>>10)}}
		return c
	}
	if m, bad := binary(data); bad {
		c.Documents = 1
		c.Refused = []Mistake{m}
		return c
	}
	documents, stray := split(data)
	for _, d := range documents {
		c.Documents++
		c.add(d)
	}
	if stray != nil && c.Found == nil {
		c.Documents++
		c.Refused = append(c.Refused, *stray)
	}
	return c
}

func (c *Contents) add(d document) {
	root, problem := d.parse()
	if problem != nil {
		c.put(d, nil, nil, []Mistake{*problem})
		return
	}
	p, ignored, refused := decode(root)
	c.put(d, p, ignored, refused)
}

func (c *Contents) put(d document, p *Preferences, ignored, refused []Mistake) {
	switch {
	case c.Found != nil:
		c.Unused = append(c.Unused, Mistake{d.line, "this document is not used: kubectl takes the first one that it understands"})
	case p != nil && p.Form == Early:
		if c.Early == nil {
			c.Early = p
		}
		c.Refused = append(c.Refused, refused...)
	case len(refused) > 0:
		c.Refused = append(c.Refused, refused...)
	default:
		c.Found, c.Ignored = p, ignored
	}
}

// binary finds what stands in no text.
func binary(data []byte) (Mistake, bool) {
	for at := 0; at < len(data); {
		r, n := utf8.DecodeRune(data[at:])
		if bad := r == utf8.RuneError && n == 1 || r < ' ' && r != '\n' && r != '\r' && r != '\t'; bad {
			line := 1 + bytes.Count(data[:at], []byte{'\n'})
			return Mistake{line, fmt.Sprintf("the byte 0x%02x stands in no text: this is no YAML", data[at])}, true
		}
		at += n
	}
	return Mistake{}, false
}

// document is a part of a file, with the line that its first one is.
type document struct {
	text []byte
	line int
}

// split cuts where kubectl does (k8s.io/apimachinery util/yaml YAMLReader). There
// the file is given up at three dashes with something behind them.
func split(data []byte) (all []document, stray *Mistake) {
	current := document{line: 1}
	take := func() {
		if len(bytes.TrimSpace(current.text)) > 0 {
			all = append(all, current)
		}
	}
	number := 0
	for line := range bytes.Lines(data) {
		number++
		if rest, ok := bytes.CutPrefix(line, []byte("---")); ok {
			if rest = bytes.TrimSpace(rest); len(rest) > 0 && rest[0] != '#' {
				return all, &Mistake{number, "three dashes begin a document and stand alone"}
			}
			if len(current.text) > 0 {
				take()
				current = document{line: number + 1}
				continue
			}
		}
		current.text = append(current.text, line...)
	}
	take()
	return all, nil
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): (.*)$`)

// parse gives the document's only node.
func (d document) parse() (root *yaml.Node, problem *Mistake) {
	defer func() {
		if recover() != nil {
			root, problem = nil, &Mistake{d.line, "this is no YAML: the parser does not get through it"}
		}
	}()
	var top yaml.Node
	if err := yaml.Unmarshal(d.text, &top); err != nil {
		line, text := d.line, strings.TrimPrefix(err.Error(), "yaml: ")
		if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
			n, _ := strconv.Atoi(m[1])
			line, text = d.line-1+max(n, 1), m[2]
		}
		return nil, &Mistake{line, "this is no YAML: " + fact.Text(text).String()}
	}
	if len(top.Content) == 0 {
		return nil, &Mistake{d.line, "there is nothing but comments in this document"}
	}
	shift(&top, d.line-1)
	return top.Content[0], nil
}

// shift turns lines of the document into lines of the file.
func shift(n *yaml.Node, by int) {
	n.Line += by
	for _, child := range n.Content {
		shift(child, by)
	}
}
