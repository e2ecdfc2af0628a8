// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"perennial.dev/perennial/hack/knowledge/upstream"
)

const embedded = "../../internal/kuberc/data/kubectl.csv"

// What is embedded is what the minors' tables say; this needs no modules.
func TestTableIsPutTogetherAgain(t *testing.T) {
	kept, err := os.ReadFile(embedded)
	if err != nil {
		t.Fatal(err)
	}
	_, asOf, _ := strings.Cut(string(kept), "# as-of: ")
	asOf, _, _ = strings.Cut(asOf, "\n")
	releases, err := measurable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := assemble(releases, "minors", asOf)
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != string(kept) {
		t.Errorf("%s is not what the minors' tables say: go -C hack run ./kubectl -minors none -as-of %s", embedded, asOf)
	}
}

// What is committed is what a released module says. Compiling one takes minutes, so
// that it is asked for: KUBECTL_MINOR=37 go -C hack test ./kubectl
func TestMinorIsMeasuredAgain(t *testing.T) {
	minor := os.Getenv("KUBECTL_MINOR")
	if minor == "" {
		t.Skip("compiles kubectl: set KUBECTL_MINOR to a minor, like 37")
	}
	releases, err := measurable()
	if err != nil {
		t.Fatal(err)
	}
	chosen, err := upstream.Choose(releases, minor)
	if err != nil {
		t.Fatal(err)
	}
	for _, release := range chosen {
		dir := t.TempDir()
		if err := writeMinor(release, dir); err != nil {
			t.Fatal(err)
		}
		fresh, err := os.ReadFile(minorFile(dir, release))
		if err != nil {
			t.Fatal(err)
		}
		kept, err := os.ReadFile(minorFile("minors", release))
		if err != nil {
			t.Fatal(err)
		}
		if string(fresh) != string(kept) {
			t.Errorf("%s is not what %s says", filepath.Base(minorFile("minors", release)), release)
		}
	}
}
