// SPDX-License-Identifier: Apache-2.0

package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Mistake is something in a settings file that cannot be applied, and where.
type Mistake struct {
	Line   int    // from 1
	Column int    // in characters, from 1
	Field  string // such as agent.windows[0].start; empty for the file as a whole
	What   string // half a sentence
}

// Error writes "line 7, column 12: agent.windows[0].start: ...".
func (m Mistake) Error() string {
	where := fmt.Sprintf("line %d, column %d: ", m.Line, m.Column)
	if m.Field != "" {
		where += m.Field + ": "
	}
	return where + m.What
}

// Mistakes are all that was found in a settings file, in the order of its lines;
// never empty.
type Mistakes []Mistake

// Error writes one mistake, or how many there are and each on its own line.
func (m Mistakes) Error() string {
	if len(m) == 1 {
		return m[0].Error()
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%d mistakes:", len(m))
	for _, one := range m {
		out.WriteString("\n  " + one.Error())
	}
	return out.String()
}

// most is how many mistakes are kept: who has made more has given the wrong file.
const most = 100

// place is where something stands in a file, or would stand.
type place struct {
	line, column int
	field        string
}

// below is the place of a member, as long as nothing says that it stands
// elsewhere.
func (p place) below(name string) place {
	if p.field != "" {
		name = p.field + "." + name
	}
	p.field = name
	return p
}

func (p place) item(i int) place {
	p.field = fmt.Sprintf("%s[%d]", p.field, i)
	return p
}

// reader collects what is wrong with a file.
type reader struct {
	found Mistakes
	steps int // values looked at, aliases followed
}

func (r *reader) wrong(at place, format string, args ...any) {
	if len(r.found) < most {
		r.found = append(r.found, Mistake{Line: at.line, Column: at.column, Field: at.field, What: fmt.Sprintf(format, args...)})
	}
}

// err gives what was found, each once: what an alias stands for is looked at
// wherever the alias stands.
func (r *reader) err() error {
	if len(r.found) == 0 {
		return nil
	}
	slices.SortStableFunc(r.found, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(r.found)
}
