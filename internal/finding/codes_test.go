// SPDX-License-Identifier: Apache-2.0

package finding_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"perennial.dev/perennial/internal/finding"
)

// constants are the values of all constants of a type, read from the source:
// what is in no table can be asked of nobody.
func constants(t *testing.T, file, kind string) (values []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == kind {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil || spec.Names[0].Name != value && kind == "Code" {
				t.Errorf("the constant %s has the value %q", spec.Names[0].Name, value)
			}
			values = append(values, value)
		}
		return true
	})
	if len(values) == 0 && kind != "Code" {
		t.Fatalf("%s has no constants of the type %s", file, kind)
	}
	return values
}

func TestEveryCodeStandsInTheTableOnce(t *testing.T) {
	declared := constants(t, "codes.go", "Code")
	for _, file := range []string{"codes_checkpoint.go", "codes_upgrade.go", "codes_workload.go"} {
		declared = append(declared, constants(t, file, "Code")...)
	}
	for i, code := range declared {
		if i >= len(finding.Codes) || string(finding.Codes[i].Code) != code {
			t.Errorf("%s is not the number %d of the table, as it is of the constants", code, i+1)
		}
	}
	if len(finding.Codes) != len(declared) {
		t.Errorf("%d rows for %d codes", len(finding.Codes), len(declared))
	}
}

func TestRowsAreWhole(t *testing.T) {
	camel := regexp.MustCompile(`^([A-Z]+[a-z]*)+$`)
	seen := map[string]finding.Code{}
	for _, info := range finding.Codes {
		if !camel.MatchString(string(info.Code)) {
			t.Errorf("%s is not CamelCase", info.Code)
		}
		for what, text := range map[string]string{"title": info.Title, "means": info.Means, "cause": info.Cause, "cure": info.Cure} {
			if other, twice := seen[text]; twice || text == "" {
				t.Errorf("%s: its %s is empty or that of %q", info.Code, what, other)
			}
			seen[text] = info.Code
			if sentence := what != "title"; strings.HasSuffix(text, ".") != sentence {
				t.Errorf("%s: sentences end with a period and titles do not: %s", info.Code, text)
			}
		}
		if got, ok := finding.Explain(info.Code); !ok || got != info {
			t.Errorf("%s cannot be asked for", info.Code)
		}
	}
	if _, ok := finding.Explain("Nothing"); ok {
		t.Error("an unknown code is explained")
	}
}

// The published names never change; whoever changes one changes this test, and
// has to say so.
func TestPublishedNames(t *testing.T) {
	if finding.Group != "perennial.dev" || finding.APIVersion != "perennial.dev/v1alpha1" {
		t.Errorf("%s, %s", finding.Group, finding.APIVersion)
	}
	for kind, want := range map[string]string{
		"Basis":  "measured planned estimated",
		"Keeper": "person kubelet restart owner unknown other-node",
		"Class":  "renewed self-renewed trust-anchor fault lingering weakness notice",
		"Grade":  "seen by-rule unproven",
		"Impact": "blocks breaks changes notice",
	} {
		if got := strings.Join(constants(t, "finding.go", kind), " "); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s, want %s and perhaps more", kind, got, want)
		}
	}
}

func TestEnds(t *testing.T) {
	date := time.Unix(1_800_000_000, 0)
	if e := finding.At(date); !e.Date.Equal(date) || e.Now || e.Basis != finding.Measured {
		t.Errorf("%+v", e)
	}
	if e := finding.Now(); !e.Now || !e.Date.IsZero() || e.Basis != finding.Measured {
		t.Errorf("%+v", e)
	}
}
