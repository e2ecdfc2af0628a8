// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"perennial.dev/perennial/hack/knowledge/etcd"
	"perennial.dev/perennial/hack/knowledge/upstream"
)

// What is committed is what the released modules say.
func TestMinorsAreMeasuredAgain(t *testing.T) {
	releases, err := upstream.Releases()
	if err != nil {
		t.Fatal(err)
	}
	for _, release := range releases {
		if release.Minor != 25 && release.Minor != newest(releases).Minor {
			continue
		}
		t.Run(release.String(), func(t *testing.T) {
			if _, err := upstream.Download(release); err != nil {
				t.Skipf("the modules cannot be had: %v", err)
			}
			measured, err := measure(release)
			if err != nil {
				t.Fatal(err)
			}
			for name, text := range measured {
				same(t, filepath.Join("minors", fmt.Sprintf("1.%d", release.Minor), name), text)
			}
		})
	}
}

// What is embedded is what the minors' tables say; this needs no modules.
func TestTablesArePutTogetherAgain(t *testing.T) {
	releases, err := upstream.Releases()
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range kinds {
		path := filepath.Join("../../internal/rules/data", kind.file)
		tables, err := assemble(releases, "minors", asOfIn(t, path))
		if err != nil {
			t.Fatal(err)
		}
		same(t, path, tables[kind.file])
	}
}

func newest(releases []upstream.Release) upstream.Release { return releases[len(releases)-1] }

func same(t *testing.T, path string, generated []byte) {
	t.Helper()
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(written, generated) {
		return
	}
	was, is := strings.Split(string(written), "\n"), strings.Split(string(generated), "\n")
	for i := range min(len(was), len(is)) {
		if was[i] != is[i] {
			t.Fatalf("%s: line %d is\n  %s\nand should be\n  %s\nto write it anew: make knowledge", path, i+1, was[i], is[i])
		}
	}
	t.Fatalf("%s has %d lines and should have %d: make knowledge", path, len(was), len(is))
}

// What is embedded of etcd is what its released modules say.
func TestEtcdIsMeasuredAgain(t *testing.T) {
	path := filepath.Join("../../internal/rules/data", etcdFlagsFile)
	for _, version := range etcd.Series {
		if _, err := upstream.Modules(etcd.Server + "@" + version); err != nil {
			t.Skipf("the modules cannot be had: %v", err)
		}
	}
	generated, err := etcdFlags(asOfIn(t, path))
	if err != nil {
		t.Fatal(err)
	}
	same(t, path, generated)
}

func asOfIn(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "\n# as-of: ")
	asOf, _, _ := strings.Cut(rest, "\n")
	return asOf
}
