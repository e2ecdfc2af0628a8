// SPDX-License-Identifier: Apache-2.0

package prepare

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"perennial.dev/perennial/internal/host"
	"perennial.dev/perennial/internal/workload"
)

var twoFiles = map[string][]byte{OrderFile: []byte("order"), "persistentvolumes/a.yaml": []byte("a")}

// opened is the folder of a directory that can be made.
func opened(t *testing.T, dir string) *Folder {
	t.Helper()
	f, err := NewFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// whole wants a directory with two files, and nothing beside it.
func whole(t *testing.T, dir string) {
	t.Helper()
	for name, want := range twoFiles {
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(got) != string(want) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for at, want := range map[string]int{dir: 2, filepath.Join(dir, "persistentvolumes"): 1, filepath.Dir(dir): 1} {
		if entries, err := os.ReadDir(at); err != nil || len(entries) != want {
			t.Errorf("%s holds %v, %v", at, entries, err)
		}
	}
}

func TestFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vols")
	if err := opened(t, dir).write(twoFiles); err != nil {
		t.Fatal(err)
	}
	whole(t, dir)
	if err := (&Folder{dir: dir}).write(twoFiles); err == nil {
		t.Error("it was overwritten")
	}
	whole(t, dir)
}

// An empty directory that is there gives way, and keeps its mode.
func TestFolderInPlaceOfAnEmptyOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "empty")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := opened(t, dir).write(twoFiles); err != nil {
		t.Fatal(err)
	}
	whole(t, dir)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestFolderIsRefused(t *testing.T) {
	above := t.TempDir()
	for _, name := range []string{"full/x", "empty"} {
		if err := os.MkdirAll(filepath.Join(above, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(above, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("empty", filepath.Join(above, "link")); err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(above, "empty"))
	for dir, says := range map[string]string{
		"": "it has no name", ".": "the working directory", "../full": "nothing of it is overwritten", "..": "nothing of it is overwritten", "/": "nothing of it is overwritten",
		"../file": "it is no directory", "../file/x": "not a directory", "../link": "it is no directory",
	} {
		if _, err := NewFolder(dir); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %q", dir, err, says)
		}
	}
	if entries, err := os.ReadDir(above); err != nil || len(entries) != 4 {
		t.Errorf("something was made: %v, %v", entries, err)
	}
}

// killing ends a program as SIGKILL does: nothing more is changed.
type killing struct{}

// killed writes the folder and is killed before its n-th change of the disk; not so
// where it makes fewer.
func killed(f *Folder, n int) (so bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			if _, so = r.(killing); !so {
				panic(r)
			}
		}
	}()
	f.before = func() {
		if n--; n == 0 {
			panic(killing{})
		}
	}
	return false, f.write(twoFiles)
}

// Killed at any of its changes, a run leaves no directory of that name, or the empty
// one that was there; the next one makes it whole, and leaves nothing else.
func TestFolderCutOff(t *testing.T) {
	for _, empty := range []bool{false, true} {
		n := 1
		for ; ; n++ {
			dir := filepath.Join(t.TempDir(), "vols")
			if empty {
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			so, err := killed(opened(t, dir), n)
			if !so {
				if err != nil {
					t.Error(err)
				}
				break
			}
			entries, err := os.ReadDir(dir)
			if empty && (err != nil || len(entries) > 0) || !empty && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("killed before change %d: it holds %v, %v", n, entries, err)
			}
			// What another program had would be swept with the rest.
			if left := filepath.Join(filepath.Dir(dir), unfinished+"vols"); n > 2 {
				if err := os.WriteFile(filepath.Join(left, "half.yaml"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if err := opened(t, dir).write(twoFiles); err != nil {
				t.Errorf("killed before change %d, the next run: %v", n, err)
			}
			whole(t, dir)
		}
		if n < 8 {
			t.Errorf("it makes %d changes", n)
		}
	}
}

// Two that write the same directory at once do not mix: the second one says so.
func TestFolderIsWrittenByOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vols")
	first, changes := opened(t, dir), 0
	first.before = func() {
		if changes++; changes < 4 {
			return
		}
		var held *host.HeldError
		if err := (&Folder{dir: dir}).write(twoFiles); !errors.As(err, &held) {
			t.Errorf("a second one, at change %d: %v", changes, err)
		}
	}
	if err := first.write(twoFiles); err != nil || changes < 8 {
		t.Errorf("%d changes, %v", changes, err)
	}
	whole(t, dir)
}

// What cannot be finished leaves nothing beside.
func TestFolderThatFails(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vols")
	f := opened(t, dir)
	if err := f.write(map[string][]byte{"a": nil, "a/b": nil}); err == nil {
		t.Error("a file below a file was written")
	}
	if entries, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

// Whatever objects are called, the files of their patches stay in one directory.
func TestPatchFile(t *testing.T) {
	for _, name := range []string{"web", "../../etc/passwd", "..", "a/b", "\u202etxt"} {
		file := patchFile(workload.Mutation{Namespace: name, Kind: "Deployment", Name: name})
		if filepath.Base(file) != file || !filepath.IsLocal(file) || strings.HasPrefix(file, ".") {
			t.Errorf("%q: %q", name, file)
		}
	}
}
