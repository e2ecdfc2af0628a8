// SPDX-License-Identifier: Apache-2.0

//go:build linux

package host_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"perennial.dev/perennial/internal/crashdisk"
	"perennial.dev/perennial/internal/host"
)

func record(t *testing.T, root string) (*crashdisk.Recording, *host.Disk) {
	t.Helper()
	r, err := crashdisk.Record(root)
	if err != nil {
		t.Fatal(err)
	}
	return r, host.NewDisk(open(t, root), r.Around)
}

// materialise writes a state into a directory of its own.
func materialise(t *testing.T, s crashdisk.State) string {
	t.Helper()
	dir, err := os.MkdirTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Materialise(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Whatever a power failure leaves, the file is the old or the new one, whole,
// with its mode and its owner; and the new one once Replace has returned.
func TestReplaceSurvivesPowerFailures(t *testing.T) {
	root := t.TempDir()
	name := put(t, root, "pki/apiserver.key", "old key")
	was := seen{"old key", 0o640, os.Geteuid(), os.Getegid()}
	if os.Geteuid() == 0 {
		was.uid, was.gid = 1234, 4321
		if err := os.Chown(name, was.uid, was.gid); err != nil {
			t.Fatal(err)
		}
	}
	r, d := record(t, root)
	if err := d.Replace("/pki/apiserver.key", []byte("a longer new key"), digest("old key")); err != nil {
		t.Fatal(err)
	}
	is := was
	is.content = "a longer new key"
	var states, old int
	for s := range r.States() {
		dir := materialise(t, s)
		got := look(t, filepath.Join(dir, "pki/apiserver.key"))
		switch {
		case got == was:
			old++
		case got != is:
			t.Errorf("%v: %+v\n%s", s, got, s.Describe())
		}
		if s.Ops == r.Len() && got != is {
			t.Errorf("%v: Replace had returned, and it is %+v", s, got)
		}
		startsAgain(t, s, dir, got.content, is)
		states++
	}
	if states < 20 || old == 0 || old == states {
		t.Errorf("%d states, %d of them with the old file", states, old)
	}
}

// startsAgain replaces the file once more in what a power failure left, and
// leaves nothing behind.
func startsAgain(t *testing.T, s crashdisk.State, dir, present string, want seen) {
	t.Helper()
	d := host.NewDisk(open(t, dir), nil)
	left, err := d.Leftovers("/pki")
	if err != nil || len(left) > 1 {
		t.Errorf("%v: leftovers %q, %v", s, left, err)
	}
	if err := d.Replace("/pki/apiserver.key", []byte(want.content), digest(present)); err != nil {
		t.Errorf("%v: replacing again: %v", s, err)
	}
	if left, err := d.Leftovers("/pki"); present != want.content && (err != nil || len(left) > 0) {
		t.Errorf("%v: left behind %q, %v", s, left, err)
	}
	if got := look(t, filepath.Join(dir, "pki/apiserver.key")); got != want {
		t.Errorf("%v: replaced again: %+v", s, got)
	}
}

// Nobody but the program may read new content before the file's own mode and
// owner are on it.
func TestReplaceNeverShowsContentEarly(t *testing.T) {
	root := t.TempDir()
	put(t, root, "pki/apiserver.key", "old key")
	r, d := record(t, root)
	if err := d.Replace("/pki/apiserver.key", []byte("new key"), digest("old key")); err != nil {
		t.Fatal(err)
	}
	synced := false
	for s := range r.States() {
		synced = synced || s.Last.Do == host.Chmod
		dir := materialise(t, s)
		for _, name := range names(t, filepath.Join(dir, "pki")) {
			got := look(t, filepath.Join(dir, "pki", name))
			if name != "apiserver.key" && !synced && got.mode != 0o600 {
				t.Errorf("%v: %s is %+v", s, name, got)
			}
		}
	}
}

func TestSaveAndWriteNewSurvivePowerFailures(t *testing.T) {
	root := t.TempDir()
	r, d := record(t, root)
	if err := d.Save("/var/backup/p1/key", []byte("key")); err != nil {
		t.Fatal(err)
	}
	saved := r.Len()
	if err := d.WriteNew("/var/new", []byte("content"), own(0o644)); err != nil {
		t.Fatal(err)
	}
	for s := range r.States() {
		dir := materialise(t, s)
		check := func(name string, want seen, durable bool) {
			_, err := os.Lstat(filepath.Join(dir, name))
			if errors.Is(err, fs.ErrNotExist) && !durable {
				return
			}
			if got := look(t, filepath.Join(dir, name)); got != want {
				t.Errorf("%v: %s is %+v", s, name, got)
			}
		}
		check("var/backup/p1/key", seen{"key", 0o600, os.Geteuid(), os.Getegid()}, s.Ops >= saved)
		check("var/new", seen{"content", 0o644, os.Geteuid(), os.Getegid()}, s.Ops >= r.Len())
		again := host.NewDisk(open(t, dir), nil)
		if err := again.Save("/var/backup/p1/key", []byte("key")); err != nil {
			t.Errorf("%v: saving again: %v", s, err)
		}
	}
}
