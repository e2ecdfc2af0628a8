// SPDX-License-Identifier: Apache-2.0

package report

import (
	"encoding/csv"
	"fmt"
	"io"
	"strings"
	"time"

	"perennial.dev/perennial/internal/finding"
	"perennial.dev/perennial/internal/rules"
)

// FormatCSV is the form in which rules are read, too.
const FormatCSV Format = "csv"

// RuleFormats are the formats of rules.
var RuleFormats = []Format{FormatTable, FormatJSON, FormatYAML, FormatCSV}

// ruleBook is the JSON of tables of rules.
type ruleBook struct {
	APIVersion string      `json:"apiVersion"`
	Kind       string      `json:"kind"`
	Tables     []ruleTable `json:"tables"`
}

type ruleTable struct {
	Name  string              `json:"name"`
	About string              `json:"about,omitempty"`
	AsOf  string              `json:"asOf"` // a day
	Rows  []map[string]string `json:"rows"` // by column; empty cells are left out
}

// RuleTables writes an overview of tables.
func RuleTables(w io.Writer, f Format, tables []rules.Table, o Options) error {
	if f != FormatTable {
		return Rules(w, f, tables, o)
	}
	g := &grid{heads: []string{"TABLE", "ROWS", "AS OF", "WHAT"}}
	for _, t := range tables {
		g.rows = append(g.rows, []cell{{text: t.Name}, {text: fmt.Sprint(len(t.Rows))}, {text: t.AsOf.Format(time.DateOnly)}, {text: plain(heading(t.About))}})
	}
	p := &page{width: o.Width, color: o.Color}
	if o.Width > 0 {
		g.fit(o.Width, []step{{"WHAT", elideTo, 20}})
	}
	g.write(p)
	return write(w, []byte(p.finished()))
}

// heading is how a table's description begins.
func heading(about string) string {
	if n := strings.IndexAny(about, ":."); n > 0 {
		return about[:n]
	}
	return about
}

// Rules writes the rows of tables: as a table each, as data, or as CSV that can
// be read again.
func Rules(w io.Writer, f Format, tables []rules.Table, o Options) error {
	switch f {
	case FormatJSON:
		return JSON(w, book(tables))
	case FormatYAML:
		return YAML(w, book(tables))
	case FormatCSV:
		return rulesCSV(w, tables)
	}
	p := &page{width: o.Width, color: o.Color}
	for _, t := range tables {
		p.gap()
		p.text(bold, fmt.Sprintf("%s, as of %s: %s", t.Name, t.AsOf.Format(time.DateOnly), plain(heading(t.About))), 2)
		g := &grid{}
		for _, c := range t.Columns {
			g.heads = append(g.heads, strings.ToUpper(strings.ReplaceAll(c, "_", " ")))
		}
		for _, row := range t.Rows {
			cells := make([]cell, len(row))
			for n, field := range row {
				cells[n].text = orDash(plain(field))
			}
			g.rows = append(g.rows, cells)
		}
		if o.Width > 0 {
			g.fit(o.Width, []step{{"CITATION", elideTo, 24}})
		}
		g.write(p)
	}
	return write(w, []byte(p.finished()))
}

// RuleRows writes rows one below the other, with all their cells.
func RuleRows(w io.Writer, f Format, tables []rules.Table, o Options) error {
	if f != FormatTable {
		return Rules(w, f, tables, o)
	}
	p := &page{width: o.Width, color: o.Color}
	for _, t := range tables {
		for _, row := range t.Rows {
			p.gap()
			p.line(p.styled(bold, t.Name) + ", as of " + t.AsOf.Format(time.DateOnly))
			for n, c := range t.Columns {
				p.paragraph(strings.ReplaceAll(c, "_", " "), row[n])
			}
		}
	}
	return write(w, []byte(p.finished()))
}

func book(tables []rules.Table) ruleBook {
	b := ruleBook{APIVersion: finding.APIVersion, Kind: "Rules", Tables: []ruleTable{}}
	for _, t := range tables {
		out := ruleTable{Name: t.Name, About: t.About, AsOf: t.AsOf.Format(time.DateOnly), Rows: []map[string]string{}}
		for _, row := range t.Rows {
			cells := map[string]string{}
			for n, c := range t.Columns {
				if row[n] != "" {
					cells[c] = row[n]
				}
			}
			out.Rows = append(out.Rows, cells)
		}
		b.Tables = append(b.Tables, out)
	}
	return b
}

// rulesCSV writes tables without their day, so that what is read again adds to
// what there is.
func rulesCSV(w io.Writer, tables []rules.Table) error {
	for n, t := range tables {
		out := csv.NewWriter(w)
		if n > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return fmt.Errorf("writing the rules: %w", err)
			}
		}
		rows := append([][]string{t.Columns}, t.Rows...)
		for _, row := range rows {
			safe := make([]string, len(row))
			for i, field := range row {
				safe[i] = plain(field)
			}
			if err := out.Write(safe); err != nil {
				return fmt.Errorf("writing the rules: %w", err)
			}
		}
		if out.Flush(); out.Error() != nil {
			return fmt.Errorf("writing the rules: %w", out.Error())
		}
	}
	return nil
}
