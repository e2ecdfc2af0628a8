// SPDX-License-Identifier: Apache-2.0

package document

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// seen is what a reader tells of an object.
type seen struct {
	APIVersion, Kind, Name, Generated, Namespace string
	Line                                         int
}

// both reads a document with the scanner and with the parser. The contents are
// those that the reader wrote itself: nil where the scanner left one to the
// parser.
func both(text []byte) (scanned, parsed []seen, wrote, built []any, declined bool, err error) {
	var r reader
	keep := func(to *[]seen, contents *[]any, raw func(object) []byte) func(object) {
		return func(o object) {
			*to = append(*to, seen{o.apiVersion, o.kind, o.name, o.generated, o.namespace, o.line})
			var v any
			if body := raw(o); body != nil {
				if err := json.Unmarshal(body, &v); err != nil {
					v = fmt.Sprintf("no JSON: %v: %s", err, body)
				}
			}
			*contents = append(*contents, v)
		}
	}
	if declined = !r.scanner.scan(text); !declined {
		i := 0
		err := r.scanned(text, keep(&scanned, &wrote, func(o object) []byte {
			for ; i < len(r.scanner.heads); i++ {
				h := r.scanner.heads[i]
				if string(text[h.place.start:h.end]) == string(o.text) {
					break
				}
			}
			h := r.scanner.heads[i]
			i++
			body, ok := r.scanner.json(&h, nil)
			if !ok {
				return nil
			}
			return body
		}))
		if err != nil {
			declined = true
		}
	}
	err = r.parse(text, keep(&parsed, &built, func(o object) []byte { return o.json() }))
	return
}

// FuzzDocuments holds the scanner to the parser: on each document they find the
// same objects on the same lines with the same content, or the scanner
// declines.
func FuzzDocuments(f *testing.F) {
	for _, c := range nasty {
		f.Add([]byte(c.text))
	}
	for _, text := range whole(f) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		split(file, func(text []byte, _ int, odd bool) {
			if at := significant(text); odd || at == len(text) || text[at] == '{' || text[at] == '[' {
				return
			}
			compare(t, text)
		})
		limit := len(file) + 3
		for range 2 { // a reader that is used again says the same
			Read("f", file, Want{}, object_(t, limit, string(file)), unseen_(t, limit))
		}
	})
}

func compare(t *testing.T, text []byte) {
	t.Helper()
	scanned, parsed, wrote, built, declined, err := both(text)
	if declined {
		return
	}
	if err != nil {
		t.Fatalf("the scanner reads what the parser refuses: %v\n%q", err, text)
	}
	if !reflect.DeepEqual(scanned, parsed) {
		t.Fatalf("the scanner finds\n %+v\nthe parser\n %+v\nin %q", scanned, parsed, text)
	}
	for i, w := range wrote {
		if w != nil && !reflect.DeepEqual(w, built[i]) {
			t.Fatalf("the scanner writes\n %v\nthe parser\n %v\nof %q", w, built[i], text)
		}
	}
}

// kubectl holds the parser to the one that kubectl reads YAML with, where
// that reads the document, too. The fuzzer does not call it: the two differ on
// odd documents, over which YAML 1.1 and 1.2 differ as well.
func kubectl(t *testing.T, text []byte) {
	t.Helper()
	_, parsed, _, built, _, err := both(text)
	body, theirs := yaml.YAMLToJSON(text)
	if err != nil || theirs != nil {
		if (err == nil) != (theirs == nil) {
			t.Errorf("we say %v, kubectl's parser says %v, of %q", err, theirs, text)
		}
		return
	}
	var want any
	if err := json.Unmarshal(body, &want); err != nil {
		t.Fatal(err)
	}
	if len(parsed) == 1 && !strings.HasSuffix(want.(map[string]any)["kind"].(string), "List") && !reflect.DeepEqual(built[0], want) {
		t.Errorf("we read\n %v\nkubectl's parser\n %v\nin %q", built[0], want, text)
	}
}
