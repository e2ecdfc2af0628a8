// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/source"
)

func TestKubectls(t *testing.T) {
	dir := t.TempDir()
	put := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name, "kubectl")
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	old := put("old", "program \x00v1.30.2\x00 of Kubernetes", 0o755)
	put("text", "\x00v1.20.0\x00", 0o644)
	script := put("script", "#!/bin/sh\nexec touch "+dir+"/ran\n", 0o755)
	again := filepath.Join(dir, "again")
	if err := os.Symlink(filepath.Dir(old), again); err != nil {
		t.Fatal(err)
	}
	var found []string
	var missed []fact.Unseen
	dirs := []string{again, filepath.Dir(old), filepath.Join(dir, "text"), filepath.Join(dir, "nothing"), "relative", "", filepath.Dir(script)}
	source.Kubectls(t.Context(), dirs, func(path, version string) { found = append(found, path+" "+version) }, func(u fact.Unseen) { missed = append(missed, u) })
	if !slices.Equal(found, []string{filepath.Join(again, "kubectl") + " v1.30.2"}) {
		t.Errorf("found %q", found)
	}
	if len(missed) != 1 || missed[0].Why != fact.Unsupported || !strings.Contains(string(missed[0].What), script) {
		t.Errorf("not seen: %+v", missed)
	}
	if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
		t.Error("it was run")
	}
}
