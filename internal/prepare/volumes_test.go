// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/workload"
)

// A directory is there whole or not at all: what a run that was cut off has left
// beside it goes, and what is there already stays.
func TestWriteDir(t *testing.T) {
	above := t.TempDir()
	dir := filepath.Join(above, "vols")
	left := filepath.Join(above, unfinished+"vols", "persistentvolumes")
	if err := os.MkdirAll(left, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(left, "half.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{OrderFile: []byte("order"), "persistentvolumes/a.yaml": []byte("a")}
	if err := writeDir(dir, files); err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != string(want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "persistentvolumes/half.yaml")); err == nil {
		t.Error("what was cut off is there")
	}
	if entries, err := os.ReadDir(above); err != nil || len(entries) != 1 {
		t.Errorf("beside it: %v, %v", entries, err)
	}
	if err := vacant(dir); err == nil || !strings.Contains(err.Error(), "nothing of it is overwritten") {
		t.Errorf("a directory that is full: %v", err)
	}
	if err := writeDir(dir, files); err == nil {
		t.Error("it was overwritten")
	}
	empty := filepath.Join(above, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := vacant(empty); err != nil {
		t.Error(err)
	}
	if err := writeDir(empty, files); err != nil {
		t.Error(err)
	}
	if err := vacant(filepath.Join(dir, OrderFile)); err == nil {
		t.Error("a file is no directory")
	}
}

// Whatever objects are called, files stay in their directory.
func TestPatchFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "patches")
	write, err := PatchFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"web", "../../etc/passwd", "..", "a/b", "\u202etxt"} {
		file, err := write(workload.Mutation{Namespace: name, Kind: "Deployment", Name: name, Patch: []byte("{}")})
		if err != nil || filepath.Dir(file) != dir {
			t.Errorf("%q: %s, %v", name, file, err)
		}
	}
	if _, err := PatchFiles(dir); err == nil {
		t.Error("a directory that is full is written to")
	}
}
