// SPDX-License-Identifier: Apache-2.0

//go:build linux

package crashdisk_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"perennial.dev/perennial/internal/crashdisk"
	"perennial.dev/perennial/internal/fact"
	"perennial.dev/perennial/internal/host"
)

// tree describes everything below a directory.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		var content string
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			content = string(data)
		case info.Mode()&fs.ModeSymlink != 0:
			if content, err = os.Readlink(p); err != nil {
				return err
			}
		}
		s := info.Sys().(*syscall.Stat_t)
		name, _ := filepath.Rel(dir, p)
		fmt.Fprintf(&b, "%s %v %d:%d %q\n", name, info.Mode(), s.Uid, s.Gid, content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func write(t *testing.T, dir, name, content string, mode fs.FileMode) {
	t.Helper()
	p := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func record(t *testing.T, root string, around func(*crashdisk.Recording) host.Around) (*crashdisk.Recording, *host.Disk) {
	t.Helper()
	r, err := crashdisk.Record(root)
	if err != nil {
		t.Fatal(err)
	}
	files, err := host.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	return r, host.NewDisk(files, around(r))
}

func plain(r *crashdisk.Recording) host.Around { return r.Around }

func node(t *testing.T) string {
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, root, "pki/apiserver.crt", "old", 0o640)
	write(t, root, "pki/ca.crt", "ca", 0o444)
	write(t, root, "home/u/config", "copy", 0o600)
	if err := os.Symlink("/pki/apiserver.crt", filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(filepath.Join(root, "home/u/config"), 1234, 4321); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// work is a bit of everything that a Disk does.
func work(t *testing.T, d *host.Disk) {
	t.Helper()
	own := host.Access{Mode: 0o644, UID: os.Geteuid(), GID: os.Getegid()}
	if _, _, err := d.Backup("/pki/apiserver.crt", "/var/backup/crt"); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		d.Replace("/link", []byte("new"), fact.Digest([]byte("old"))),
		d.Replace("/home/u/config", []byte("fresh copy"), fact.Digest([]byte("copy"))),
		d.WriteNew("/pki/front-proxy-ca.crt", []byte("ca"), own),
		d.Append("/pki/front-proxy-ca.crt", []byte(" and more")),
		d.Remove("/pki/ca.crt", fact.Digest([]byte("ca"))),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The model is worth nothing if it does not end where the disk does.
func TestModelAgreesWithTheDisk(t *testing.T) {
	root := node(t)
	before := tree(t, root)
	r, d := record(t, root, plain)
	work(t, d)
	var first, last string
	for s := range r.States() {
		dir := t.TempDir()
		if err := s.Materialise(dir); err != nil {
			t.Fatal(err)
		}
		if last = tree(t, dir); first == "" {
			first = last
		}
	}
	if first != before {
		t.Errorf("at first:\n%s\nwant:\n%s", first, before)
	}
	// All that was done is synced, so there is only one state at the end.
	if now := tree(t, root); last != now {
		t.Errorf("at last:\n%s\nwant:\n%s", last, now)
	}
}

// Each state is given once for a number of primitives, and Distinct gives each
// once at all.
func TestStatesAreDistinct(t *testing.T) {
	root := node(t)
	r, d := record(t, root, plain)
	work(t, d)
	seen := map[string]bool{}
	var all, distinct int
	for s := range r.States() {
		if key := fmt.Sprint(s.Ops, s.Lost); seen[key] {
			t.Errorf("%v: twice", s)
		} else {
			seen[key] = true
		}
		all++
	}
	trees := map[string]bool{}
	for s := range r.Distinct() {
		dir := t.TempDir()
		if err := s.Materialise(dir); err != nil {
			t.Fatal(err)
		}
		trees[tree(t, dir)] = true
		distinct++
	}
	if len(trees) != distinct || all <= r.Len() || distinct >= all {
		t.Errorf("%d primitives, %d states, %d distinct, %d trees", r.Len(), all, distinct, len(trees))
	}
	for range r.States() { // may be left early
		break
	}
	for range r.Distinct() {
		break
	}
}

// without leaves a kind of primitive out of the record, as if the program had
// forgotten it.
func without(p host.Primitive) func(*crashdisk.Recording) host.Around {
	return func(r *crashdisk.Recording) host.Around {
		return func(op host.Op, do func() error) error {
			if op.Do == p {
				return do()
			}
			return r.Around(op, do)
		}
	}
}

// A forgotten sync shows: it is what all of this is for.
func TestForgottenSyncShows(t *testing.T) {
	for _, forgotten := range []host.Primitive{host.SyncFile, host.SyncDir} {
		root := node(t)
		r, d := record(t, root, without(forgotten))
		if err := d.Replace("/pki/apiserver.crt", []byte("renewed"), fact.Digest([]byte("old"))); err != nil {
			t.Fatal(err)
		}
		var bad, lost []string
		for s := range r.States() {
			data, err := s.ReadFile("/pki/apiserver.crt")
			if err != nil {
				t.Fatal(err)
			}
			if got := string(data); got != "old" && got != "renewed" {
				bad = append(bad, got)
			} else if got == "old" && s.Ops == r.Len() {
				lost = append(lost, s.Lost)
			}
		}
		switch forgotten {
		case host.SyncFile:
			for _, content := range []string{"", "ren", "\x00\x00\x00\x00\x00\x00\x00"} {
				if !slices.Contains(bad, content) {
					t.Errorf("no state with %q: %q", content, bad)
				}
			}
		case host.SyncDir:
			if len(bad) > 0 || len(lost) == 0 {
				t.Errorf("%q, %q", bad, lost)
			}
		}
	}
}

func TestBeforeEndsTheRecord(t *testing.T) {
	root := node(t)
	r, d := record(t, root, plain)
	stop := errors.New("the power has failed")
	r.Before = func(n int, op host.Op) error {
		if n >= 3 {
			return stop
		}
		return nil
	}
	if err := d.Replace("/pki/apiserver.crt", []byte("new"), fact.Digest([]byte("old"))); !errors.Is(err, stop) {
		t.Error(err)
	}
	ops := r.Ops()
	if len(ops) != 3 || r.Len() != 3 || ops[0].Do != host.Create || ops[1].Do != host.Write || string(ops[1].Data) != "new" {
		t.Errorf("%+v", ops)
	}
}

func TestRecordRefusesWhatItCannotModel(t *testing.T) {
	root := node(t)
	if err := syscall.Mkfifo(filepath.Join(root, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := crashdisk.Record(root); err == nil {
		t.Error("a FIFO was recorded")
	}
	if _, err := crashdisk.Record(filepath.Join(root, "nothing")); err == nil {
		t.Error("nothing was recorded")
	}
	// What others made meanwhile is not in the record.
	if err := os.Remove(filepath.Join(root, "fifo")); err != nil {
		t.Fatal(err)
	}
	_, d := record(t, root, plain)
	write(t, root, "later/f", "x", 0o600)
	if err := d.Append("/later/f", []byte("y")); err == nil || !strings.Contains(err.Error(), "there is no such file in the record") {
		t.Error(err)
	}
}
