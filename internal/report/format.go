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
	"perennial.dev/perennial/internal/finding"
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
	FormatTable      Format = "table"
	FormatWide       Format = "wide"
	FormatJSON       Format = "json"
	FormatYAML       Format = "yaml"
	FormatHTML       Format = "html"
	FormatMarkdown   Format = "markdown"
	FormatICS        Format = "ics"
	FormatPrometheus Format = "prometheus"
	FormatSARIF      Format = "sarif"
	FormatJUnit      Format = "junit"
)

// FormatInfo explains a format.
type FormatInfo struct {
	Format Format
	Help   string // one line
}

// Formats is the one table of formats; the first is the default. This package
// writes all but FormatHTML and FormatPrometheus.
var Formats = []FormatInfo{
	{FormatTable, "for people, fitted to the terminal, worst first"},
	{FormatWide, "the table with issuers, serials, fingerprints and paths, not fitted"},
	{FormatJSON, "for programs; the schema is published and only grows"},
	{FormatYAML, "the same fields as json, with unsafe characters shown as \\x1b or \\u202e"},
	{FormatHTML, "one page that needs no network, for a browser or for paper"},
	{FormatMarkdown, "for a ticket: what is not ok, each with its fix"},
	{FormatICS, "for calendar programs: an event for each date, with alarms (iCalendar)"},
	{FormatPrometheus, "metrics as text, with the agent's names, for a textfile or a push"},
	{FormatSARIF, "what is not ok as results of static analysis, for code scanning (SARIF 2.1.0)"},
	{FormatJUnit, "a test for each item, failed where it is due, for CI (JUnit's XML)"},
}

// Documents are the formats of what is no timeline.
var Documents = []Format{FormatTable, FormatJSON, FormatYAML}

// Document writes what is no timeline in one of the formats of Documents; table
// writes it for people.
func Document(w io.Writer, f Format, v any, table func(io.Writer) error) error {
	switch f {
	case FormatJSON:
		return JSON(w, v)
	case FormatYAML:
		return YAML(w, v)
	}
	return table(w)
}

// ParseFormat finds a format by its name: one of those given, else one of
// Formats.
func ParseFormat(s string, of ...Format) (Format, error) {
	if len(of) == 0 {
		for _, f := range Formats {
			of = append(of, f.Format)
		}
	}
	names := make([]string, len(of))
	for n, f := range of {
		if s == string(f) {
			return f, nil
		}
		names[n] = string(f)
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
	case FormatSARIF:
		return SARIF(w, []timeline.Timeline{t})
	case FormatJUnit:
		return JUnit(w, []timeline.Timeline{t})
	case FormatMarkdown:
		return Markdown(w, t)
	case FormatICS:
		return Calendar(w, t, CalendarOptions{})
	}
	return fmt.Errorf("writing the report: %q is none of this package's formats", fact.Text(f))
}

// list is several timelines, one for each cluster.
type list struct {
	APIVersion string              `json:"apiVersion"`
	Kind       string              `json:"kind"`
	Items      []timeline.Timeline `json:"items"`
}

// Timelines writes the timelines of several clusters: one below the other in a
// table and in Markdown, as one document in the other formats.
func Timelines(w io.Writer, f Format, ts []timeline.Timeline, o Options) error {
	if len(ts) == 1 {
		return Timeline(w, f, ts[0], o)
	}
	all := list{APIVersion: finding.APIVersion, Kind: timeline.Kind + "List", Items: ts}
	switch f {
	case FormatJSON:
		return JSON(w, all)
	case FormatYAML:
		return YAML(w, all)
	case FormatSARIF:
		return SARIF(w, ts)
	case FormatJUnit:
		return JUnit(w, ts)
	case FormatICS:
		return Calendars(w, ts)
	}
	for n, t := range ts {
		if n > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return fmt.Errorf("writing the report: %w", err)
			}
		}
		if err := Timeline(w, f, t, o); err != nil {
			return err
		}
	}
	return nil
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
	var out []byte
	kept := 0 // what of the body is in out
	for n := 0; n < len(body); {
		if body[n] < 0x7f {
			n++
			continue
		}
		r, size := utf8.DecodeRune(body[n:])
		if unsafe(r) {
			out = append(out, body[kept:n]...)
			if high, low := utf16.EncodeRune(r); r > 0xffff {
				out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
			} else {
				out = fmt.Appendf(out, `\u%04x`, r)
			}
			kept = n + size
		}
		n += size
	}
	if kept == 0 {
		return body
	}
	return append(out, body[kept:]...)
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

// noYAML are the characters that plain leaves and YAML 1.2 (5.1) has not.
var noYAML = strings.NewReplacer("\ufffe", `\ufffe`, "\uffff", `\uffff`)

// shown replaces every string by its visible form.
func shown(v any) any {
	switch v := v.(type) {
	case string:
		return noYAML.Replace(plain(v))
	case []any:
		for i := range v {
			v[i] = shown(v[i])
		}
	case map[string]any:
		safe := make(map[string]any, len(v))
		for name, value := range v {
			safe[noYAML.Replace(plain(name))] = shown(value)
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
