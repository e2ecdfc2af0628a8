// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func generate(t *testing.T, seed uint64, objects int) string {
	t.Helper()
	removed, err := readRules("../../internal/rules/data/apis.csv")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "corpus")
	if err := write(dir, newMaker(seed, removed), objects, io.Discard); err != nil {
		t.Fatal(err)
	}
	return dir
}

func digest(t *testing.T, dir string) string {
	t.Helper()
	sum := sha256.New()
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		fmt.Fprintf(sum, "%s %d\n%s", name, len(text), text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sum.Sum(nil))
}

func TestSameSeedSameBytes(t *testing.T) {
	one, same, other := digest(t, generate(t, 1, 600)), digest(t, generate(t, 1, 600)), digest(t, generate(t, 2, 600))
	if one != same {
		t.Error("two runs with one seed differ")
	}
	if one == other {
		t.Error("two seeds make the same corpus")
	}
}

// Each object of the truth is on the line that the truth names.
func TestTruthIsTrue(t *testing.T) {
	dir := generate(t, 1, 5000)
	claims, err := readTruth(dir, "1.99")
	if err != nil {
		t.Fatal(err)
	}
	removed, err := readRules("../../internal/rules/data/apis.csv")
	if err != nil {
		t.Fatal(err)
	}
	left := map[version]bool{}
	for _, v := range removed {
		v.removedIn = ""
		left[v] = true
	}
	for _, c := range claims {
		file, number, _ := strings.Cut(c.place, ":")
		text, err := os.ReadFile(filepath.Join(dir, "manifests", file))
		if err != nil {
			t.Fatal(err)
		}
		var at int
		fmt.Sscan(number, &at)
		line := string(bytes.Split(text, []byte("\n"))[at-1])
		if !strings.Contains(line, "apiVersion: "+c.apiVersion) && !strings.Contains(line, `"apiVersion": "`+c.apiVersion+`"`) && !strings.Contains(line, `"apiVersion":"`+c.apiVersion+`"`) {
			t.Fatalf("%s is %q, not %s", c.place, line, c.apiVersion)
		}
		group, name, grouped := strings.Cut(c.apiVersion, "/")
		if !grouped {
			group, name = "", c.apiVersion
		}
		delete(left, version{group: group, version: name, kind: c.kind})
	}
	for v := range left {
		t.Errorf("%s %s is not in the corpus", v.apiVersion(), v.kind)
	}
}

// A report that says the truth scores 1.000, one that lacks a part and adds
// something scores less.
func TestScore(t *testing.T) {
	dir := generate(t, 1, 600)
	want, err := readTruth(dir, "1.25")
	if err != nil {
		t.Fatal(err)
	}
	item := func(c claim) string {
		file, line, _ := strings.Cut(c.place, ":")
		return fmt.Sprintf(`{"code":"APIRemoved","file":%q,"line":%s,"object":{"apiVersion":%q,"kind":%q}}`, dir+"/manifests/"+file, line, c.apiVersion, c.kind)
	}
	var items []string
	for _, c := range want {
		items = append(items, item(c))
	}
	for _, c := range []struct {
		items []string
		want  string
	}{
		{items, "recall 1.000  precision 1.000"},
		{append([]string{item(claim{"v1", "Pod", "x", "a:1"})}, items[1:]...), fmt.Sprintf("recall %.3f  precision %.3f", 1-1/float64(len(items)), 1-1/float64(len(items)))},
	} {
		var out bytes.Buffer
		if err := score(dir, "1.25", "perennial", strings.NewReader(`{"items":[`+strings.Join(c.items, ",")+`]}`), &out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("got %s, want %s", out.String(), c.want)
		}
	}
}
