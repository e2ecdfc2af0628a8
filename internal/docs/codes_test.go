// SPDX-License-Identifier: Apache-2.0

package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/finding"
	schemas "perennial.dev/perennial/internal/schema"
)

// declared reads the codes from the source: a code that is in no table is in no
// list that the program could be asked for.
func declared(t *testing.T) (all []finding.Code) {
	t.Helper()
	for _, code := range schemas.Constants(t, reflect.TypeFor[finding.Code]()) {
		all = append(all, finding.Code(code))
	}
	return all
}

func TestEveryCodeIsExplained(t *testing.T) {
	page := anchors(t, "docs/codes.md")
	explained := strings.Join(page, " ") + " "
	for _, c := range declared(t) {
		info, ok := finding.Explain(c)
		if !ok || info.Title == "" || info.Means == "" || info.Cause == "" || info.Cure == "" {
			t.Errorf("code %s is not explained in finding.Codes", c)
		}
		if !strings.Contains(explained, slug(string(c))+" ") {
			t.Errorf("docs/codes.md has no section %s", c)
		}
	}
}

// producers are the packages whose tests let the program find something. A code
// in another package's tests was put there by hand.
var producers = []string{"checkpoint", "credential", "leftover", "support", "cli", "e2e", "upgrade", "workload"}

// TestEveryCodeIsProduced asks for a test that expects the code.
func TestEveryCodeIsProduced(t *testing.T) {
	expected := expectations(t)
	for _, c := range finding.Codes {
		if !expects(expected, c.Code) {
			t.Errorf("no test in internal/{%s} produces the code %s", strings.Join(producers, ","), c.Code)
		}
	}
}

// expects says whether tests name a code as something found: by its constant, by
// its name in a string or in JSON, or as "ID Code".
func expects(tests string, code finding.Code) bool {
	return regexp.MustCompile(`(finding\.|"|/[\w.#-]+ )` + string(code) + `\b`).MatchString(tests)
}

func TestExpects(t *testing.T) {
	for text, want := range map[string]bool{
		"finding.KeyMismatch,":                   true,
		`{"code": "KeyMismatch"}`:                true,
		`"cp1/apiserver KeyMismatch"`:            true,
		"// on KeyMismatch the next start fails": false,
		"finding.KeyMismatchElsewhere":           false,
	} {
		if got := expects(text, finding.KeyMismatch); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
}

// expectations are the test sources and JSON golden files of the producers.
func expectations(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, p := range producers {
		dir := filepath.Join("..", p)
		if _, err := os.Stat(dir); err != nil {
			continue
		}
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			golden := strings.Contains(filepath.ToSlash(path), "/testdata/") && strings.Contains(path, ".json")
			if err != nil || d.IsDir() || !golden && !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			b.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
