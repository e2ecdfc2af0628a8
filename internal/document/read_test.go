// SPDX-License-Identifier: Apache-2.0

package document

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
)

// object_ is an emit that wants each object to have a version, a kind, a line
// and valid content.
func object_(t *testing.T, limit int, text string) func(fact.Object) {
	n, lines := 0, strings.Count(text, "\n")+1
	return func(o fact.Object) {
		if n++; n > limit {
			t.Fatal("more objects than characters")
		}
		if o.APIVersion == "" || o.Type == "" || o.Line < 1 || o.File != "f" {
			t.Fatalf("an object without version, kind, line or file: %+v", o)
		}
		if o.Line > lines && !strings.ContainsAny(text, "\r\u0085\u2028\u2029") {
			t.Fatalf("line %d of %d", o.Line, lines)
		}
		if o.Content != nil && !json.Valid(o.Content) {
			t.Fatalf("content that is no JSON: %s", o.Content)
		}
	}
}

func unseen_(t *testing.T, limit int) func(fact.Unseen) {
	n := 0
	return func(u fact.Unseen) {
		if n++; n > min(limit, maxFailures+1) {
			t.Fatal("too many that were not understood")
		}
		if u.Source != Source || u.Why == "" || u.Detail == "" || !strings.HasPrefix(string(u.What), "f") {
			t.Fatalf("an Unseen without cause: %+v", u)
		}
	}
}

// told reads a file and tells in a line each what was found, in the order of
// the text; what could not be understood comes last.
func told(text string) []string {
	var out, bad []string
	Read("f", []byte(text), Want{}, func(o fact.Object) {
		s := fmt.Sprintf("%d %s %s %s/%s", o.Line, string(o.APIVersion), string(o.Type), string(o.Namespace), string(o.Name))
		for _, u := range o.Uses {
			s += fmt.Sprintf(" %s=%s", u.By, string(u.APIVersion))
			if u.Who != "" {
				s += "@" + string(u.Who)
			}
		}
		out = append(out, s)
	}, func(u fact.Unseen) {
		bad = append(bad, fmt.Sprintf("%s %s: %s", string(u.What), u.Why, string(u.Detail)))
	})
	return append(out, bad...)
}

// whole are the files in testdata.
func whole(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/*.*")
	if err != nil || len(files) == 0 {
		t.Fatal("no testdata", err)
	}
	all := map[string][]byte{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(file)] = text
	}
	return all
}
