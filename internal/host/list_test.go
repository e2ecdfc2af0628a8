// SPDX-License-Identifier: Apache-2.0

package host_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
)

func TestListWalksOnceAndSorted(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	put(t, outside, "host-file", "x")
	for _, name := range []string{"etc/k/pki/b.crt", "etc/k/pki/a.crt", "etc/k/pki/etcd/ca.crt", "etc/k/admin.conf", "etc/k/\xff.crt", "var/x.pem", "var/more/y"} {
		put(t, root, name, "x")
	}
	link(t, "../../../var/x.pem", root, "etc/k/pki/linked.pem")
	link(t, "..", root, "etc/k/pki/up")
	link(t, ".", root, "etc/k/pki/self")
	link(t, "/var", root, "etc/k/elsewhere")
	link(t, "loop", root, "etc/k/loop")
	link(t, "/gone", root, "etc/k/dangling")
	link(t, "/etc/k", root, "etc/alias")
	if err := syscall.Mkfifo(filepath.Join(root, "etc/k/fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	f := open(t, root)
	limits := host.ListLimits{Files: 100, Entries: 100, Depth: 8}
	tree, err := f.List(t.Context(), "/etc/k", limits)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/etc/k/admin.conf", "/etc/k/pki/a.crt", "/etc/k/pki/b.crt", "/etc/k/pki/etcd/ca.crt", "/etc/k/pki/linked.pem", "/etc/k/\xff.crt"}
	if !slices.Equal(tree.Files, want) || tree.More != 0 {
		t.Errorf("files %q, more %d", tree.Files, tree.More)
	}
	var problems []string
	for _, p := range tree.Problems {
		problems = append(problems, fmt.Sprintf("%s %s", p.Path, host.Why(p.Err)))
	}
	if !slices.Equal(problems, []string{"/etc/k/dangling Failed", "/etc/k/elsewhere Unsupported", "/etc/k/loop Malformed"}) {
		t.Errorf("problems %q", problems)
	}
	alias, err := f.List(t.Context(), "/etc/alias", limits)
	if err != nil || len(alias.Files) != len(want) || alias.Files[0] != "/etc/alias/admin.conf" {
		t.Errorf("by another name: %q, %v", alias.Files, err)
	}
}

func TestListKeepsItsLimits(t *testing.T) {
	root := t.TempDir()
	for i := range 30 {
		put(t, root, fmt.Sprintf("d/%02d", i), "x")
	}
	put(t, root, "d/sub/sub/deep", "x")
	f := open(t, root)
	for _, c := range []struct {
		limits          host.ListLimits
		files, problems int
		more            int
	}{
		{host.ListLimits{Files: 100, Entries: 100, Depth: 1}, 30, 0, 0},
		{host.ListLimits{Files: 100, Entries: 100, Depth: 2}, 30, 1, 0},
		{host.ListLimits{Files: 100, Entries: 100, Depth: 3}, 31, 0, 0},
		{host.ListLimits{Files: 10, Entries: 100, Depth: 3}, 10, 0, 21},
	} {
		tree, err := f.List(t.Context(), "/d", c.limits)
		if err != nil || len(tree.Files) != c.files || tree.More != c.more || len(tree.Problems) != c.problems {
			t.Errorf("%+v: %d files, %d more, %v, %v", c.limits, len(tree.Files), tree.More, tree.Problems, err)
		}
	}
	tree, err := f.List(t.Context(), "/d", host.ListLimits{Files: 100, Entries: 5, Depth: 1})
	if err != nil || len(tree.Files) > 5 || tree.More != 26 {
		t.Errorf("%d files, %d more, %v", len(tree.Files), tree.More, err)
	}
}

func TestListOfNoDirectory(t *testing.T) {
	root := t.TempDir()
	put(t, root, "file", "x")
	f := open(t, root)
	limits := host.ListLimits{Files: 1, Entries: 1, Depth: 1}
	if _, err := f.List(t.Context(), "/file", limits); !errors.Is(err, host.ErrNotDirectory) || host.Why(err) != fact.Malformed {
		t.Error(err)
	}
	if _, err := f.List(t.Context(), "/nothing", limits); !host.Missing(err) {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(root, "file")); err != nil {
		t.Fatal(err)
	}
}
