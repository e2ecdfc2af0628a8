// SPDX-License-Identifier: Apache-2.0

package floors

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// listed is what go list tells of a package.
type listed struct {
	Dir          string
	ImportPath   string
	GoFiles      []string
	IgnoredFiles []string `json:"IgnoredGoFiles"` // for other systems
	TestGoFiles  []string
	XTestGoFiles []string
}

func (l listed) dir() string { return strings.TrimPrefix(l.ImportPath, Module+"/") }

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=Dir,ImportPath,GoFiles,IgnoredGoFiles,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = root
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("listing the packages: %v\n%s", err, &problems)
	}
	var all []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := dec.Decode(&l); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatalf("reading go list's answer: %v", err)
		}
		all = append(all, l)
	}
}

func check(t *testing.T, p Package, path string) {
	t.Helper()
	source, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	name, err := filepath.Rel(root, path)
	if err != nil {
		t.Error(err)
		return
	}
	f, err := Parse(filepath.ToSlash(name), source)
	if err != nil {
		t.Error(err)
		return
	}
	for _, v := range Check(p, f) {
		t.Error(v)
	}
}

// TestProduct holds every file of the product, those for other systems
// included, to the bans.
func TestProduct(t *testing.T) {
	for _, l := range list(t) {
		p, known := Lookup(l.dir())
		if !known {
			continue // TestTable says so
		}
		for _, f := range slices.Concat(l.GoFiles, l.IgnoredFiles, l.TestGoFiles, l.XTestGoFiles) {
			check(t, p, filepath.Join(root, p.Dir, f))
		}
	}
}

// TestBeside holds the modules beside the product to what binds them too.
func TestBeside(t *testing.T) {
	for _, module := range []string{"lab", "hack"} {
		walk(t, module, func(path string) {
			if strings.HasSuffix(path, ".go") {
				check(t, Package{Floor: Beside, Dir: filepath.ToSlash(filepath.Dir(path))}, path)
			}
		})
	}
}

// TestTable compares the table with the directories.
func TestTable(t *testing.T) {
	var found []string
	for _, l := range list(t) {
		found = append(found, l.dir())
		if _, ok := Lookup(l.dir()); !ok {
			t.Errorf("%s is not in the table of packages", l.dir())
		}
	}
	rows := map[string]bool{}
	for _, p := range Packages {
		if rows[p.Dir] {
			t.Errorf("%s has two rows in the table of packages", p.Dir)
		}
		rows[p.Dir] = true
		if !slices.Contains(found, p.Dir) {
			t.Errorf("%s is in the table of packages, and there is no such package", p.Dir)
		}
		if p.Line == "" || p.floor().Line == "" {
			t.Errorf("%s: its line or that of floor %d is missing", p.Dir, p.Floor)
		}
	}
	sorted := slices.IsSortedFunc(Packages, func(a, b Package) int {
		if a.Floor != b.Floor {
			return a.Floor - b.Floor
		}
		return strings.Compare(a.Dir, b.Dir)
	})
	if !sorted {
		t.Error("the table of packages is not sorted by floor and name")
	}
}

// TestLicense looks at the sources that are not Go.
func TestLicense(t *testing.T) {
	walk(t, ".", func(path string) {
		name := filepath.Base(path)
		named := name == "Makefile" || strings.HasSuffix(name, ".sh") || strings.HasSuffix(name, ".go.txt")
		if !named && filepath.Ext(name) != "" {
			return
		}
		source, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		} else if (named || bytes.HasPrefix(source, []byte("#!"))) && !Licensed(source) {
			t.Errorf("%s: no line %s", path, License)
		}
	})
}

// walk visits the repository's own files below a directory.
func walk(t *testing.T, below string, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(root, below), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !d.IsDir():
			visit(path)
		case slices.Contains([]string{".git", ".lab", "bin", "testdata"}, d.Name()):
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
