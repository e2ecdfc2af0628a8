// SPDX-License-Identifier: Apache-2.0

package document

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"perennial.dev/perennial/internal/fact"
)

// maxFailures is how many documents of one file are named that could not be
// understood; the others are counted.
const maxFailures = 100

// hopeless is how many there may be before what only the parser could read is
// not tried any more: that takes a thousand times longer than to pass over it.
const hopeless = 1000

var errHopeless = errors.New("stands after too many others that cannot be understood")

// fail says that what begins on a line, from 0, could not be understood.
func (r *reader) fail(line int, why fact.Why, detail, hint fact.Text) {
	if r.failures++; r.failures > maxFailures {
		return
	}
	r.unseen(fact.Unseen{
		Source: Source, What: fact.Text(r.file + ":" + strconv.Itoa(line+1)),
		Why: why, Detail: detail, Hint: hint,
	})
}

// more says how many were not named.
func (r *reader) more() {
	if n := r.failures - maxFailures; n > 0 {
		r.unseen(fact.Unseen{
			Source: Source, What: fact.Text(r.file), Why: fact.Malformed,
			Detail: fact.Text(fmt.Sprintf("%d more documents in it cannot be understood", n)),
		})
	}
}

var lineInError = regexp.MustCompile(`line (\d+): `)

// broken says why a document could not be understood, and on which line as far
// as the parser knows. Braces make it a template: they are why YAML that is
// meant to be rendered first can rarely be read. at is where its first
// character lies, and line where the text begins.
func (r *reader) broken(err error, text []byte, at, line int) {
	place := line + bytes.Count(text[:at], []byte("\n"))
	words := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := lineInError.FindStringSubmatch(words); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil && n > 0 {
			place = max(place, line+min(n-1, bytes.Count(text, []byte("\n"))))
		}
		words = strings.Replace(words, m[0], "", 1)
	}
	switch {
	case errors.Is(err, errLarge):
		r.fail(place, fact.TooLarge, fact.Text(words), "")
	case errors.Is(err, errAliases), errors.Is(err, errNested), errors.Is(err, errJSON), errors.Is(err, errHopeless):
		r.fail(place, fact.Malformed, fact.Text(words), "")
	case errors.Is(err, errTemplate) || bytes.Contains(text, []byte("{{")):
		r.fail(place, fact.Unsupported, fact.Text(errTemplate.Error()), "helm template CHART | perennial check -f -")
	default:
		r.fail(place, fact.Malformed, fact.Text("is no YAML: "+words), "")
	}
}
