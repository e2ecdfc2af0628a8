// SPDX-License-Identifier: Apache-2.0

// Package report renders what was judged: a timeline as a table or as data,
// the release calendar, and the explanation of a code or an item. Renderers
// are pure: width, colour and the time are given, and a saved timeline renders
// as a fresh one does.
//
// Whatever a certificate or an object may hold, no output has a control
// character but the line feed and the colours that this package writes itself,
// and no character that reorders or hides its neighbours.
package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"sigs.k8s.io/yaml"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/timeline"
)

// Options is what the caller knows about where the output goes.
type Options struct {
	Width int  // columns; 0 for no limit
	Color bool // ANSI colours are understood
	Wide  bool // everything in the table, however wide
	// Now is the instant from which what is left is counted; zero for the
	// timeline's own.
	Now time.Time
}

// Format is how a report is written.
type Format string

// The formats.
const (
	FormatTable Format = "table"
	FormatWide  Format = "wide"
	FormatJSON  Format = "json"
	FormatYAML  Format = "yaml"
)

// FormatInfo explains a format.
type FormatInfo struct {
	Format Format
	Help   string // one line
}

// Formats is the one table of formats; the first is the default.
var Formats = []FormatInfo{
	{FormatTable, "for people, fitted to the terminal, worst first"},
	{FormatWide, "the table with issuers, serials, fingerprints and paths, not fitted"},
	{FormatJSON, "for programs; the schema is published and only grows"},
	{FormatYAML, "the same fields as json, with unsafe characters shown as \\x1b or \\u202e"},
}

// ParseFormat finds a format by its name.
func ParseFormat(s string) (Format, error) {
	names := make([]string, len(Formats))
	for i, f := range Formats {
		if s == string(f.Format) {
			return f.Format, nil
		}
		names[i] = string(f.Format)
	}
	return "", fmt.Errorf("unknown output format %q: want one of %s", fact.Text(s), strings.Join(names, ", "))
}

// Timeline writes a timeline in a format.
func Timeline(w io.Writer, f Format, t timeline.Timeline, o Options) error {
	switch f {
	case FormatTable, FormatWide:
		o.Wide = o.Wide || f == FormatWide
		return Table(w, t, o)
	case FormatJSON:
		return JSON(w, t)
	case FormatYAML:
		return YAML(w, t)
	}
	_, err := ParseFormat(string(f))
	return err
}

// JSON writes a value as indented JSON. Unsafe characters are escaped, so that
// it decodes to the same strings and prints safely.
func JSON(w io.Writer, v any) error {
	body, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("writing json: %w", err)
	}
	return write(w, append(escape(body), '\n'))
}

// escape writes what package json leaves as it is and a terminal does not. All
// but ASCII stands inside strings.
func escape(body []byte) []byte {
	var out bytes.Buffer
	for len(body) > 0 {
		r, n := utf8.DecodeRune(body)
		switch {
		case r < 0x7f || !unsafe(r):
			out.Write(body[:n])
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		body = body[n:]
	}
	return out.Bytes()
}

func unsafe(r rune) bool { return plain(string(r)) != string(r) }

// YAML writes a value as YAML, with the field names of its JSON. Other than in
// JSON, unsafe characters are shown and not kept: a YAML reader would turn the
// escapes of a quoted string back into what they stand for, and many people
// read YAML through one.
func YAML(w io.Writer, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("writing yaml: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return fmt.Errorf("writing yaml: %w", err)
	}
	out, err := yaml.Marshal(shown(tree))
	if err != nil {
		return fmt.Errorf("writing yaml: %w", err)
	}
	return write(w, out)
}

// shown replaces every string by its visible form.
func shown(v any) any {
	switch v := v.(type) {
	case string:
		return plain(v)
	case []any:
		for i := range v {
			v[i] = shown(v[i])
		}
	case map[string]any:
		safe := make(map[string]any, len(v))
		for name, value := range v {
			safe[plain(name)] = shown(value)
		}
		return safe
	}
	return v
}

func write(w io.Writer, body []byte) error {
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}
