// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// object is one object as text in block style, without a line break too many.
type object struct {
	version
	text string // with apiVersion at the beginning of a line
}

// file is a file in the making.
type file struct {
	text  bytes.Buffer
	found []mark
}

// mark is an object that is in the corpus.
type mark struct {
	file string
	line int
	version
}

// add appends an object, indented, and notes the line of its apiVersion.
func (f *file) add(o object, first, rest string) {
	prefix := first
	for line := range strings.Lines(o.text) {
		if strings.HasPrefix(line, "apiVersion: ") {
			f.found = append(f.found, mark{line: bytes.Count(f.text.Bytes(), []byte("\n")) + 1, version: o.version})
		}
		if strings.TrimSpace(line) != "" {
			f.text.WriteString(prefix)
		}
		f.text.WriteString(line)
		prefix = rest
	}
}

// corpus is a directory in the making.
type corpus struct {
	dir   string
	marks []mark
	bytes int
	files int
}

func (c *corpus) write(name string, f *file) error {
	p := filepath.Join(c.dir, "manifests", name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		return err
	}
	for _, m := range f.found {
		m.file = name
		c.marks = append(c.marks, m)
	}
	c.bytes += f.text.Len()
	c.files++
	return os.WriteFile(p, f.text.Bytes(), 0o644)
}

// write makes charts until there are enough objects: half of them as files of
// one document, a third as what helm template prints, and lists, JSON and
// streams. In every tenth chart one template is left as it is before rendering.
func write(dir string, m *maker, objects int, stdout io.Writer) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return fmt.Errorf("making the corpus: %w", err)
	}
	c := &corpus{dir: dir}
	for chart := 0; len(c.marks) < objects; chart++ {
		n := min(12+m.rand.IntN(24), objects-len(c.marks))
		if err := c.chart(m, chart, n); err != nil {
			return fmt.Errorf("making the corpus: %w", err)
		}
	}
	fmt.Fprintf(stdout, "%d objects in %d files, %.1f MB, %d removed or to be removed\n", len(c.marks), c.files, float64(c.bytes)/1e6, count(c.marks))
	return c.truth()
}

func count(marks []mark) (removed int) {
	for _, m := range marks {
		if m.removedIn != "" {
			removed++
		}
	}
	return removed
}

func (c *corpus) chart(m *maker, chart, n int) error {
	name := fmt.Sprintf("%03d-%s", chart, m.word())
	switch chart % 6 {
	case 0, 1, 2:
		return c.apart(m, "charts/"+name+"/templates/", n, chart%10 == 0)
	case 3, 4:
		f := &file{}
		for i := range n {
			fmt.Fprintf(&f.text, "---\n# Source: %s/templates/%02d.yaml\n", name, i)
			if m.chance(20) {
				f.text.WriteString("---\n# Source: " + name + "/templates/empty.yaml\n\n")
			}
			f.add(m.object(), "", "")
		}
		return c.write("rendered/"+name+".yaml", f)
	}
	if chart%12 == 5 {
		f := &file{}
		f.text.WriteString("apiVersion: v1\nitems:\n")
		for range n {
			f.add(m.object(), "- ", "  ")
		}
		f.text.WriteString("kind: List\nmetadata:\n  resourceVersion: \"\"\n")
		return c.write("lists/"+name+".yaml", f)
	}
	return c.json(m, name, n, chart%24 == 11)
}

// apart writes one object per file, and at times a template.
func (c *corpus) apart(m *maker, dir string, n int, template bool) error {
	for i := range n {
		f := &file{}
		if m.chance(30) {
			f.text.WriteString("# Copyright of the chart's authors\n# apiVersion: extensions/v1beta1 was used until 1.22\n\n")
		}
		f.add(m.object(), "", "")
		if template && i == 0 {
			f.text.WriteString("---\n{{- if .Values.ingress.enabled }}\napiVersion: extensions/v1beta1\nkind: Ingress\nmetadata:\n  name: {{ .Release.Name }}\n{{- end }}\n")
		}
		if err := c.write(fmt.Sprintf("%s%02d.yaml", dir, i), f); err != nil {
			return err
		}
	}
	return nil
}

// json writes a list of objects on many lines, or a stream with one on each.
func (c *corpus) json(m *maker, name string, n int, stream bool) error {
	f := &file{}
	if !stream {
		f.text.WriteString("{\n \"apiVersion\": \"v1\",\n \"items\": [\n")
	}
	for i := range n {
		v, body := m.jsonObject(stream)
		if i > 0 && !stream {
			f.text.WriteString(",\n")
		}
		line := bytes.Count(f.text.Bytes(), []byte("\n")) + 1
		if !stream {
			line++ // the brace stands on a line of its own, and the keys are sorted
		}
		f.found = append(f.found, mark{line: line, version: v})
		f.text.Write(body)
		if stream {
			f.text.WriteString("\n")
		}
	}
	if !stream {
		f.text.WriteString("\n ],\n \"kind\": \"List\"\n}\n")
	}
	return c.write("json/"+name+".json", f)
}

func (c *corpus) truth() error {
	var out bytes.Buffer
	w := csv.NewWriter(&out)
	rows := [][]string{{"file", "line", "group", "version", "kind", "removedIn"}}
	for _, m := range c.marks {
		rows = append(rows, []string{m.file, strconv.Itoa(m.line), m.group, m.version.version, m.kind, m.removedIn})
	}
	if err := w.WriteAll(rows); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(c.dir, "truth.csv"), out.Bytes(), 0o644)
}
